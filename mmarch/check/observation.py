"""What core-mm can observe of a machine, and where two of them differ up to a renaming of frames and swap slots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from core_mm import observe as o
from core_mm.mm_types import PG_ACTIVE, PG_DIRTY, PG_ORDER_SHIFT, PG_REFERENCED
from mmarch.engine.machine import Machine
from mmarch.errors import InputError

OBSERVED = (cast(FunctionType, o.observe),)  # what a machine has to be able to call
SEEN = 1 << 24  # and what it writes to
Rows = NDArray[np.int64]  # (n, WIDTH) of core_mm.observe
RENAMED = (o.FRAME, o.FOLIO, o.SLOT)
BITS = {
    o.SEEN_VALID: "valid", o.SEEN_YOUNG: "young", o.SEEN_DIRTY: "dirty", o.SEEN_WRITE: "write",
    o.SEEN_SPECIAL: "special", o.SEEN_PROTNONE: "protnone",
}  # fmt: skip
ENTRIES = (o.SEEN_PTE, o.SEEN_PMD)
OTHERS = {o.SEEN_VMA: "mapping", o.SEEN_MM: "rss"}
COLUMNS = {
    o.FRAME: "sharing", o.ENTRY: "entry", o.FOLIO: "folio", o.PLACE: "folio", o.REFERENCES: "references",
    o.MAPCOUNT: "mapcount", o.EXCLUSIVE: "exclusive", o.FOLIO_MAPCOUNT: "mapcount", o.ENTIRE_MAPCOUNT: "mapcount",
    o.SLOT: "swap", o.SLOT_REFERENCES: "swap",
}  # fmt: skip
# What a series may declare to change.
ASPECTS = (
    "result", "mapped", *(name + way for name in BITS.values() for way in ("_set", "_cleared")), "entry", "sharing",
    "folio", "folio_dirty_set", "folio_dirty_cleared", "folio_accessed_set", "folio_accessed_cleared", "references",
    "mapcount", "exclusive", "swap", "mapping", "rss", "memory", "warning",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One thing that differs: rows of both sides, None where there is none, and in which aspects."""

    plain: Rows | None
    changed: Rows | None
    aspects: frozenset[str]


def take(machine: Machine) -> Rows:
    """What can be observed now; a view of the machine's memory.

    InputError if there is no room for it.
    """
    count = machine.call("observe")
    room = machine.memory.get("cfg", "seen_capacity") // o.WIDTH - 1
    if count > room:
        raise InputError(f"{count:,} things can be observed; there is room for {room:,}")
    return machine.memory.arrays["seen"][o.WIDTH : (count + 1) * o.WIDTH].reshape(-1, o.WIDTH)


def canonical(rows: Rows, private: int) -> Rows:
    """With frames and slots named in the order in which they appear, without the bits of entries in `private`."""
    named = rows.copy()
    values = rows[:, RENAMED].ravel()
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    names = np.empty(len(first), np.int64)
    names[np.argsort(first)] = np.arange(1, len(first) + 1)
    named[:, RENAMED] = np.where(values == 0, 0, names[inverse]).reshape(-1, len(RENAMED))
    entries = np.isin(rows[:, o.KIND], ENTRIES)
    named[entries, o.ENTRY] &= ~private
    return named


def differences(plain: Rows, changed: Rows, private: int) -> Iterator[Place]:
    """Everything that differs, in order; later ones may follow from the first."""
    if np.array_equal(plain, changed):
        return
    ours, theirs = canonical(plain, private), canonical(changed, private)
    if np.array_equal(ours, theirs):
        return
    by_name = {_name(row): row for row in theirs}
    for row in ours:
        other = by_name.pop(_name(row), None)
        if other is None or not np.array_equal(row, other):
            yield Place(row, other, _aspects(row, other))
    for row in by_name.values():
        yield Place(None, row, _aspects(row, None))


def _name(row: Rows) -> tuple[int, ...]:
    """What a row is about: of a page the same whether it is there, huge, or in swap."""
    kind = int(row[o.KIND])
    family = (
        o.SEEN_PTE if kind in (*ENTRIES, o.SEEN_SWAP) else o.SEEN_CACHED if kind == o.SEEN_STORED else kind
    )
    return family, int(row[o.OWNER]), int(row[o.AT])


def _aspects(row: Rows, other: Rows | None) -> frozenset[str]:
    kind = int(row[o.KIND])
    if kind in OTHERS:
        return frozenset({OTHERS[kind]})
    if other is None or kind != int(other[o.KIND]):
        return frozenset({"mapped"})
    differing = set(np.flatnonzero(row != other).tolist())
    if kind == o.SEEN_MACHINE:
        names = {o.ENTRY: "memory", o.BITS: "warning", o.FLAGS: "swap"}
        return frozenset(names[column] for column in differing)
    found = {COLUMNS[column] for column in differing if column in COLUMNS}
    if o.BITS in differing:
        found |= _bits(kind, int(row[o.BITS]), int(other[o.BITS]))
        found.discard("entry")  # the same, in the architecture's bits
    if o.FLAGS in differing:
        found |= _flags(int(row[o.FLAGS]), int(other[o.FLAGS]))
    return frozenset(found)


def _bits(kind: int, plain: int, changed: int) -> set[str]:
    if kind == o.SEEN_SWAP:
        return {"exclusive"}
    return {_way(name, changed & bit) for bit, name in BITS.items() if (plain ^ changed) & bit}


def _way(name: str, now: int) -> str:
    """Which way it differs: set, or cleared, where it is not so without the series."""
    return f"{name}_set" if now else f"{name}_cleared"


def _flags(plain: int, changed: int) -> set[str]:
    both = plain ^ changed
    found = {
        _way(name, changed & mask & both)
        for mask, name in ((PG_DIRTY, "folio_dirty"), (PG_REFERENCED | PG_ACTIVE, "folio_accessed"))
        if both & mask
    }
    return found | ({"folio"} if both & ~(PG_DIRTY | PG_REFERENCED | PG_ACTIVE) else set())


def order(row: Rows) -> int:
    """Of the folio in a row."""
    return int(row[o.FLAGS]) >> PG_ORDER_SHIFT
