"""MADV_COLD, MADV_PAGEOUT and MADV_FREE on page tables (mm/madvise.c)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm import folio_split, huge_memory
from core_mm.folio import (
    folio_clear_flag, folio_get, folio_mapcount, folio_nr_pages, folio_put, folio_test_anon, folio_test_dirty,
    folio_test_large, folio_test_swapbacked, folio_test_swapcache, page_folio,
)  # fmt: skip
from core_mm.hookspecs import (
    clear_not_present_full_ptes, clear_young_dirty_ptes, pmd_leaf, pmd_none, pmd_pte, pmdp_invalidate,
    pmdp_test_and_clear_young, pmd_mkhuge, pte_dirty, pte_mkold, pte_none, pte_pfn, pte_present, pte_special,
    pte_to_swp_entry, pte_young, ptep_get, set_pmd_at,
)  # fmt: skip
from core_mm.internal import FPB_MERGE_YOUNG_DIRTY, folio_pte_batch_flags
from core_mm.lazy_mmu import lazy_mmu_mode_disable, lazy_mmu_mode_enable
from core_mm.lru import folio_batch_add_and_move, folio_deactivate, lru_add_drain
from core_mm.memory.rss import add_mm_counter
from core_mm.mm_types import MM_SWAPENTS, PG_DIRTY, PG_REFERENCED, PG_SWAPBACKED, VMA, cfg, mach, ptes
from core_mm.mmu_gather import (
    tlb_end_vma, tlb_finish_mmu, tlb_gather_mmu, tlb_remove_pmd_tlb_entry, tlb_remove_tlb_entries, tlb_start_vma,
)  # fmt: skip
from core_mm.pgtable import pmd_addr_end, pmd_hole_end, pmd_off, pte_offset_map
from core_mm.reclaim import folio_isolate_lru, reclaim_pages
from core_mm.rmap import folio_maybe_mapped_shared
from core_mm.swap_state import folio_free_swap
from core_mm.swapfile import free_swap_and_cache_nr, swap_pte_batch
from core_mm.tlb_batched import flush_tlb_batched_pending

CYDP_CLEAR_YOUNG, CYDP_CLEAR_DIRTY = 1, 2


def split_partly_advised(folio: int) -> int:
    """A large folio that the range holds only in part is split. Returns 0, or -errno if it stays whole."""
    folio_get(folio)
    error = folio_split.split_folio(folio)
    folio_put(folio)
    return error


def split_in_table(mm: int, folio: int) -> int:
    """The same in the middle of a table, whose lock is dropped meanwhile."""
    lazy_mmu_mode_disable()
    error = split_partly_advised(folio)
    flush_tlb_batched_pending(mm)
    lazy_mmu_mode_enable()
    return error


def advised_batch(folio: int, ptep: int, pte: int, addr: int, end: int) -> tuple[int, int]:
    """How many PTEs of a folio follow within the range, and the first with their young and dirty state."""
    if not folio_test_large(folio):
        return 1, pte
    limit = (end - addr) >> cfg.page_shift
    return folio_pte_batch_flags(folio, ptep, pte, limit, FPB_MERGE_YOUNG_DIRTY)


# --- MADV_FREE ---


def madvise_free_range(tlb: int, vma: int, start: int, end: int) -> int:
    """Mark the anonymous pages of a range as free to drop (madvise_free_pte_range)."""
    lru_add_drain()
    addr = start
    while addr < end:
        pmdp = pmd_off(VMA.vm_mm[vma], addr)
        after = pmd_addr_end(addr, end) if pmdp else pmd_hole_end(VMA.vm_mm[vma], addr, end)
        if pmdp and not pmd_none(ptes[pmdp]):
            if not pmd_leaf(ptes[pmdp]) or not free_huge_pmd(tlb, vma, pmdp, addr, after):
                if not pmd_leaf(ptes[pmdp]):
                    free_pte_range(tlb, vma, pmdp, addr, after)
        addr = after
    return 0


def free_huge_pmd(tlb: int, vma: int, pmdp: int, addr: int, end: int) -> int:
    """A huge page: whole, or split first. Returns whether the PTEs need no look."""
    if end - addr == cfg.pmd_size:
        return huge_memory.madvise_free_huge_pmd(tlb, vma, pmdp, addr)
    pte = pmd_pte(ptes[pmdp])
    if pte_special(pte):
        return 1
    folio = page_folio(pte_pfn(pte))
    if not folio_maybe_mapped_shared(folio):
        split_partly_advised(folio)
    return 0


def free_pte_range(tlb: int, vma: int, pmdp: int, addr: int, end: int) -> int:
    """The PTEs of one table."""
    mm = VMA.vm_mm[vma]
    ptep = pte_offset_map(pmdp, addr)
    flush_tlb_batched_pending(mm)
    lazy_mmu_mode_enable()
    while addr < end and ptep:
        pte = ptep_get(ptep)
        nr = 1
        if not pte_none(pte) and not pte_present(pte):
            nr = swap_pte_batch(ptep, (end - addr) >> cfg.page_shift, pte)
            add_mm_counter(mm, MM_SWAPENTS, -nr)
            free_swap_and_cache_nr(pte_to_swp_entry(pte), nr)
            clear_not_present_full_ptes(mm, addr, ptep, nr, 0)
        elif not pte_none(pte) and not pte_special(pte):
            nr = free_present(tlb, vma, ptep, pte, addr, end)
            if nr == 0:
                ptep = pte_offset_map(pmdp, addr)
        ptep += nr
        addr += nr << cfg.page_shift
    return lazy_mmu_mode_disable()


def free_present(tlb: int, vma: int, ptep: int, pte: int, addr: int, end: int) -> int:
    """One folio's PTEs; returns how many are done, 0 if the folio was split and they must be read again."""
    folio = page_folio(pte_pfn(pte))
    if not feature.madvise_free_batch and folio_test_large(folio):
        return split_before_free(VMA.vm_mm[vma], folio, (end - addr) >> cfg.page_shift)
    nr, pte = advised_batch(folio, ptep, pte, addr, end)
    if nr < folio_nr_pages(folio):
        if folio_maybe_mapped_shared(folio) or split_in_table(VMA.vm_mm[vma], folio):
            return nr
        return 0
    if folio_test_swapcache(folio) or folio_test_dirty(folio):
        if folio_mapcount(folio) != nr:
            return nr
        if folio_test_swapcache(folio) and not folio_free_swap(folio):
            return nr
        folio_clear_flag(folio, PG_DIRTY)
    if pte_young(pte) or pte_dirty(pte):
        clear_young_dirty_ptes(vma, addr, ptep, nr, CYDP_CLEAR_YOUNG | CYDP_CLEAR_DIRTY)
        tlb_remove_tlb_entries(tlb, ptep, nr, addr)
    return folio_mark_lazyfree(folio) + nr


