"""Rows of a workload, as a trace is read."""

from __future__ import annotations

import os
import struct
import weakref
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, TypedDict

import numpy as np
from numpy.typing import NDArray

from core_mm import uapi
from mmarch import spill

PAGE = 4096
MANY = 1 << 20  # rows in memory at most
SIZES = (8 * uapi.COLUMNS, 4, 8)  # bytes of a row's cells, line and time
PADDING = [(0,) * (uapi.COLUMNS - cells) for cells in range(uapi.COLUMNS + 1)]
ROW = struct.Struct(f"={uapi.COLUMNS}q")


def align(length: int) -> int:
    """Up to whole pages, as the system calls do (mm/mmap.c:do_mmap, mm/mprotect.c, mm/madvise.c)."""
    return (length + PAGE - 1) & -PAGE


class Columns(TypedDict):
    """Fields of a workload."""

    ops: NDArray[np.int64]
    lines: NDArray[np.int32]
    times: NDArray[np.float64]


class Rows:
    """The workload under construction. A row taken back keeps its place as an empty one (op 0).

    now   seconds, by the tracer's clock, of the line that is read; rows get it
    base  rows that were written to files already, since they are too many; `data`, `lines`, `times` have those after
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.lines = array("i")
        self.times = array("d")
        self.now = 0.0
        self.base = 0
        self.files: tuple[BinaryIO, ...] = ()
        self.ignored: Counter[str] = Counter()

    def add(self, line: int, *row: int) -> int:
        """Append a row, zero-filled; its position."""
        position = self.base + len(self.lines)
        self.data += ROW.pack(*row, *PADDING[len(row)])
        self.lines.append(line)
        self.times.append(self.now)
        if len(self.lines) >= MANY:
            self.flush()
        return position

    def fill(self, position: int, *row: int) -> None:
        """Put a row where an empty one was reserved."""
        packed = ROW.pack(*row, *PADDING[len(row)])
        if position >= self.base:
            at = (position - self.base) * ROW.size
            self.data[at : at + ROW.size] = packed
            return
        self.files[0].seek(position * ROW.size)
        self.files[0].write(packed)
        self.files[0].seek(0, os.SEEK_END)

    def drop(self, position: int) -> None:
        self.fill(position)

    def flush(self) -> None:
        """Write what there is to files, which have no names."""
        if not self.files:
            self.files = tuple(spill.file() for _ in range(3))
            weakref.finalize(self, lambda files: [file.close() for file in files], self.files)
        self.base += len(self.lines)
        values: tuple[Any, ...] = (self.data, self.lines, self.times)
        for file, some in zip(self.files, values, strict=True):
            with spill.enough_room():
                file.write(memoryview(some))
            del some[:]

    @property
    def some(self) -> bool:
        """Whether any row comes from a line."""
        return bool(self.base) or any(self.lines)

    def result(self) -> Columns:
        """Without the empty rows; no times where none was told."""
        count, kept = self.base + len(self.lines), 0
        ops, lines = spill.room(count, uapi.COLUMNS, np.int64), spill.room(count, 0, np.int32)
        times = spill.room(count, 0, np.float64)
        for some, numbers, when in self._pieces():
            full = some[:, 0] != 0
            for whole, part in ((ops, some), (lines, numbers), (times, when)):
                spill.put(whole, kept, part[full])
            kept += int(full.sum())
        timed = any(when.any() for (when,) in spill.pieces(times[:kept]))
        return {"ops": ops[:kept], "lines": lines[:kept], "times": times[: kept if timed else 0]}

    def _pieces(self) -> Iterator[tuple[NDArray[Any], ...]]:
        for file in self.files:
            file.seek(0)
        for _ in range(0, self.base, MANY):
            ops, lines, times = (file.read(MANY * size) for file, size in zip(self.files, SIZES, strict=True))
            yield _arrays(ops, lines, times)
        if self.lines:
            yield _arrays(self.data, self.lines, self.times)


def _arrays(ops: Any, lines: Any, times: Any) -> tuple[NDArray[Any], ...]:
    cells = np.frombuffer(ops, np.int64).reshape(-1, uapi.COLUMNS)
    return cells, np.frombuffer(lines, np.int32), np.frombuffer(times, np.float64)
