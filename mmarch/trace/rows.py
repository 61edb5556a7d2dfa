"""Rows of a workload, as a trace is read."""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from core_mm import uapi

PAGE = 4096
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

    now  seconds, by the tracer's clock, of the line that is read; rows get it
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.lines = array("i")
        self.times = array("d")
        self.now = 0.0
        self.ignored: Counter[str] = Counter()

    def add(self, line: int, *row: int) -> int:
        """Append a row, zero-filled; its position."""
        position = len(self.lines)
        self.data += ROW.pack(*row, *(0,) * (uapi.COLUMNS - len(row)))
        self.lines.append(line)
        self.times.append(self.now)
        return position

    def fill(self, position: int, *row: int) -> None:
        """Put a row where an empty one was reserved."""
        ROW.pack_into(self.data, position * ROW.size, *row, *(0,) * (uapi.COLUMNS - len(row)))

    def drop(self, position: int) -> None:
        self.fill(position)

    def result(self) -> Columns:
        """Without the empty rows; no times where none was told."""
        ops = np.frombuffer(self.data, np.int64).reshape(-1, uapi.COLUMNS)
        kept = ops[:, 0] != 0
        times = np.frombuffer(self.times, np.float64)[kept]
        return {
            "ops": ops[kept],
            "lines": np.frombuffer(self.lines, np.int32)[kept],
            "times": times if times.any() else times[:0],
        }
