"""Rows of a workload, as a trace is read."""

from __future__ import annotations

import struct
from array import array
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from core_mm import uapi

PAGE = 4096
ROW = struct.Struct(f"={uapi.COLUMNS}q")


def align(length: int) -> int:
    """Up to whole pages, as the system calls do (mm/mmap.c:do_mmap, mm/mprotect.c, mm/madvise.c)."""
    return (length + PAGE - 1) & -PAGE


class Rows:
    """The workload under construction. A row taken back keeps its place as an empty one (op 0)."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.lines = array("i")
        self.ignored: Counter[str] = Counter()

    def add(self, line: int, *row: int) -> int:
        """Append a row, zero-filled; its position."""
        position = len(self.lines)
        self.data += ROW.pack(*row, *(0,) * (uapi.COLUMNS - len(row)))
        self.lines.append(line)
        return position

    def fill(self, position: int, *row: int) -> None:
        """Put a row where an empty one was reserved."""
        ROW.pack_into(self.data, position * ROW.size, *row, *(0,) * (uapi.COLUMNS - len(row)))

    def drop(self, position: int) -> None:
        self.fill(position)

    def result(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """(operations, their lines) without the empty rows."""
        ops = np.frombuffer(self.data, np.int64).reshape(-1, uapi.COLUMNS)
        kept = ops[:, 0] != 0
        return ops[kept], np.frombuffer(self.lines, np.int32)[kept]
