"""Unmapping a folio from everybody for reclaim or truncation (mm/rmap.c:try_to_unmap; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm import huge_memory
from core_mm.folio import (
    PageAnonExclusive,
    folio_mapcount,
    folio_mapped,
    folio_set_dirty,
    folio_nr_pages,
    folio_put_refs,
    folio_ref_count,
    folio_test_anon,
    folio_test_dirty,
    folio_test_large,
    folio_test_swapbacked,
)
from core_mm.hookspecs import (
    arch_unmap_one,
    clear_ptes,
    flush_tlb_range,
    pmd_leaf,
    pmd_none,
    pmd_pte,
    pte_dirty,
    pte_none,
    pte_pfn,
    pte_present,
    pte_swp_mkexclusive,
    ptep_get,
    ptep_get_lockless,
    set_ptes,
    swp_entry_to_pte,
)
from core_mm.internal import FPB_RESPECT_SOFT_DIRTY, FPB_RESPECT_WRITE, folio_pte_batch_flags
from core_mm.memory.rss import add_mm_counter, mm_counter
from core_mm.migrate import unhook_pte
from core_mm.mm_types import MM_ANONPAGES, MM_SWAPENTS, PAGE, PG_SWAPBACKED, VM_LOCKED, VMA, cfg, ptes
from core_mm.pgtable import pmd_addr_end, pmd_off, pte_offset_map
from core_mm.rmap import folio_remove_rmap_ptes, folio_try_share_anon_rmap_pte
from core_mm.rmap_walk import page_in_folio, rmap_first, rmap_next, rmap_vma, vma_address_range
from core_mm.swapfile import folio_dup_swap, swap_free_nr
from core_mm.tlb_batched import set_tlb_ubc_flush_pending, should_defer_flush


def try_to_unmap(folio: int) -> int:
    """Remove every mapping; returns whether none is left. Flushes may be deferred."""
    at = rmap_first(folio)
    while at and folio_mapped(folio):
        vma = rmap_vma(folio, at)
        if not VMA.vm_flags[vma] & VM_LOCKED:
            start, end = vma_address_range(vma, folio)
            while start < end:
                after = pmd_addr_end(start, end)
                if not try_to_unmap_table(folio, vma, start, after):
                    return 0
                start = after
        at = rmap_next(folio, at)
    return not folio_mapped(folio)


def try_to_unmap_table(folio: int, vma: int, address: int, end: int) -> int:
    """The part of a folio that one table maps; 0 if it must stay."""
    pmdp = pmd_off(VMA.vm_mm[vma], address)
    if not pmdp or pmd_none(ptes[pmdp]):
        return 1
    if pmd_leaf(ptes[pmdp]):
        if not page_in_folio(pte_pfn(pmd_pte(ptes[pmdp])), folio):
            return 1
        huge_memory.split_huge_pmd(vma, pmdp, address)
    ptep = pte_offset_map(pmdp, address)
    if ptep and not folio_test_large(folio) and not map_pte(ptep):
        return 1
    first = ptep
    while ptep and address < end:
        if ptep == first or not pte_none(ptep_get(ptep)):
            pte = ptep_get(ptep)
            if pte_present(pte) and page_in_folio(pte_pfn(pte), folio):
                nr = try_to_unmap_ptes(folio, vma, address, ptep, end)
                if nr == 0:
                    return 0
                if nr == folio_nr_pages(folio):
                    return 1
        ptep += 1
        address += cfg.page_size
    return 1


def map_pte(ptep: int) -> int:
    """Whether there is an entry to lock the table for; a large folio is looked for under the lock (TTU_SYNC)."""
    return pte_present(ptep_get_lockless(ptep) if feature.map_pte_lockless else ptep_get(ptep))


def try_to_unmap_ptes(folio: int, vma: int, address: int, ptep: int, end: int) -> int:
    """One entry, or a batch; how many, 0 if the folio must stay mapped."""
    pte = ptep_get(ptep)
    page = pte_pfn(pte)
    nr = folio_unmap_pte_batch(folio, ptep, pte, address, end)
    exclusive = folio_test_anon(folio) and PageAnonExclusive(page)
    pte = (
        unhook_ptes(vma, address, ptep, nr)
        if feature.lazyfree_unmap_batch
        else unhook_pte(vma, address, ptep)
    )
    if pte_dirty(pte):
        folio_set_dirty(folio)
    if folio_test_anon(folio):
        if not replace_anon_ptes(folio, vma, address, ptep, pte, page, nr, exclusive):
            return 0
    else:
        add_mm_counter(VMA.vm_mm[vma], mm_counter(folio), -nr)
    folio_remove_rmap_ptes(folio, page, nr, vma)
    folio_put_refs(folio, nr)
    return nr


def folio_unmap_pte_batch(folio: int, ptep: int, pte: int, address: int, end: int) -> int:
    """How many entries go at once: of file folios and of lazily freed ones, else 1."""
    if not feature.lazyfree_unmap_batch or not folio_test_large(folio):
        return 1
    if not folio_test_anon(folio) and not feature.file_unmap_batch:
        return 1
    if folio_test_anon(folio) and folio_test_swapbacked(folio):
        return 1
    limit = (end - address) >> cfg.page_shift
    flags = FPB_RESPECT_WRITE | FPB_RESPECT_SOFT_DIRTY
    nr, pte = folio_pte_batch_flags(folio, ptep, pte, limit, flags)
    return nr


def unhook_ptes(vma: int, address: int, ptep: int, nr: int) -> int:
    """Clear `nr` entries, their flush deferred where the architecture can; the first with A/D of all."""
    mm = VMA.vm_mm[vma]
    end = address + (nr << cfg.page_shift)
    pte = clear_ptes(mm, address, ptep, nr, 0)
    if should_defer_flush(mm):
        set_tlb_ubc_flush_pending(mm, pte, address, end)
    else:
        flush_tlb_range(vma, address, end)
    return pte


def replace_anon_ptes(
    folio: int, vma: int, address: int, ptep: int, pte: int, page: int, nr: int, exclusive: int
) -> int:
    """Put swap entries in place, or nothing for a page that MADV_FREE gave up and nobody wrote to since."""
    mm = VMA.vm_mm[vma]
    if not folio_test_swapbacked(folio):
        if folio_ref_count(folio) == 1 + folio_mapcount(folio) and not folio_test_dirty(folio):
            add_mm_counter(mm, MM_ANONPAGES, -nr)
            return 1
        set_ptes(mm, address, ptep, pte, nr)
        PAGE.flags[folio] |= PG_SWAPBACKED
        return 0
    entry = PAGE.private[folio] + page - folio
    if folio_dup_swap(folio, page, 1):
        set_ptes(mm, address, ptep, pte, 1)
        return 0
    if arch_unmap_one(mm, vma, address, pte) < 0:
        swap_free_nr(entry, 1)
        set_ptes(mm, address, ptep, pte, 1)
        return 0
    swap_pte = swp_entry_to_pte(entry)
    if exclusive:
        folio_try_share_anon_rmap_pte(folio, page)
        swap_pte = pte_swp_mkexclusive(swap_pte)
    add_mm_counter(mm, MM_ANONPAGES, -1)
    add_mm_counter(mm, MM_SWAPENTS, 1)
    set_ptes(mm, address, ptep, swap_pte, 1)
    return 1
