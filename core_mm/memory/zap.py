"""Unmapping (mm/memory.c:zap_pte_range and what leads to it; Linux 6.7 to 7.3)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm import huge_memory
from core_mm.decl import always_inline, noinline
from core_mm.folio import folio_mark_accessed, folio_mark_dirty, folio_test_anon, folio_test_large, page_folio
from core_mm.hookspecs import (
    arch_check_zapped_pte,
    arch_flush_tlb_batched_pending,
    clear_full_ptes,
    clear_not_present_full_ptes,
    clear_ptes,
    pmd_leaf,
    pmd_none,
    pte_dirty,
    pte_none,
    pte_pfn,
    pte_present,
    pte_special,
    pte_to_swp_entry,
    pte_young,
    ptep_get,
    ptep_get_and_clear_full,
    table_slot,
    tlb_delay_rmap,
)
from core_mm.internal import batch_hint, folio_nr_pages_cont_mapped, folio_pte_batch
from core_mm.lazy_mmu import lazy_mmu_mode_disable, lazy_mmu_mode_enable
from core_mm.lru import lru_add_drain_to_unmap, vma_has_recency
from core_mm.memory.rss import add_mm_counter, mm_counter
from core_mm.mm_types import (
    GATHER,
    MM,
    MM_ANONPAGES,
    MM_SWAPENTS,
    VMA,
    cfg,
    ptes,
)
from core_mm.mmu_gather import (
    pte_free_tlb,
    tlb_end_vma,
    tlb_finish_mmu,
    tlb_flush_mmu,
    tlb_flush_mmu_tlbonly,
    tlb_flush_rmaps,
    tlb_gather_mmu,
    tlb_get_guaranteed_space,
    tlb_remove_folio_pages,
    tlb_remove_tlb_entries,
    tlb_reserve_space,
    tlb_start_vma,
)
from core_mm.pgtable import pmd_addr_end, pmd_hole_end, pmd_off, pte_offset_map
from core_mm.rmap import folio_remove_rmap_ptes
from core_mm.rwonce import store
from core_mm.swapfile import free_swap_and_cache_nr, swap_pte_batch
from core_mm.vmstat import (
    GATHER_FLUSH_DIRTY,
    GATHER_FLUSH_FULL,
    GATHER_LEAK,
    GATHER_RESERVE_CLAMP,
    count,
)

# struct zap_details, as bits
ZAP_KEEP_COWS = 1  # truncation that leaves private copies alone
ZAP_RECLAIM_PT = 2  # free PTE tables that this empties (7.x)

FORCE_FLUSH, FORCE_BREAK, SKIPPED = 1, 2, 4


def unmap_vmas(tlb: int, vma: int, start: int, end: int) -> int:
    """Zap [start, end) of a list of VMAs."""
    while vma and VMA.vm_start[vma] < end:
        unmap_single_vma(tlb, vma, start, end, 0)
        vma = VMA.vm_next[vma]
    return 0


def unmap_single_vma(tlb: int, vma: int, start: int, end: int, details: int) -> int:
    """Zap the part of one VMA that lies in [start, end)."""
    start = max(start, VMA.vm_start[vma])
    end = min(end, VMA.vm_end[vma])
    return unmap_page_range(tlb, vma, start, end, details) if start < end else 0


def zap_page_range_single(vma: int, address: int, size: int, details: int) -> int:
    """Zap a range of one VMA in a gather of its own."""
    lru_add_drain_to_unmap()
    tlb = tlb_gather_mmu(VMA.vm_mm[vma])
    unmap_single_vma(tlb, vma, address, address + size, details)
    return tlb_finish_mmu(tlb)


def unmap_page_range(tlb: int, vma: int, addr: int, end: int, details: int) -> int:
    """Zap a range, PMD by PMD."""
    tlb_start_vma(tlb, vma)
    while addr < end:
        pmdp = pmd_off(VMA.vm_mm[vma], addr)
        if pmdp:
            addr = zap_pmd(tlb, vma, pmdp, addr, pmd_addr_end(addr, end), details)
        else:
            addr = pmd_hole_end(VMA.vm_mm[vma], addr, end)
    return tlb_end_vma(tlb, vma)


def zap_pmd(tlb: int, vma: int, pmdp: int, addr: int, end: int, details: int) -> int:
    """Zap what lies under one PMD; returns where to go on."""
    pmd = ptes[pmdp]
    if pmd_none(pmd):
        return end
    if pmd_leaf(pmd):
        if end - addr == cfg.pmd_size:
            huge_memory.zap_huge_pmd(tlb, vma, pmdp, addr)
            return end
        huge_memory.split_huge_pmd(vma, pmdp, addr)
        if pmd_none(ptes[pmdp]):  # of a file: no table is there to be zapped
            return end
    return zap_pte_range(tlb, vma, pmdp, addr, end, details)


@noinline
def zap_pte_range(tlb: int, vma: int, pmdp: int, addr: int, end: int, details: int) -> int:
    """Zap the PTEs of one table, flushing and going on whenever the gather is full."""
    mm, start, seen, reclaimed = VMA.vm_mm[vma], addr, 0, 0
    if MM.tlb_flush_batched[mm]:
        arch_flush_tlb_batched_pending(mm)
        MM.tlb_flush_batched[mm] = 0
    while addr < end:
        addr, state = zap_ptes(tlb, vma, pte_offset_map(pmdp, addr), addr, end, details)
        seen |= state
        if addr == end and feature.pt_reclaim and details & ZAP_RECLAIM_PT and end - start == cfg.pmd_size:
            reclaimed = reclaim_pte_table(pmdp, seen)
        if state & FORCE_FLUSH:
            count(GATHER_FLUSH_FULL if state & FORCE_BREAK else GATHER_FLUSH_DIRTY, 1)
            tlb_flush_mmu_tlbonly(tlb)
            tlb_flush_rmaps(tlb, vma)
            tlb_flush_mmu(tlb)
    if reclaimed:
        pte_free_tlb(tlb, reclaimed, end if feature.pt_reclaim_end else start)
    return end


def zap_ptes(tlb: int, vma: int, ptep: int, addr: int, end: int, details: int) -> tuple[int, int]:
    """Zap PTEs until the gather is full; where it stopped, and what the caller must do."""
    lazy_mmu_mode_enable()
    state = 0
    while addr < end and not state & FORCE_BREAK:
        pte = ptep_get(ptep)
        nr = 1
        if not pte_none(pte):
            limit = (end - addr) >> cfg.page_shift
            if pte_present(pte):
                nr, seen = zap_present_ptes(tlb, vma, ptep, pte, addr, limit, details)
            else:
                nr, seen = zap_nonpresent_ptes(tlb, vma, ptep, pte, addr, limit, details)
            state |= seen
        ptep += nr
        addr += nr << cfg.page_shift
    lazy_mmu_mode_disable()
    return addr, state


def reclaim_pte_table(pmdp: int, state: int) -> int:
    """Take an emptied table out of the tree (zap_empty_pte_table, 7.x); its slot, or 0 if it is not empty."""
    slot = table_slot(ptes[pmdp])
    if state & SKIPPED:
        for i in range(cfg.ptrs_per_pte):
            if not pte_none(ptep_get(slot * cfg.ptrs_per_pte + i)):
                return 0
    store(pmdp, 0)
    return slot


def zap_present_ptes(
    tlb: int, vma: int, ptep: int, pte: int, addr: int, limit: int, details: int
) -> tuple[int, int]:
    """Zap one PTE or a batch; how many, and what the caller must do."""
    if pte_special(pte):
        return 1, zap_special_pte(tlb, vma, ptep, addr)
    page = pte_pfn(pte)
    folio = page_folio(page)
    if details & ZAP_KEEP_COWS and folio_test_anon(folio):
        return 1, SKIPPED
    if feature.zap_batch:
        if limit > 1 and folio_test_large(folio):
            return zap_folio_batch(tlb, vma, folio, page, ptep, pte, addr, limit)
        return 1, zap_present_folio_ptes(tlb, vma, folio, page, ptep, pte, 1, addr)
    if feature.tlb_reserve_space or feature.tlb_get_guaranteed_space:
        return zap_reserved_ptes(tlb, vma, folio, page, ptep, pte, addr, limit)
    return 1, zap_present_folio_ptes(tlb, vma, folio, page, ptep, pte, 1, addr)


@noinline
def zap_special_pte(tlb: int, vma: int, ptep: int, addr: int) -> int:
    """Zap a PTE without a struct page."""
    pte = ptep_get_and_clear_full(VMA.vm_mm[vma], addr, ptep, GATHER.fullmm[tlb])
    arch_check_zapped_pte(vma, pte)
    return tlb_remove_tlb_entries(tlb, ptep, 1, addr)


def zap_folio_batch(
    tlb: int, vma: int, folio: int, page: int, ptep: int, pte: int, addr: int, limit: int
) -> tuple[int, int]:
    """Zap the PTEs of a large folio that follow one another; out of line, so that single pages have the registers."""
    nr = folio_pte_batch(folio, ptep, pte, limit)
    return nr, zap_present_folio_ptes(tlb, vma, folio, page, ptep, pte, nr, addr)


@always_inline
def zap_present_folio_ptes(
    tlb: int, vma: int, folio: int, page: int, ptep: int, pte: int, nr: int, addr: int
) -> int:
    """Zap `nr` PTEs of one folio: clear, record, remove the rmaps, queue the references."""
    mm, full = VMA.vm_mm[vma], GATHER.fullmm[tlb]
    delay_rmap, state = 0, 0
    if folio_test_anon(folio):
        clear_full_ptes(mm, addr, ptep, nr, full)
        add_mm_counter(mm, MM_ANONPAGES, -nr)
    else:
        pte = clear_ptes(mm, addr, ptep, nr, full)
        if pte_dirty(pte):
            folio_mark_dirty(folio)
            if tlb_delay_rmap(tlb):
                delay_rmap = 1
                state = FORCE_FLUSH
        if pte_young(pte) and vma_has_recency(vma):
            folio_mark_accessed(folio)
        add_mm_counter(mm, mm_counter(folio), -nr)
    arch_check_zapped_pte(vma, pte)
    tlb_remove_tlb_entries(tlb, ptep, nr, addr)
    if not delay_rmap:
        folio_remove_rmap_ptes(folio, page, nr, vma)
    if tlb_remove_folio_pages(tlb, page, nr, delay_rmap):
        state = FORCE_FLUSH | FORCE_BREAK
    return state


@noinline
def zap_reserved_ptes(
    tlb: int, vma: int, folio: int, page: int, ptep: int, pte: int, addr: int, limit: int
) -> tuple[int, int]:
    """December 2023: clear no more PTEs at once than the gather has slots for, a slot a page.

    The space is asked for before this batch sets `delayed_rmap`, which may then
    take the promised page of slots away: v3 loses the rest of the batch, v4
    runs past the end. Both are counted.
    """
    mm = VMA.vm_mm[vma]
    if feature.batch_hint:
        nr = min(batch_hint(ptep, pte), limit)
    else:
        nr = folio_nr_pages_cont_mapped(folio, ptep, pte, limit)
    space = tlb_reserve_space(tlb, nr) if feature.tlb_reserve_space else tlb_get_guaranteed_space(tlb)
    if space < nr:
        count(GATHER_RESERVE_CLAMP, 1)
        nr = max(space, 1)
    pte = clear_ptes(mm, addr, ptep, nr, GATHER.fullmm[tlb])
    arch_check_zapped_pte(vma, pte)
    delay_rmap, state = 0, 0
    if not folio_test_anon(folio):
        if pte_dirty(pte):
            folio_mark_dirty(folio)
            if tlb_delay_rmap(tlb):
                delay_rmap, state = 1, FORCE_FLUSH
        if pte_young(pte) and vma_has_recency(vma):
            folio_mark_accessed(folio)
    for i in range(nr):
        tlb_remove_tlb_entries(tlb, ptep + i, 1, addr + (i << cfg.page_shift))
        add_mm_counter(mm, mm_counter(folio), -1)
        if not delay_rmap:
            folio_remove_rmap_ptes(folio, page + i, 1, vma)
        if tlb_remove_folio_pages(tlb, page + i, 1, delay_rmap):
            state = FORCE_FLUSH | FORCE_BREAK
            if feature.tlb_get_guaranteed_space and i + 1 < nr:
                count(GATHER_LEAK, nr - i - 1)
                break
    return nr, state


@noinline
def zap_nonpresent_ptes(
    tlb: int, vma: int, ptep: int, pte: int, addr: int, limit: int, details: int
) -> tuple[int, int]:
    """Free swap entries; no translation of them can be cached, so that none is recorded."""
    if details & ZAP_KEEP_COWS:
        return 1, SKIPPED
    nr = swap_pte_batch(ptep, limit, pte)
    add_mm_counter(VMA.vm_mm[vma], MM_SWAPENTS, -nr)
    free_swap_and_cache_nr(pte_to_swp_entry(pte), nr)
    clear_not_present_full_ptes(VMA.vm_mm[vma], addr, ptep, nr, GATHER.fullmm[tlb])
    return nr, 0
