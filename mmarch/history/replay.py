"""The state of page tables, tasks, mappings and folios at any event, out of the log; key frames keep it quick."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core_mm import vmstat
from mmarch.engine.log import Log
from mmarch.errors import InputError

FRAME = 1 << 20  # changes of entries between two key frames
Ints = NDArray[np.int64]
MM_SHIFT, FILE_SHIFT = 24, 44  # of LOG_VMA's first operand


class Replay:
    """Of a log; `ptrs` are the entries of a table, `frames` those used. An `end` is a number of events."""

    def __init__(self, log: Log, ptrs: int, frames: int) -> None:
        self.log, self.ptrs, self._frames_used = log, ptrs, frames
        self._writes = log.of_kind(vmstat.LOG_PTE, vmstat.LOG_HW)
        self._ptes, self._values = log.a[self._writes], log.c[self._writes]
        self._tables, self._vmas, self._tasks = (
            log.of_kind(kind) for kind in (vmstat.LOG_TABLE, vmstat.LOG_VMA, vmstat.LOG_TASK)
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
        at = self._tasks[: np.searchsorted(self._tasks, end)]
        last = dict(zip(self.log.a[at].tolist(), self.log.b[at].tolist(), strict=True))
        return {task: mm for task, mm in last.items() if mm}

    @property
    def all_tasks(self) -> set[int]:
        """Those that ever have one."""
        return set(self.log.a[self._tasks].tolist())

    def ended(self, end: int, task: int) -> int:
        """The operation in which a task lost its mm for the last time before event `end`; 0 if it never had one."""
        at = self._tasks[: np.searchsorted(self._tasks, end)]
        lost = at[(self.log.a[at] == task) & (self.log.b[at] == 0)]
        if not len(lost):
            return 0
        operations = np.flatnonzero(self.log.kind[: lost[-1]] == vmstat.LOG_OP)
        return int(self.log.a[operations[-1]])

    def pgd(self, end: int, mm: int, top: int) -> tuple[int, int]:
        """The slot of the mm's top-level table, and the event that made it; InputError if a file has none."""
        at = self._tables[: np.searchsorted(self._tables, end)]
        made = at[(self.log.b[at] == top) & (self.log.c[at] == mm)]
        if not len(made):
            raise InputError(
                f"the log is damaged: address space {mm} never got a page table; record it again"
            )
        return int(self.log.a[made[-1]]), int(made[-1])

    def vmas(self, first: int, end: int, mm: int) -> list[tuple[int, int, int, int]]:
        """Start, end, flags, inode of the mappings of an mm that was made at event `first`, by address."""
        at = self._vmas[np.searchsorted(self._vmas, first) : np.searchsorted(self._vmas, end)]
        log = self.log
        at = at[(log.a[at] >> MM_SHIFT & 0xFFFFF) == mm][::-1]
        _, latest = np.unique(log.a[at] & 0xFFFFFF, return_index=True)
        kept = at[latest]
        kept = kept[log.c[kept] != 0]
        columns = (log.b[kept], log.c[kept], log.asid[kept], log.a[kept] >> FILE_SHIFT)
        return sorted(zip(*(column.tolist() for column in columns), strict=True))

    def folios(self, end: int) -> tuple[Ints, Ints]:
        """The order of the folio of each frame, and its inode, 0 for anonymous memory."""
        at = self.log.of_kind(vmstat.LOG_FOLIO, vmstat.LOG_FREE)
        at = at[: np.searchsorted(at, end)]
        orders, inodes = (np.zeros(self._frames_used, np.int64) for _ in range(2))
        columns = [column[at].tolist() for column in self.log.columns().values()]
        for kind, pfn, pages, order, inode, _ in zip(*columns, strict=True):
            free = kind == vmstat.LOG_FREE
            orders[pfn : pfn + pages] = 0 if free else order
            inodes[pfn : pfn + pages] = 0 if free else inode
        return orders, inodes
