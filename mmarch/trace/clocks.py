"""Times in front of strace's lines, whichever of -t, -tt, -ttt and -r printed them, as seconds that only grow."""

from __future__ import annotations

import re

DAY = 86400.0
EPOCH = 1e8  # seconds since 1970 that no time between two calls has
# pid (with a name by -Y), time, [system call's number] by -n and [instruction pointer] by -i, the rest
HEAD = re.compile(
    r"\s*(?:\[pid\s+(\d+)(?:<[^>]*>)?\]\s+|(\d+)(?:<[^>]*>)?\s+(?=\S))?"
    r"(?:(\d\d:\d\d:\d\d(?:\.\d+)?|\d+\.\d+)\s+(?:\(\+\s*\d+\.\d+\)\s+)?)?(?:\[ *[0-9a-f?]+\] +)*(.*)"
)


class Clock:
    """Of one output of strace; `absolute`: whether its times are of a clock that others read too."""

    def __init__(self) -> None:
        self.now = 0.0
        self.absolute = False

    def read(self, text: str | None) -> float:
        """What a line begins with, in seconds: since 1970, of the day, or since the first line."""
        if text is None:
            return self.now
        if ":" in text:
            hours, minutes, seconds = text.split(":")
            when = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            self.now = when + DAY if when < self.now - DAY / 2 else when
        else:
            when = float(text)
            self.absolute = when > EPOCH
            self.now = when if self.absolute else self.now + when
        return self.now
