"""SPEC.toml: which points a sweep has.

[axes]
workload = ["redis-bgsave", "scenarios/*.scn"]
release = ["6.12", "7.3"]
seed = { first = 0, last = 9 }

[axes.set]
n = { first = 1, last = 512, times = 2 }

[[exclude]]
release = "6.12"
n = { first = 64 }
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmarch.errors import InputError
from mmarch.grid.filters import Filter
from mmarch.plugins.series import is_path
from mmarch.reading import limited, toml, utf8
from mmarch.suggest import unknown

LARGEST = 1 << 20  # bytes
MOST_VALUES = 1_000_000
# Of a grid, in the order in which points are run: what changes slowest costs most to change.
AXES = (
    "workload", "scenario", "backing", "arch", "granule", "with", "without", "release", "cpu", "folio-orders",
    "memory", "seed",
)  # fmt: skip
ALWAYS = ("workload", "scenario", "backing")  # which every point has, also if the SPEC does not say so
TABLES = ("axes", "only", "exclude")
SERIES = ("first", "last", "step", "times")
NUMBERS = ("seed", "memory")


@dataclass(frozen=True)
class Spec:
    """A file as it was read.

    axes    values by axis, as text, in the order of the file
    set     values of the scenarios' parameters, by name
    only    of which one has to match a point, if there are any
    exclude  of which none may
    """

    path: str
    text: str
    axes: Mapping[str, tuple[str, ...]]
    set: Mapping[str, tuple[str, ...]]
    only: tuple[Filter, ...] = ()
    exclude: tuple[Filter, ...] = ()

    @property
    def folder(self) -> Path:
        """Which paths are relative to."""
        return Path(self.path).parent

    def where(self, axis: str, value: str = "") -> str:
        """`file:line` of an axis, or of one of its values."""
        lines = self.text.splitlines()
        first = _line(lines, axis, 0)
        shown = (
            n
            for n in range(first, len(lines))
            if re.search(rf"(?<![\w.+-]){re.escape(value)}(?![\w.+-])", lines[n])
        )
        return f"{self.path}:{(next(shown, first) if value else first) + 1}"

    def wrong(self, axis: str, value: str, why: object) -> InputError:
        """The error for a value."""
        return InputError(f"{self.where(axis, value)}: {axis} = {value!r}: {why}")


def read(path: Path) -> Spec:
    """A SPEC; InputError with file and line for what is unknown, wrong or empty. Nothing in it is executed."""
    where = str(path)
    data = limited(path, where, LARGEST, f"larger than {LARGEST >> 10} KiB; a SPEC is a short TOML file")
    text = utf8(data, where, "a SPEC is a TOML file")
    given = toml(text, where)
    lines = text.splitlines()
    for table in given:
        if table not in TABLES:
            raise InputError(f"{path}:{_line(lines, table, 0) + 1}: {unknown('table', table, TABLES)}")
    axes = given.get("axes")
    if not isinstance(axes, dict) or not axes:
        raise InputError(
            f'{path}:1: no axes; write [axes] and below it, for example: release = ["6.12", "7.3"]'
        )
    reader = _Reader(str(path), text)
    parameters = axes.pop("set", {})
    if not isinstance(parameters, dict):
        raise reader.error("set", "set is a table of parameters, such as [axes.set] with n = [16, 64]")
    found = {axis: reader.axis(axis, axes[axis]) for axis in axes}
    chosen = {name: reader.values(name, value) for name, value in parameters.items()}
    there = {*ALWAYS, *found, *chosen}
    only, exclude = (
        tuple(reader.filters(kind, given.get(kind, []), [*AXES, *chosen], there))
        for kind in ("only", "exclude")
    )
    return Spec(str(path), text, found, chosen, only, exclude)


class _Reader:
    def __init__(self, path: str, text: str) -> None:
        self.path, self.lines = path, text.splitlines()

    def error(self, key: str, why: object, after: int = 0) -> InputError:
        return InputError(f"{self.path}:{_line(self.lines, key, after) + 1}: {why}")

    def axis(self, axis: str, given: Any) -> tuple[str, ...]:
        if axis not in AXES:
            raise self.error(
                axis, f"{unknown('axis', axis, AXES)} A scenario's parameter stands in [axes.set]."
            )
        values = self.values(axis, given)
        if axis == "with" and (
            paths := [name for value in values for name in value.split("+") if is_path(name)]
        ):
            raise self.error(
                axis,
                f"with has the path {paths[0]!r}; a sweep names installed series (see 'mmarch series new')",
            )
        return values

    def values(self, axis: str, given: Any) -> tuple[str, ...]:
        """Each once, as text."""
        if isinstance(given, dict):
            return tuple(map(str, self._series(axis, given)))
        items = given if isinstance(given, list) else [given]
        if not items:
            raise self.error(
                axis, f"{axis} has no values, so there are no points; give one, or leave the axis out"
            )
        values = [self._value(axis, item) for item in items]
        if twice := next((value for value in values if values.count(value) > 1), None):
            raise self.error(axis, f"{axis} has {twice!r} twice; leave one out")
        return tuple(values)

    def _value(self, axis: str, item: Any) -> str:
        if type(item) in (int, str) and (not isinstance(item, str) or len(item) < 1000):
            return str(item)
        if isinstance(item, list) and all(type(part) in (int, str) for part in item):
            return "+".join(map(str, item))
        if isinstance(item, float):
            raise self.error(axis, f"{axis} has the value {item}, no whole number; write text in quotes")
        raise self.error(
            axis, f"{axis} has the value {item!r:.60}; a value is text, a number, or a list of names"
        )

    def _series(self, axis: str, given: Mapping[str, Any]) -> Sequence[int]:
        """{ first, last, step } or { first, last, times }."""
        if wrong := [key for key in given if key not in SERIES]:
            raise self.error(axis, unknown(f"key of {axis}", wrong[0], SERIES))
        first, last, step, times = (given.get(key, 0) for key in SERIES)
        if "last" not in given or not all(
            type(number) is int and 0 <= number < 1 << 63 for number in given.values()
        ):
            raise self.error(
                axis, f"{axis} is {dict(given)!r:.80}; write {{ first = 0, last = 9 }}, and step or times"
            )
        if step and times:
            raise self.error(axis, f"{axis} has step and times; leave one out")
        if (times and (times < 2 or not first)) or ("step" in given and not step):
            raise self.error(
                axis, f"{axis} never gets from {first} to {last}; first and step are 1 or more, times 2"
            )
        found = _powers(first, last, times) if times else range(first, last + 1, step or 1)
        if not found:
            raise self.error(axis, f"{axis} has no values from {first} to {last}, so there are no points")
        if len(found) > MOST_VALUES:
            raise self.error(axis, f"{axis} has {len(found):,} values, at most {MOST_VALUES:,}")
        return found

    def filters(self, kind: str, given: Any, known: Sequence[str], there: set[str]) -> Iterator[Filter]:
        tables = given if isinstance(given, list) else [given]
        at = 0
        for table in tables:
            at = _table(self.lines, kind, at)
            if not isinstance(table, dict) or not table:
                raise self.error(
                    kind, f'[[{kind}]] names no axis; write below it, for example: release = "6.12"'
                )
            for axis in table:
                if axis not in known:
                    raise self.error(axis, unknown("axis", axis, known), at)
                if axis not in there:
                    raise self.error(
                        axis, f"[[{kind}]] {axis}: this SPEC has no such axis; add it to [axes]", at
                    )
            lines = {axis: _line(self.lines, axis, at) + 1 for axis in table}
            yield Filter.of(table, f"{self.path}:{at + 1}: [[{kind}]]", lines)
            at += 1


def _powers(first: int, last: int, times: int) -> list[int]:
    found = []
    while first <= last:
        found.append(first)
        first *= times
    return found


def _line(lines: Sequence[str], key: str, after: int) -> int:
    """The 0-based line from `after` on that sets a key or begins a table."""
    pattern = re.compile(rf"(?:.*[{{,.\[])?\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
    return next((n for n in range(after, len(lines)) if pattern.match(lines[n])), after)


def _table(lines: Sequence[str], kind: str, after: int) -> int:
    pattern = re.compile(rf"\s*(?:\[\[\s*{kind}\s*\]\]|{kind}\s*=)")
    return next((n for n in range(after, len(lines)) if pattern.match(lines[n])), after)
