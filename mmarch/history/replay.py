"""The state of page tables, tasks, mappings and folios at any event, out of the log; key frames keep it quick."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core_mm import vmstat

FRAME = 1 << 20  # changes of entries between two key frames
Ints = NDArray[np.int64]
MM_SHIFT, FILE_SHIFT = 24, 44  # of LOG_VMA's first operand


class Replay:
    """Of the log `rows`; `ptrs` are the entries of a table, `frames` those used. An `end` is a number of events."""

    def __init__(self, rows: Ints, ptrs: int, frames: int) -> None:
        self.rows, self.ptrs, self._frames_used = rows, ptrs, frames
        kinds = rows[:, 0]
        self._writes = np.flatnonzero((kinds == vmstat.LOG_PTE) | (kinds == vmstat.LOG_HW))
        self._ptes, self._values = rows[self._writes, 1], rows[self._writes, 3]
        self._tables, self._vmas, self._tasks = (
            np.flatnonzero(kinds == kind) for kind in (vmstat.LOG_TABLE, vmstat.LOG_VMA, vmstat.LOG_TASK)
        )

    @cached_property
    def _frames(self) -> list[Ints]:
        """Which change was the last of each entry, one more than its number, after every FRAME changes."""
        size = int(self._ptes.max(initial=0)) // self.ptrs * self.ptrs + self.ptrs
        frames = [np.zeros(size, np.int64)]
        for first in range(0, len(self._ptes) - FRAME, FRAME):
            frames.append(self._later(frames[-1], first, first + FRAME))
        return frames

    def _later(self, frame: Ints, first: int, last: int) -> Ints:
        found = frame.copy()
        np.maximum.at(found, self._ptes[first:last], np.arange(first + 1, last + 1))
        return found

    def entries(self, end: int) -> Ints:
        """Every entry of every table, by its index."""
        last = int(np.searchsorted(self._writes, end))
        number = min(last // FRAME, len(self._frames) - 1)
        changed = self._later(self._frames[number], number * FRAME, last)
        return np.concatenate(([0], self._values))[changed]

    def tasks(self, end: int) -> dict[int, int]:
        """Task -> mm, of those that have one."""
        rows = self.rows[self._tasks[: np.searchsorted(self._tasks, end)]]
        return {task: mm for task, mm in dict(rows[:, 1:3].tolist()).items() if mm}

    def ended(self, end: int, task: int) -> int:
        """The operation in which a task lost its mm for the last time before event `end`; 0 if it never had one."""
        at = self._tasks[: np.searchsorted(self._tasks, end)]
        lost = at[(self.rows[at, 1] == task) & (self.rows[at, 2] == 0)]
        if not len(lost):
            return 0
        operations = np.flatnonzero(self.rows[: lost[-1], 0] == vmstat.LOG_OP)
        return int(self.rows[operations[-1], 1])

    def pgd(self, end: int, mm: int, top: int) -> tuple[int, int]:
        """The slot of the mm's top-level table, and the event that made it."""
        at = self._tables[: np.searchsorted(self._tables, end)]
        rows = self.rows[at]
        mine = np.flatnonzero((rows[:, 2] == top) & (rows[:, 3] == mm))
        return int(rows[mine[-1], 1]), int(at[mine[-1]])

    def vmas(self, first: int, end: int, mm: int) -> list[tuple[int, int, int, int]]:
        """Start, end, flags, inode of the mappings of an mm that was made at event `first`, by address."""
        at = self._vmas[np.searchsorted(self._vmas, first) : np.searchsorted(self._vmas, end)]
        rows = self.rows[at]
        rows = rows[(rows[:, 1] >> MM_SHIFT & 0xFFFFF) == mm][::-1]
        _, latest = np.unique(rows[:, 1] & 0xFFFFFF, return_index=True)
        kept = rows[latest]
        kept = kept[kept[:, 3] != 0]
        found = zip(*kept[:, 2:5].T.tolist(), (kept[:, 1] >> FILE_SHIFT).tolist(), strict=True)
        return sorted((start, stop, flags, inode) for start, stop, flags, inode in found)

    def folios(self, end: int) -> tuple[Ints, Ints]:
        """The order of the folio of each frame, and its inode, 0 for anonymous memory."""
        rows = self.rows[:end]
        rows = rows[(rows[:, 0] == vmstat.LOG_FOLIO) | (rows[:, 0] == vmstat.LOG_FREE)]
        orders, inodes = (np.zeros(self._frames_used, np.int64) for _ in range(2))
        for kind, pfn, pages, order, inode, _ in rows.tolist():
            free = kind == vmstat.LOG_FREE
            orders[pfn : pfn + pages] = 0 if free else order
            inodes[pfn : pfn + pages] = 0 if free else inode
        return orders, inodes
