"""Putting migration entries into page tables, and taking them out again (mm/rmap.c, mm/migrate.c; 6.12, 7.3)."""

from __future__ import annotations

from core_mm import huge_memory
from core_mm.folio import PageAnonExclusive, folio_get, folio_put, folio_test_dirty, folio_test_pmd_mappable
from core_mm.hookspecs import (
    arch_unmap_one,
    pfn_pte,
    pmd_leaf,
    pmd_none,
    pmd_pte,
    pte_dirty,
    pte_mkdirty,
    pte_mkold,
    pte_mkspecial,
    pte_mkwrite,
    pte_none,
    pte_pfn,
    pte_present,
    pte_write,
    pte_young,
    ptep_clear_flush,
    ptep_get,
    ptep_get_and_clear,
    set_ptes,
)
from core_mm.memory.rss import add_mm_counter
from core_mm.mm_types import MM_ANONPAGES, PAGE, PG_DIRTY, VM_LOCKED, VMA, cfg, mach, ptes
from core_mm.pgtable import pmd_addr_end, pmd_off, pte_offset_map
from core_mm.rmap import folio_add_anon_rmap_ptes, folio_remove_rmap_ptes, folio_try_share_anon_rmap_pte
from core_mm.rmap_walk import page_in_folio, rmap_first, rmap_next, rmap_vma, vma_address_range
from core_mm.swapops import DIRTY, EXCLUSIVE, FRAME, WRITABLE, YOUNG, make_migration_pte, migration_entry
from core_mm.tlb_batched import set_tlb_ubc_flush_pending, should_defer_flush
from core_mm.vmstat import PTEP_CLEAR_FLUSH, count


def try_to_migrate(folio: int) -> int:
    """Replace every mapping of an anonymous folio by migration entries; flushes may be deferred."""
    at = rmap_first(folio)
    while at:
        vma = rmap_vma(folio, at)
        start, end = vma_address_range(vma, folio)
        while start < end:
            after = pmd_addr_end(start, end)
            try_to_migrate_table(folio, vma, start, after)
            start = after
        at = rmap_next(folio, at)
    return 0


def try_to_migrate_table(folio: int, vma: int, address: int, end: int) -> int:
    """The part of a folio that one PTE table, or one PMD leaf, maps."""
    pmdp = pmd_off(VMA.vm_mm[vma], address)
    if not pmdp or pmd_none(ptes[pmdp]):
        return 0
    if pmd_leaf(ptes[pmdp]):
        if not folio_test_pmd_mappable(folio) or pte_pfn(pmd_pte(ptes[pmdp])) != folio:
            return 0
        huge_memory.split_huge_pmd_freeze(vma, pmdp, address)
    ptep = pte_offset_map(pmdp, address)
    first = ptep
    while address < end:
        if ptep == first or not pte_none(ptep_get(ptep)):
            pte = ptep_get(ptep)
            if pte_present(pte) and page_in_folio(pte_pfn(pte), folio):
                try_to_migrate_pte(folio, vma, address, ptep)
        ptep += 1
        address += cfg.page_size
    return 0


def try_to_migrate_pte(folio: int, vma: int, address: int, ptep: int) -> int:
    """One entry."""
    mm = VMA.vm_mm[vma]
    page = pte_pfn(ptep_get(ptep))
    exclusive = PageAnonExclusive(page)
    pte = unhook_pte(vma, address, ptep)
    if pte_dirty(pte):
        PAGE.flags[folio] |= PG_DIRTY
    if arch_unmap_one(mm, vma, address, pte) < 0:
        return set_ptes(mm, address, ptep, pte, 1)
    if exclusive:
        folio_try_share_anon_rmap_pte(folio, page)
    entry = make_migration_pte(page, pte_write(pte), exclusive, pte_young(pte), pte_dirty(pte))
    set_ptes(mm, address, ptep, entry, 1)
    folio_remove_rmap_ptes(folio, page, 1, vma)
    return folio_put(folio)


def unhook_pte(vma: int, address: int, ptep: int) -> int:
    """Clear an entry, its flush deferred where the architecture can; returns what it was."""
    mm = VMA.vm_mm[vma]
    if should_defer_flush(mm):
        pte = ptep_get_and_clear(mm, address, ptep)
        set_tlb_ubc_flush_pending(mm, pte, address, address + cfg.page_size)
        return pte
    count(PTEP_CLEAR_FLUSH, 1)
    return ptep_clear_flush(vma, address, ptep)


def remove_migration_ptes(folio: int, unused_to_zeropage: int) -> int:
    """Map the folio again wherever a migration entry stands for one of its pages, or the zero page there."""
    at = rmap_first(folio)
    while at:
        vma = rmap_vma(folio, at)
        start, end = vma_address_range(vma, folio)
        while start < end:
            remove_migration_table(folio, vma, start, pmd_addr_end(start, end), unused_to_zeropage)
            start = pmd_addr_end(start, end)
        at = rmap_next(folio, at)
    return 0


def remove_migration_table(folio: int, vma: int, address: int, end: int, unused_to_zeropage: int) -> int:
    """Those of one table."""
    pmdp = pmd_off(VMA.vm_mm[vma], address)
    ptep = pte_offset_map(pmdp, address) if pmdp else 0
    if not ptep:
        return 0
    first = ptep
    while address < end:
        if ptep == first or not pte_none(ptep_get(ptep)):
            pte = ptep_get(ptep)
            if not pte_none(pte) and not pte_present(pte):
                entry = migration_entry(pte)
                if entry and page_in_folio(entry & FRAME, folio):
                    if unused_to_zeropage and not VMA.vm_flags[vma] & VM_LOCKED:
                        map_unused_to_zeropage(vma, address, ptep)
                    else:
                        remove_migration_pte(folio, vma, address, ptep)
        ptep += 1
        address += cfg.page_size
    return 0


def map_unused_to_zeropage(vma: int, address: int, ptep: int) -> int:
    """The zero page in place of one that holds nothing (mm/migrate.c:try_to_map_unused_to_zeropage)."""
    mm = VMA.vm_mm[vma]
    set_ptes(mm, address, ptep, pte_mkspecial(pfn_pte(mach.zero_page, VMA.vm_page_prot[vma])), 1)
    return add_mm_counter(mm, MM_ANONPAGES, -1)


def remove_migration_pte(folio: int, vma: int, address: int, ptep: int) -> int:
    """One entry: the page with the permissions and state it had."""
    entry = migration_entry(ptep_get(ptep))
    page = entry & FRAME
    pte = pfn_pte(page, VMA.vm_page_prot[vma])
    if not entry & YOUNG:
        pte = pte_mkold(pte)
    if entry & DIRTY and folio_test_dirty(folio):
        pte = pte_mkdirty(pte)
    if entry & WRITABLE:
        pte = pte_mkwrite(pte)
    folio_get(folio)
    folio_add_anon_rmap_ptes(folio, page, 1, vma, address, entry & (WRITABLE | EXCLUSIVE))
    return set_ptes(VMA.vm_mm[vma], address, ptep, pte, 1)
