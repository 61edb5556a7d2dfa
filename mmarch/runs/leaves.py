"""The leaf entries of an address space, read out of page tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmarch.runs.entries import Entries

Ints = NDArray[np.int64]


class Leaves(NamedTuple):
    """In order of address, parallel: number of the first page, level (0: PTE, 1: PMD), raw entry."""

    pages: Ints
    levels: Ints
    raws: Ints

    def where(self, chosen: NDArray[np.bool_]) -> Leaves:
        """Some of them."""
        return Leaves(self.pages[chosen], self.levels[chosen], self.raws[chosen])


def leaves(state: Ints, entries: Entries, slot: int, top: int, bits: int) -> Leaves:
    """Of the tables below table `slot` of level `top`; `state` are the entries of all tables, `1 << bits` each."""
    found = list(_walk(state.reshape(-1, 1 << bits), entries, slot, top, 0, bits, set()))
    return Leaves(
        _joined(part[0] for part in found),
        _joined(np.full(len(part[0]), part[1]) for part in found),
        _joined(part[2] for part in found),
    )


def _joined(parts: Iterator[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _walk(
    state: Ints, entries: Entries, slot: int, level: int, page: int, bits: int, seen: set[int]
) -> Iterator[tuple[Ints, int, Ints]]:
    """Page numbers, level and raw entries of the leaves below a table that translates from `page` on.

    A table translates in one place: a file in which tables point in circles is soon through.
    """
    if slot >= len(state) or slot in seen:
        return
    seen.add(slot)
    table = state[slot]
    used = np.flatnonzero(table)
    if level == 0:
        yield page + used, 0, table[used]
        return
    for index in used.tolist():
        entry, first = int(table[index]), page + (index << level * bits)
        if level == 1 and entries.is_leaf(entry):
            yield np.array([first]), 1, np.array([entry])
        else:
            yield from _walk(state, entries, entries.child(entry), level - 1, first, bits, seen)
