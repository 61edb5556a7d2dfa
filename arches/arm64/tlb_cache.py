"""Translations that the TLB holds, for runs that ask for a TLB (`cfg.tlb_entries`).

Without one every access walks the tables. With one an access whose translation is held does not, so
that flags which software cleared without a flush stay clear. Direct-mapped, an entry for 4 KiB each whatever
the page size; an entry of a larger page goes with any address in that page.
"""

from __future__ import annotations

from core_mm.decl import Array, Scalars
from core_mm.mm_types import MM, cfg

tlb = Array("tlb", "tlb")  # the tag of the 4 KiB translated, and WRITE, LARGE; 0: empty
ENTRY_SHIFT = 12
ASID_BITS = 16
WRITE, LARGE = 1, 2
FLAGS = WRITE | LARGE


class tlb_state(Scalars):
    """Of the whole TLB."""

    large: int  # entries of PMD leaves may be held


def tlb_slot(addr: int) -> int:
    """Where the translation of `addr` is held."""
    return (addr >> ENTRY_SHIFT) & (cfg.tlb_entries - 1)


def tlb_tag(asid: int, addr: int) -> int:
    """What tells it from others in the same place."""
    return ((addr >> ENTRY_SHIFT << ASID_BITS) | asid) << 2


def tlb_holds(mm: int, addr: int, write: int) -> int:
    """Whether a translation is held that lets the access through."""
    held = tlb[tlb_slot(addr)]
    return held & ~FLAGS == tlb_tag(MM.asid[mm] & 0xFFFF, addr) and held & WRITE >= write


def tlb_fill(mm: int, addr: int, writable: int, large: int) -> int:
    """A walk found a leaf: hold it instead of what was there."""
    entry = tlb_tag(MM.asid[mm] & 0xFFFF, addr)
    if writable:
        entry |= WRITE
    if large:
        entry |= LARGE
        tlb_state.large = 1
    tlb[tlb_slot(addr)] = entry
    return 0


def tlb_drop(asid: int, addr: int, pages: int) -> int:
    """Invalidate `pages` pages, and larger pages that any of them lies in."""
    end = addr + (pages << cfg.page_shift)
    drop_range(asid, addr, end, 0)
    if tlb_state.large:
        drop_range(asid, addr & -cfg.pmd_size, (end + cfg.pmd_size - 1) & -cfg.pmd_size, LARGE)
    return 0


def drop_range(asid: int, addr: int, end: int, flag: int) -> int:
    """Invalidate what is held of [addr, end) and has `flag`."""
    if end - addr > cfg.tlb_entries << ENTRY_SHIFT:
        return drop_matching(asid, addr, end, flag)
    while addr < end:
        slot = tlb_slot(addr)
        if tlb[slot] & ~FLAGS == tlb_tag(asid, addr) and tlb[slot] & flag == flag:
            tlb[slot] = 0
        addr += 1 << ENTRY_SHIFT
    return 0


def drop_matching(asid: int, addr: int, end: int, flag: int) -> int:
    """The same by looking at every entry."""
    for slot in range(cfg.tlb_entries):
        held = tlb[slot] >> 2
        at = held >> ASID_BITS << ENTRY_SHIFT
        if held & 0xFFFF == asid and addr <= at < end and tlb[slot] & flag == flag:
            tlb[slot] = 0
    return 0


def tlb_drop_asid(asid: int) -> int:
    """Invalidate one address space."""
    return drop_matching(asid, 0, 1 << 56, 0)


def tlb_drop_all() -> int:
    """Empty the TLB."""
    for slot in range(cfg.tlb_entries):
        tlb[slot] = 0
    tlb_state.large = 0
    return 0
