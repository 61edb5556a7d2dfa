"""How a check ends other than well."""

from __future__ import annotations

from collections.abc import Sequence


class CheckFailed(AssertionError):
    """The property does not hold; `steps` is the shortest sequence found that shows it."""

    def __init__(self, message: str, steps: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.steps = tuple(steps)


class Skipped(Exception):
    """The check does not apply; the text says why."""
