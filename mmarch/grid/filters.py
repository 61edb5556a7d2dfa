"""Which points of a grid are left out: conditions on the values of axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from mmarch.errors import InputError

Condition = tuple[str, ...] | range
WIDEST = 1 << 63


@dataclass(frozen=True)
class Filter:
    """Values by axis: texts with * and ?, of which one has to match, or numbers from first to last.

    lines  of the file, by axis
    """

    conditions: Mapping[str, Condition]
    where: str
    lines: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Mapping[str, Any], where: str, lines: Mapping[str, int]) -> Filter:
        """As the file has it; InputError for what is no condition."""
        return cls({axis: _condition(where, axis, value) for axis, value in table.items()}, where, lines)

    def idle(self, values: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
        """Axis and text of what no value of its axis meets."""
        for axis, condition in self.conditions.items():
            parts = [condition] if isinstance(condition, range) else [(text,) for text in condition]
            for part in parts:
                if not any(_meets(value, part) for value in values[axis]):
                    yield axis, f"{part[0]} to {part[-1]}" if isinstance(part, range) else part[0]

    def matches(self, values: Mapping[str, str]) -> bool:
        """Whether a point with these values meets all conditions."""
        return all(_meets(values.get(axis, ""), condition) for axis, condition in self.conditions.items())


def _condition(where: str, axis: str, value: Any) -> Condition:
    if isinstance(value, dict):
        bounds = value.get("first", 0), value.get("last", WIDEST)
        if set(value) <= {"first", "last"} and value and all(type(bound) is int for bound in bounds):
            return range(bounds[0], bounds[1] + 1)
        raise InputError(
            f"{where} {axis} = {dict(value)!r:.60}: numbers are {{ first = 1, last = 9 }}, or one of both"
        )
    items = value if isinstance(value, list) else [value]
    if items and all(type(item) in (int, str) for item in items):
        return tuple(map(str, items))
    raise InputError(
        f"{where} {axis} = {value!r:.60}: a condition is text, which may have *, a number, or a list of them"
    )


def _meets(value: str, condition: Condition) -> bool:
    if isinstance(condition, range):
        return value.isdecimal() and int(value) in condition
    return any(fnmatchcase(value, pattern) for pattern in condition)
