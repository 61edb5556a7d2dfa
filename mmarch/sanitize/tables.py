"""Every entry of every page table, read from a machine's memory by a walk that shares nothing with core-mm's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mmarch.engine.memory import Memory
from mmarch.sanitize.entries import Entries, Numbers, Read


@dataclass
class Hung:
    """Table pages that were reached: slot -> (mm, level), and what is wrong with the tree itself."""

    tables: dict[int, tuple[int, int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Leaves:
    """One item a leaf entry: address space, first page number, where the entry is, what it says.

    huge  PMD leaves, which stand for as many pages as a table has entries
    """

    mm: Numbers
    page: Numbers
    ptep: Numbers
    huge: NDArray[np.bool_]
    read: Read


@dataclass
class _Found:
    """On the way: PTE tables with what they translate, and PMD leaves."""

    slots: list[int] = field(default_factory=list)
    bases: list[int] = field(default_factory=list)
    mms: list[int] = field(default_factory=list)
    leaves: list[tuple[int, int, int, int]] = field(default_factory=list)  # mm, page, ptep, raw


class Walk:
    """Walks the tables of a machine; `tables` is how many slots there are so far."""

    def __init__(self, memory: Memory, entries: Entries, bits: int, levels: int) -> None:
        self._rows = memory.arrays["ptes"]
        self._rows = self._rows[: len(self._rows) >> bits << bits].reshape(-1, 1 << bits)
        self._entries, self._bits, self._levels = entries, bits, levels

    def leaves(self, roots: dict[int, int], tables: int) -> tuple[Leaves, Hung]:
        """Everything that hangs under `roots`, mm -> slot of its top table."""
        hung, found = Hung(), _Found()
        for mm, root in roots.items():
            self._table(mm, root, self._levels - 1, 0, tables, hung, found)
        return self._read(found), hung

    def empty(self, slots: list[int]) -> Iterator[int]:
        """Those of `slots` that hold an entry."""
        if slots:
            chosen = np.array(slots, np.int64)
            yield from chosen[self._rows[chosen].any(axis=1)].tolist()

    def _table(
        self, mm: int, slot: int, level: int, base: int, tables: int, hung: Hung, found: _Found
    ) -> None:
        if not 0 < slot < tables:
            hung.wrong.append(
                f"mm {mm}, page {base:#x}: an entry points to table {slot}, which does not exist"
            )
            return
        if slot in hung.tables:
            other = hung.tables[slot][0]
            hung.wrong.append(f"table {slot} hangs in mm {other} and, at page {base:#x}, in mm {mm}")
            return
        hung.tables[slot] = mm, level
        if level == 0:
            found.slots.append(slot)
            found.bases.append(base)
            found.mms.append(mm)
            return
        row = self._rows[slot]
        for index in np.flatnonzero(row).tolist():
            page = base + (index << self._bits * level)
            leaf, child = self._entries.upper(int(row[index]))
            if not leaf:
                self._table(mm, child, level - 1, page, tables, hung, found)
            elif level == 1:
                found.leaves.append((mm, page, slot << self._bits | index, int(row[index])))
            else:
                hung.wrong.append(f"mm {mm}, page {page:#x}: a leaf in a table of level {level}")

    def _read(self, found: _Found) -> Leaves:
        slots = np.array(found.slots, np.int64)
        block = self._rows[slots].ravel()
        at = np.flatnonzero(block)
        table, index = at >> self._bits, at & (1 << self._bits) - 1
        huge = np.array(found.leaves, np.int64).reshape(-1, 4)
        plain = [self._entries.leaf(raw) for raw in huge[:, 3].tolist()]
        ptep = np.concatenate([slots[table] << self._bits | index, huge[:, 2]])
        raws = np.concatenate([block[at], np.array(plain, np.int64)])
        return Leaves(
            np.concatenate([np.array(found.mms, np.int64)[table], huge[:, 0]]),
            np.concatenate([np.array(found.bases, np.int64)[table] + index, huge[:, 1]]),
            ptep,
            np.arange(len(ptep)) >= len(at),
            self._entries.read(raws, ptep),
        )
