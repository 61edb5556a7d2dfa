"""The files NAME.PID of `strace -ff -o NAME` as one text, in order of their times, as strace-log-merge has it."""

from __future__ import annotations

import heapq
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmarch.errors import InputError
from mmarch.trace.clocks import HEAD, Clock
from mmarch.trace.ftrace_text import lines, shown

_PID = re.compile(r"\.(\d+)$")


def files_of(name: Path) -> list[Path]:
    """NAME.PID, by the task's number; none if NAME itself is there."""
    if name.exists() or not name.name or not name.parent.is_dir():
        return []
    found = [path for path in name.parent.iterdir() if path.stem == name.name and _PID.search(path.name)]
    return sorted(found, key=lambda path: int(path.suffix[1:]))


def _timed(path: Path, clock: Clock) -> Iterator[tuple[float, str]]:
    """Lines with their times."""
    for number, line in enumerate(lines(path), 1):
        head = HEAD.match(line)
        if head is None or head[3] is None:
            raise InputError(
                f"{path}:{number}: no time: {shown(line)}; strace -ff needs -ttt, to be in order"
            )
        when = clock.read(head[3])
        if not clock.absolute and ":" not in head[3]:
            raise InputError(f"{path}:{number}: times of -r are of one task alone; strace -ff needs -ttt")
        yield when, line


def _first(path: Path) -> float:
    """The time of a file's first line."""
    return next((when for when, _ in _timed(path, Clock())), float("inf"))


def merged(files: list[Path]) -> Iterator[bytes]:
    """Their lines, each behind its task's number; a file is open while its task lives. One alone needs no times."""
    if len(files) == 1:
        yield from (f"{line}\n".encode("latin-1") for line in lines(files[0]))
        return
    waiting = [(_first(path), at, "") for at, path in enumerate(files)]
    heapq.heapify(waiting)
    texts: dict[int, Iterator[tuple[float, str]]] = {}
    while waiting:
        _, at, line = heapq.heappop(waiting)
        if line:
            yield f"{files[at].suffix[1:]} {line}\n".encode("latin-1")
        text = texts.setdefault(at, _timed(files[at], Clock()))
        for when, following in text:
            heapq.heappush(waiting, (when, at, following))
            break


class Merged(io.RawIOBase):
    """A stream of such lines."""

    def __init__(self, files: list[Path]) -> None:
        self._lines = merged(files)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._lines, b"")
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
