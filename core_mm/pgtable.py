"""Walking, allocating and freeing page tables (include/linux/pgtable.h, mm/memory.c).

A table is a slot of `ptes`; an entry of an upper level points to the slot of
the next table.  Level 0 is the PTE table, level 1 the PMD table, and so on.
Freed tables are empty, so that a new one need not be cleared.
"""

from __future__ import annotations

from core_mm.hookspecs import mk_table, pmd_leaf, pmd_none, table_slot
from core_mm.mm_types import ENOMEM, MM, PG_TABLE, PTDESC, PAGE, cfg, mach, ptes
from core_mm.page_alloc import alloc_pages, free_pages
from core_mm.rwonce import store
from core_mm.vmstat import LOG_TABLE, PTE_TABLE_ALLOC, PTE_TABLE_FREE, count, note


def level_shift(level: int) -> int:
    """log2 of the bytes that one entry of a table of this level spans."""
    return cfg.page_shift + level * cfg.pte_bits


def entry_at(slot: int, addr: int, level: int) -> int:
    """The entry for `addr` in the table `slot` of this level."""
    return slot * cfg.ptrs_per_pte + ((addr >> level_shift(level)) & (cfg.ptrs_per_pte - 1))


def table_alloc(mm: int, level: int) -> int:
    """A new empty table; 0 if memory is out."""
    page = alloc_pages(0)
    if page == 0:
        return 0
    slot = mach.free_tables
    if slot:
        mach.free_tables = PTDESC.next[slot]
    else:
        slot = mach.next_table
        if slot >= cfg.max_tables:
            free_pages(page, 0)
            return 0
        mach.next_table = slot + 1
    PAGE.flags[page] |= PG_TABLE
    PTDESC.page[slot] = page
    PTDESC.level[slot] = level
    PTDESC.mm[slot] = mm
    mach.tables += 1
    MM.pgtables[mm] += 1
    count(PTE_TABLE_ALLOC, 1)
    if cfg.log_ptes:
        note(LOG_TABLE, slot, level, mm, 0)
    return slot


def table_free(slot: int) -> int:
    """Give a table back; nobody may walk it any more."""
    page = PTDESC.page[slot]
    if cfg.log_ptes:
        note(LOG_TABLE, slot, -1, page, 0)
    PAGE.flags[page] &= ~PG_TABLE
    free_pages(page, 0)
    PTDESC.next[slot] = mach.free_tables
    mach.free_tables = slot
    mach.tables -= 1
    return count(PTE_TABLE_FREE, 1)


def pgd_alloc(mm: int) -> int:
    """The slot of a new top-level table; 0 if memory is out."""
    return table_alloc(mm, cfg.levels - 1)


def pgd_free(mm: int) -> int:
    """Free the top-level table."""
    table_free(MM.pgd[mm])
    MM.pgtables[mm] -= 1
    MM.pgd[mm] = 0
    return 0


def pmd_off(mm: int, addr: int) -> int:
    """The PMD entry for `addr`, 0 if a level above it is missing."""
    at = entry_at(MM.pgd[mm], addr, cfg.levels - 1)
    for level in range(cfg.levels - 2, 0, -1):
        entry = ptes[at]
        if entry == 0:
            return 0
        at = entry_at(table_slot(entry), addr, level)
    return at


def pmd_alloc(mm: int, addr: int) -> int:
    """The PMD entry for `addr`, with the levels above it made; 0 if memory is out."""
    at = entry_at(MM.pgd[mm], addr, cfg.levels - 1)
    for level in range(cfg.levels - 2, 0, -1):
        entry = ptes[at]
        if entry == 0:
            slot = table_alloc(mm, level)
            if slot == 0:
                return 0
            entry = mk_table(slot)
            store(at, entry)
        at = entry_at(table_slot(entry), addr, level)
    return at


def pud_off(mm: int, addr: int) -> int:
    """The entry that points to the PMD table of `addr`, 0 if a level above it is missing."""
    at = entry_at(MM.pgd[mm], addr, cfg.levels - 1)
    for level in range(cfg.levels - 2, 1, -1):
        entry = ptes[at]
        if entry == 0:
            return 0
        at = entry_at(table_slot(entry), addr, level)
    return at


def pud_alloc(mm: int, addr: int) -> int:
    """That entry, with the levels above it made; 0 if memory is out."""
    at = entry_at(MM.pgd[mm], addr, cfg.levels - 1)
    for level in range(cfg.levels - 2, 1, -1):
        entry = ptes[at]
        if entry == 0:
            slot = table_alloc(mm, level)
            if slot == 0:
                return 0
            entry = mk_table(slot)
            store(at, entry)
        at = entry_at(table_slot(entry), addr, level)
    return at


def pte_alloc_one(mm: int) -> int:
    """A PTE table that hangs nowhere yet; 0 if memory is out."""
    return table_alloc(mm, 0)


def pte_free(mm: int, slot: int) -> int:
    """Free a PTE table at once."""
    MM.pgtables[mm] -= 1
    return table_free(slot)


def pmd_populate(mm: int, pmdp: int, slot: int) -> int:
    """Hang a PTE table into the tree."""
    return store(pmdp, mk_table(slot))


def pte_alloc(mm: int, pmdp: int) -> int:
    """Make sure that a PTE table hangs there; 0 or -ENOMEM."""
    if ptes[pmdp] != 0:
        return 0
    slot = pte_alloc_one(mm)
    if slot == 0:
        return -ENOMEM
    return pmd_populate(mm, pmdp, slot)


def pte_offset_map(pmdp: int, addr: int) -> int:
    """The PTE for `addr`; 0 if there is no PTE table."""
    pmd = ptes[pmdp]
    if pmd_none(pmd) or pmd_leaf(pmd):
        return 0
    return entry_at(table_slot(pmd), addr, 0)


def pmd_addr_end(addr: int, end: int) -> int:
    """The end of the PMD that `addr` lies in, or `end` if that is nearer."""
    boundary = (addr + cfg.pmd_size) & -cfg.pmd_size
    return min(boundary, end)


def pmd_hole_end(mm: int, addr: int, end: int) -> int:
    """Where the next PMD entry after `addr` that has a table can be at the earliest; `addr` has none."""
    at = entry_at(MM.pgd[mm], addr, cfg.levels - 1)
    for level in range(cfg.levels - 1, 1, -1):
        entry = ptes[at]
        if entry == 0:
            return level_addr_end(addr, end, level)
        at = entry_at(table_slot(entry), addr, level - 1)
    return pmd_addr_end(addr, end)


def level_addr_end(addr: int, end: int, level: int) -> int:
    """As pmd_addr_end, for an entry of any level."""
    size = 1 << level_shift(level)
    return min((addr + size) & -size, end)