def split_before_free(mm: int, folio: int, rest: int) -> int:
    """Before 6.10 even what the range holds whole; one that cannot be split ends the table (`rest` PTEs)."""
    if folio_maybe_mapped_shared(folio) or split_in_table(mm, folio):
        return rest
    return 0


def folio_mark_lazyfree(folio: int) -> int:
    """Reclaim may drop it without writing it (mm/swap.c)."""
    if folio_test_anon(folio) and folio_test_swapbacked(folio) and not folio_test_swapcache(folio):
        folio_clear_flag(folio, PG_SWAPBACKED | PG_REFERENCED)
        folio_batch_add_and_move(folio)
    return 0


# --- MADV_COLD and MADV_PAGEOUT ---


def madvise_cold_page_range(vma: int, start: int, end: int, pageout: int) -> int:
    """Age the pages of a range, or reclaim them."""
    lru_add_drain()
    tlb = tlb_gather_mmu(VMA.vm_mm[vma])
    tlb_start_vma(tlb, vma)
    addr = start
    while addr < end:
        pmdp = pmd_off(VMA.vm_mm[vma], addr)
        after = pmd_addr_end(addr, end) if pmdp else pmd_hole_end(VMA.vm_mm[vma], addr, end)
        if pmdp and not pmd_none(ptes[pmdp]):
            if not pmd_leaf(ptes[pmdp]) or not cold_huge_pmd(tlb, vma, pmdp, addr, after, pageout):
                cold_pte_range(tlb, vma, pmdp, addr, after, pageout)
        if mach.nr_isolated:
            reclaim_pages(mach.nr_isolated)
            mach.nr_isolated = 0
        addr = after
    tlb_end_vma(tlb, vma)
    return tlb_finish_mmu(tlb)


def cold_huge_pmd(tlb: int, vma: int, pmdp: int, addr: int, end: int, pageout: int) -> int:
    """A huge page: whole, or split first. Returns whether the PTEs need no look."""
    pmd = ptes[pmdp]
    pte = pmd_pte(pmd)
    if pte_special(pte):
        return 1
    folio = page_folio(pte_pfn(pte))
    if folio_maybe_mapped_shared(folio):
        return 1
    if end - addr != cfg.pmd_size:
        return int(split_partly_advised(folio) != 0)
    if not pageout and pte_young(pte):
        if feature.madv_cold_pmd_young:
            pmdp_test_and_clear_young(vma, addr, pmdp)
        else:
            old = pmd_pte(pmdp_invalidate(vma, addr, pmdp))
            set_pmd_at(VMA.vm_mm[vma], addr, pmdp, pmd_mkhuge(pte_mkold(old)))
        tlb_remove_pmd_tlb_entry(tlb, pmdp, addr)
    folio_clear_flag(folio, PG_REFERENCED)
    if pageout:
        folio_isolate_lru(folio)
    else:
        folio_deactivate(folio)
    return 1


def cold_pte_range(tlb: int, vma: int, pmdp: int, addr: int, end: int, pageout: int) -> int:
    """The PTEs of one table."""
    ptep = pte_offset_map(pmdp, addr)
    if ptep == 0:  # a huge page of a file is gone once it is split
        return 0
    flush_tlb_batched_pending(VMA.vm_mm[vma])
    lazy_mmu_mode_enable()
    while addr < end and ptep:
        pte = ptep_get(ptep)
        nr = 1
        if not pte_none(pte) and pte_present(pte) and not pte_special(pte):
            nr = cold_present(tlb, vma, ptep, pte, addr, end, pageout)
            if nr == 0:
                ptep = pte_offset_map(pmdp, addr)
        ptep += nr
        addr += nr << cfg.page_shift
    return lazy_mmu_mode_disable()


def cold_present(tlb: int, vma: int, ptep: int, pte: int, addr: int, end: int, pageout: int) -> int:
    """One folio's PTEs; returns how many are done, 0 if the folio was split and they must be read again."""
    folio = page_folio(pte_pfn(pte))
    nr, pte = advised_batch(folio, ptep, pte, addr, end)
    if nr < folio_nr_pages(folio):
        if folio_maybe_mapped_shared(folio) or split_in_table(VMA.vm_mm[vma], folio):
            return nr
        return 0
    if folio_mapcount(folio) != nr:
        return nr
    if not pageout and pte_young(pte):
        clear_young_dirty_ptes(vma, addr, ptep, nr, CYDP_CLEAR_YOUNG)
        tlb_remove_tlb_entries(tlb, ptep, nr, addr)
    folio_clear_flag(folio, PG_REFERENCED)
    if pageout:
        folio_isolate_lru(folio)
    else:
        folio_deactivate(folio)
    return nr
