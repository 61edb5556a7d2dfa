"""Page faults that perf saw while strace saw the calls of the same run, given one by one as time goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmarch.errors import InputError
from mmarch.trace.ftrace_text import lines, shown
from mmarch.trace.rows import PAGE
from mmarch.trace.task import ADDRESS_END

_FAULT = re.compile(
    r"\s*(\S.*?)\s+(?:-?\d+/)?(\d+)\s+(?:\[\d+\]\s+)?(\d+\.\d+):\s*(?:\d+\s+)?"
    r"(?:(?:page-|minor-|major-)?faults:(?:\w+:)?)?\s*([0-9a-f]{1,16})\b"
)
TRACERS = ("strace", "perf", "perf-exec")
HOW = (
    "record with perf record -k CLOCK_REALTIME -e page-faults -c 1 -d -o P -- strace -f -ttt -o S COMMAND, "
    "print with perf script --ns -F comm,pid,tid,time,event,addr,ip -i P"
)


class Fault(NamedTuple):
    """At a time in seconds, by a task."""

    when: float
    pid: str
    address: int


class Faults:
    """Those of a file, each once, in its order; without those of strace and perf themselves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.given = 0
        self._rest = self._read()
        self._next = next(self._rest, None)
        if self._next is None:
            raise InputError(f"{path}: no page faults; {HOW}")

    def _read(self) -> Iterator[Fault]:
        for number, line in enumerate(lines(self.path), 1):
            if not line.strip() or line.startswith(("#", "\t")):
                continue
            match = _FAULT.match(line)
            if match is None:
                raise InputError(
                    f"{self.path}:{number}: not a page fault by perf script: {shown(line)}; {HOW}"
                )
            address = int(match[4], 16) & -PAGE
            if match[1] not in TRACERS and address < ADDRESS_END:
                yield Fault(float(match[3]), match[2], address)

    def before(self, when: float) -> Iterator[Fault]:
        """Those that have not been given, up to a time."""
        while self._next is not None and self._next.when < when:
            fault, self._next = self._next, next(self._rest, None)
            self.given += 1
            yield fault
