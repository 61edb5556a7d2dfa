"""The cells of the page-table map: what each entry of each table is, and when it changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core_mm import vmstat
from mmarch.engine.log import Log
from mmarch.history import History
from mmarch.runs.entries import Entries

Ints = NDArray[np.int64]
NONE, SINGLE, FOLDED, BROKEN, SWAP, HUGE, TABLE = range(7)
YOUNG, DIRTY, WRITE = 8, 16, 32
CHILD = 6  # of a TABLE, the slot of the table that it points to begins at this bit


def changes(history: History, ends: Ints) -> Ints:
    """Runs of cells that change alike, in order: position, first cell, cells, what they become.

    A position is what lies between two of `ends`, which are numbers of events. A cell is an entry's index in
    all tables.
    """
    log = history.log
    at = log.of_kind(vmstat.LOG_PTE, vmstat.LOG_HW)
    at = at[: np.searchsorted(at, ends[-1])] if len(ends) else at[:0]
    position, cell = np.searchsorted(ends, at, side="right"), log.a[at]
    order = np.lexsort((at, position, cell))
    position, cell, at = position[order], cell[order], at[order]
    last = np.ones(len(at), bool)  # of each cell in each position
    last[:-1] = (position[1:] != position[:-1]) | (cell[1:] != cell[:-1])
    position, cell, at = position[last], cell[last], at[last]
    pte_bits = history.setup.geometry.pte_bits
    value = _broken(_values(history, log.c[at], _levels(log, cell >> pte_bits, at)), cell)
    return _runs(position, cell, value)


def _levels(log: Log, slots: Ints, at: Ints) -> Ints:
    """The level of the table in each slot at the time of each event."""
    made = log.of_kind(vmstat.LOG_TABLE)
    made = made[log.b[made] >= 0]
    shift = len(log).bit_length()
    keys = log.a[made] << shift | made
    order = np.argsort(keys)
    found = np.searchsorted(keys[order], slots << shift | at) - 1
    return log.b[made[order]][found] if len(made) else np.zeros(len(at), np.int64)


def _values(history: History, raws: Ints, levels: Ints) -> Ints:
    """What each entry is; the architecture is asked once for entries that differ in their frames alone."""
    entries, upper = history.entries, levels > 0
    frame_bits = entries.hooks["pfn_pte"]((1 << history.frames.bit_length()) - 1, 0)
    keys = np.where(upper | (raws == 0), raws, raws & ~np.int64(frame_bits) | 1 << 62)
    _, first, which = np.unique(np.stack([keys, levels], 1), axis=0, return_index=True, return_inverse=True)
    pairs = zip(raws[first].tolist(), levels[first].tolist(), strict=True)
    known = [value(entries, raw, level) for raw, level in pairs]
    return np.array(known, np.int64)[which.ravel()] if known else np.zeros(0, np.int64)


def value(entries: Entries, raw: int, level: int) -> int:
    """One entry of a table of that level, as a cell."""
    if not raw:
        return NONE
    if level and not entries.is_leaf(raw):
        return TABLE | entries.child(raw) << CHILD
    if not entries.present(raw):
        return SWAP
    kind = HUGE if level else FOLDED if entries.block > 1 and raw & entries.cont_mask else SINGLE
    hooks = entries.hooks
    marks = ((YOUNG, "pte_young"), (DIRTY, "pte_dirty"), (WRITE, "pte_write"))
    return kind | sum(bit for bit, hook in marks if hooks[hook](raw))


def _broken(values: Ints, cells: Ints) -> Ints:
    """Single entries that were folded before are broken, until they are unmapped or folded again."""
    kinds, number = values & 7, np.arange(len(values))
    begin = np.ones(len(values), bool)
    begin[1:] = cells[1:] != cells[:-1]
    first = np.maximum.accumulate(np.where(begin, number, 0))
    other = np.maximum.accumulate(np.where(kinds != SINGLE, number, -1))
    broken = (kinds == SINGLE) & (other >= first) & (kinds[other] == FOLDED)
    return np.where(broken, values - SINGLE + BROKEN, values)


def _runs(position: Ints, cell: Ints, value: Ints) -> Ints:
    """From changes in order of cell to runs in order of position, without those that change nothing."""
    before = np.zeros(len(value), np.int64)
    before[1:] = np.where(cell[1:] == cell[:-1], value[:-1], NONE)
    real = value != before
    position, cell, value = position[real], cell[real], value[real]
    order = np.lexsort((cell, position))
    position, cell, value = position[order], cell[order], value[order]
    begin = np.ones(len(cell), bool)
    begin[1:] = (position[1:] != position[:-1]) | (cell[1:] != cell[:-1] + 1) | (value[1:] != value[:-1])
    start = np.flatnonzero(begin)
    lengths = np.diff(np.append(start, len(cell)))
    return np.stack([position[start], cell[start], lengths, value[start]], axis=1)
