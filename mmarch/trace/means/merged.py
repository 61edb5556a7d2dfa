"""strace's lines with a line for each page fault that perf saw, by their times: what `mmarch.trace.strace` reads.

perf knows nanoseconds and strace microseconds, so that a call that has the time of a fault goes first.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from mmarch.trace.faults import TRACERS
from mmarch.trace.means.tool import Names

FAULT = " page-faults"  # in every line of one
_FAULT = re.compile(r"\s*(\S.*?)\s+(\d+)\s+(\d+\.\d{6})\d*:\s+page-faults(?::\w*)?:\s+([0-9a-f]+)\s*$")
_TASK = re.compile(r"(\d+) ")


def tasks(calls: Path) -> set[str]:
    """Those that strace saw, by pid."""
    with calls.open(errors="replace") as lines:
        return {match[1] for line in lines if (match := _TASK.match(line))}


def faults(lines: Iterable[str], seen: Container[str], names: Names) -> Iterator[str]:
    """Of tasks that strace saw; what one does before its program begins it does as strace."""
    for line in lines:
        match = _FAULT.match(line)
        if match and match[2] in seen and match[1] not in TRACERS:
            yield f"{names.number('pid', match[2])} {match[3]}{FAULT}: {match[4]}\n"


def by_time(calls: Iterable[str], faults: Iterable[str]) -> Iterator[str]:
    """Lines that begin with a pid and a time in seconds; calls first."""
    return heapq.merge(calls, faults, key=_time)


def _time(line: str) -> float:
    return float(line.split(None, 2)[1])
