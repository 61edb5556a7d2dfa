"""Address spaces over time: tasks, top-level tables and mappings, a row for each change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core_mm import vmstat
from mmarch.history import History
from mmarch.history.replay import FILE_SHIFT, MM_SHIFT

Ints = NDArray[np.int64]


def tasks(history: History, ends: Ints) -> Ints:
    """Position, task, the mm it has from there on, 0 for none."""
    at = _events(history, ends, vmstat.LOG_TASK)
    return _last(np.column_stack([np.searchsorted(ends, at, side="right"), history.log.a[at], history.log.b[at]]), 2)


def tops(history: History, ends: Ints) -> Ints:
    """Position, mm, slot of its new top-level table: it begins without mappings there."""
    at = _tops(history, ends)
    return np.column_stack([np.searchsorted(ends, at, side="right"), history.log.c[at], history.log.a[at]])


def mappings(history: History, ends: Ints) -> Ints:
    """Position, number of its table in `tops`, row, first page, page behind its end (0: gone), flags, file."""
    log, top = history.log, _tops(history, ends)
    at = _events(history, ends, vmstat.LOG_VMA)
    mm = log.a[at] >> MM_SHIFT & 0xFFFFF
    made = _latest(log.c[top], top, mm, at)
    at, made = at[made >= 0], made[made >= 0]
    shift = history.setup.page_shift
    found = np.column_stack([
        np.searchsorted(ends, at, side="right"), made, log.a[at] & (1 << MM_SHIFT) - 1,
        log.b[at] >> shift, log.c[at] >> shift, log.asid[at], (log.a[at] >> FILE_SHIFT) - 1,
    ])  # fmt: skip
    return _last(found, 3)


def _tops(history: History, ends: Ints) -> Ints:
    at = _events(history, ends, vmstat.LOG_TABLE)
    top: Ints = at[history.log.b[at] == history.setup.geometry.levels - 1]
    return top


def _events(history: History, ends: Ints, kind: int) -> Ints:
    found = history.log.of_kind(kind)
    return found[: np.searchsorted(found, ends[-1])] if len(ends) else found[:0]


def _latest(keys: Ints, times: Ints, wanted: Ints, when: Ints) -> Ints:
    """Which of the events `keys` at `times` is the last one of each wanted key before its time; -1 for none."""
    if not len(keys):
        return np.full(len(wanted), -1)
    shift = int(max(times.max(initial=0), when.max(initial=0))).bit_length()
    order = np.argsort(keys << shift | times)
    found = np.searchsorted((keys << shift | times)[order], wanted << shift | when) - 1
    number = order[np.maximum(found, 0)]
    return np.where((found >= 0) & (keys[number] == wanted), number, -1)


def _last(table: Ints, columns: int) -> Ints:
    """Of rows that agree in the first columns, the last one only; in order."""
    if not len(table):
        return table
    _, from_end = np.unique(table[::-1, :columns], axis=0, return_index=True)
    return table[np.sort(len(table) - 1 - from_end)]
