"""How a check ends other than well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Done:
    """A line about what a check looked at, and the numbers in it."""

    did: str
    counts: Mapping[str, int] = field(default_factory=dict)


class CheckFailed(AssertionError):
    """The property does not hold; `steps` is the shortest sequence found that shows it."""

    def __init__(self, message: str, steps: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.steps = tuple(steps)


class Skipped(Exception):
    """The check does not apply; the text says why."""
