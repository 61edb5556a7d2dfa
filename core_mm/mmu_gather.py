"""Gathering pages and ranges until one TLB flush serves them all (mm/mmu_gather.c, asm-generic/tlb.h).

Slots hold a page frame number shifted by two and two flags; with
NR_PAGES_NEXT the next slot holds a number of consecutive pages of the folio
(since Linux 6.9).  Before, every page took a slot and a batch was full when its
last slot was taken.
"""

from __future__ import annotations

from core_mm.features import feature
from core_mm.folio import folio_put_refs, page_folio
from core_mm.hookspecs import tlb_flush, tlb_merge_vmas
from core_mm.mm_types import (
    BATCH,
    GATHER,
    MM,
    VM_EXEC,
    VM_PFNMAP,
    VMA,
    cfg,
    mach,
    slots,
)
from core_mm.page_alloc import alloc_page_nowait, free_pages
from core_mm.pgtable import table_free
from core_mm.rmap import folio_remove_rmap_ptes
from core_mm.swap_state import free_swap_cache
from core_mm.vmstat import (
    GATHER_FLUSH,
    GATHER_FLUSH_FINISH,
    GATHER_FLUSH_TABLES,
    GATHER_FLUSH_VMA,
    GATHER_OVERFLOW,
    GATHER_PAGE,
    GATHER_SLOTS,
    LOG_EXIT,
    TLB_FINISH_MMU,
    TLB_GATHER_MMU,
    TLB_NEXT_BATCH,
    TLB_REMOVE_FOLIO_PAGES,
    TLB_REMOVE_TABLE,
    W_GATHER_RANGE,
    WARN,
    count,
    note,
)

MMU_GATHER_BUNDLE = 8
DELAY_RMAP, NR_PAGES_NEXT = 1, 2
UNBOUNDED = 1 << 62
SPARE_SLOTS = 520  # room past `max` that the fourth version of the 2023 series could overrun


# --- batches ---


def slot_base(batch: int) -> int:
    """Where a batch's slots begin."""
    return batch * (cfg.max_gather_batch + SPARE_SLOTS)


def batch_alloc(limit: int, page: int) -> int:
    """A batch header; 0 if there is room for no more."""
    batch = mach.free_batches
    if batch:
        mach.free_batches = BATCH.next[batch]
    else:
        batch = mach.next_batch
        if batch >= cfg.max_batches:
            return 0
        mach.next_batch = batch + 1
    BATCH.next[batch] = 0
    BATCH.nr[batch] = 0
    BATCH.max[batch] = limit
    BATCH.page[batch] = page
    return batch


def batch_alloc_page(limit: int) -> int:
    """A batch in a page of its own; 0 without memory, or without room for its header."""
    page = alloc_page_nowait()
    batch = batch_alloc(limit, page) if page else 0
    if page and not batch:
        free_pages(page, 0)
    return batch


def batch_free(batch: int) -> int:
    """Give a batch, and the page it lies in, back."""
    if BATCH.page[batch]:
        free_pages(BATCH.page[batch], 0)
    BATCH.next[batch] = mach.free_batches
    mach.free_batches = batch
    return 0


def tlb_next_batch(tlb: int) -> int:
    """Go on to the next page of slots; 0 if there is none to be had.

    While rmap removals are delayed only the embedded slots and one page are
    allowed (Linux 6.2, "mm: mmu_gather: allow more than one batch of delayed rmaps").
    """
    count(TLB_NEXT_BATCH, 1)
    active = GATHER.active[tlb]
    if GATHER.delayed_rmap[tlb] and active != GATHER.local[tlb]:
        return 0
    following = BATCH.next[active]
    if following:
        GATHER.active[tlb] = following
        return 1
    if GATHER.batch_count[tlb] == cfg.max_gather_batch_count:
        return 0
    batch = batch_alloc_page(cfg.max_gather_batch)
    if batch == 0:
        return 0
    count(GATHER_PAGE, 1)
    GATHER.batch_count[tlb] += 1
    BATCH.next[active] = batch
    GATHER.active[tlb] = batch
    return 1


def tlb_get_guaranteed_space(tlb: int) -> int:
    """Slots that are certain, the next page's included: it is allocated whether needed or not (Dec 2023, v3)."""
    batch = GATHER.active[tlb]
    extra = 0
    if tlb_next_batch(tlb):
        GATHER.active[tlb] = batch
        extra = BATCH.max[BATCH.next[batch]]
    return BATCH.max[batch] - BATCH.nr[batch] + extra


def tlb_reserve_space(tlb: int, nr: int) -> int:
    """Slots that are certain, allocating only while fewer than `nr` are (Dec 2023, v4)."""
    batch = GATHER.active[tlb]
    space = BATCH.max[batch] - BATCH.nr[batch]
    while space < nr:
        if not tlb_next_batch(tlb):
            break
        space += BATCH.max[GATHER.active[tlb]]
    GATHER.active[tlb] = batch
    return space


def put_slot(batch: int, value: int) -> int:
    """Append one slot; past the end only the 2023 v4 series could, and it is reported."""
    nr = BATCH.nr[batch]
    if nr >= BATCH.max[batch]:
        count(GATHER_OVERFLOW, 1)
        if nr >= BATCH.max[batch] + SPARE_SLOTS:
            return WARN(W_GATHER_RANGE, nr)
    slots[slot_base(batch) + nr] = value
    BATCH.nr[batch] = nr + 1
    return count(GATHER_SLOTS, 1)


def tlb_remove_folio_pages(tlb: int, page: int, nr: int, delay_rmap: int) -> int:
    """`__tlb_remove_folio_pages`: queue `nr` references; 1 if the gather is full (this entry is queued)."""
    count(TLB_REMOVE_FOLIO_PAGES, 1)
    return queue_pages(tlb, page, nr, delay_rmap)


def queue_pages(tlb: int, page: int, nr: int, delay_rmap: int) -> int:
    """`__tlb_remove_folio_pages_size`: queue `nr` references; 1 if the gather is full (this entry is queued)."""
    batch = GATHER.active[tlb]
    if nr == 1:
        put_slot(batch, page << 2 | delay_rmap)
    else:
        put_slot(batch, page << 2 | delay_rmap | NR_PAGES_NEXT)
        put_slot(batch, nr)
    if BATCH.nr[batch] >= BATCH.max[batch] - feature.gather_pairs:
        return not tlb_next_batch(tlb)
    return 0


def tlb_remove_page_size(tlb: int, page: int, nr: int) -> int:
    """Queue a page or huge page; a full gather is flushed at once."""
    if queue_pages(tlb, page, nr if feature.gather_pairs else 1, 0):
        tlb_flush_mmu(tlb)
    return 0


# --- begin and end ---


def tlb_gather_start(mm: int, fullmm: int) -> int:
    """A fresh gather; its row goes back at tlb_finish_mmu."""
    tlb = mach.next_gather
    mach.next_gather = tlb + 1
    local = batch_alloc(MMU_GATHER_BUNDLE, 0)
    GATHER.mm[tlb] = mm
    GATHER.table_batch[tlb] = 0
    GATHER.fullmm[tlb] = fullmm
    GATHER.need_flush_all[tlb] = 0
    GATHER.delayed_rmap[tlb] = 0
    GATHER.vma_exec[tlb] = 0
    GATHER.vma_pfn[tlb] = 0
    GATHER.batch_count[tlb] = 0
    GATHER.active[tlb] = local
    GATHER.local[tlb] = local
    tlb_reset_range(tlb)
    MM.tlb_flush_pending[mm] += 1
    return tlb


def tlb_gather_mmu(mm: int) -> int:
    """Begin a gather."""
    count(TLB_GATHER_MMU, 1)
    return tlb_gather_start(mm, 0)


def tlb_gather_mmu_fullmm(mm: int) -> int:
    """Begin the gather of an mm that goes away."""
    if cfg.log_ptes:
        note(LOG_EXIT, mm, 0, 0, 0)
    return tlb_gather_start(mm, 1)


def tlb_finish_mmu(tlb: int) -> int:
    """Flush, free everything, end. Another gather under way may have hidden entries from this one."""
    count(TLB_FINISH_MMU, 1)
    mm = GATHER.mm[tlb]
    if MM.tlb_flush_pending[mm] > 1:
        GATHER.fullmm[tlb] = 1
        tlb_reset_range(tlb)
        GATHER.freed_tables[tlb] = 1
    if tlb_has_range(tlb):
        count(GATHER_FLUSH_FINISH, 1)
    tlb_flush_mmu(tlb)
    batch = GATHER.local[tlb]
    while batch:
        following = BATCH.next[batch]
        batch_free(batch)
        batch = following
    MM.tlb_flush_pending[mm] -= 1
    mach.next_gather -= 1
    return 0


# --- ranges ---


def tlb_reset_range(tlb: int) -> int:
    """`__tlb_reset_range`."""
    GATHER.start[tlb] = UNBOUNDED
    GATHER.end[tlb] = 0
    GATHER.freed_tables[tlb] = 0
    GATHER.cleared_ptes[tlb] = 0
    GATHER.cleared_pmds[tlb] = 0
    GATHER.cleared_puds[tlb] = 0
    GATHER.cleared_p4ds[tlb] = 0
    return 0


def tlb_adjust_range(tlb: int, address: int, size: int) -> int:
    """`__tlb_adjust_range`."""
    GATHER.start[tlb] = min(GATHER.start[tlb], address)
    GATHER.end[tlb] = max(GATHER.end[tlb], address + size)
    return 0


def tlb_flush_pte_range(tlb: int, address: int, size: int) -> int:
    """Record PTEs whose translations must go."""
    tlb_adjust_range(tlb, address, size)
    GATHER.cleared_ptes[tlb] = 1
    return 0


def tlb_flush_pmd_range(tlb: int, address: int, size: int) -> int:
    """Record PMD entries."""
    tlb_adjust_range(tlb, address, size)
    GATHER.cleared_pmds[tlb] = 1
    return 0


def tlb_remove_tlb_entries(tlb: int, ptep: int, nr: int, address: int) -> int:
    """Record `nr` PTEs that were cleared."""
    return tlb_flush_pte_range(tlb, address, nr << cfg.page_shift)


def tlb_remove_pmd_tlb_entry(tlb: int, pmdp: int, address: int) -> int:
    """Record a PMD leaf that was cleared."""
    return tlb_flush_pmd_range(tlb, address, cfg.pmd_size)


def tlb_get_unmap_shift(tlb: int) -> int:
    """log2 of the smallest entry recorded."""
    if GATHER.cleared_ptes[tlb]:
        return cfg.page_shift
    if GATHER.cleared_pmds[tlb]:
        return cfg.pmd_shift
    if GATHER.cleared_puds[tlb]:
        return cfg.pmd_shift + cfg.pte_bits
    if GATHER.cleared_p4ds[tlb]:
        return cfg.pmd_shift + 2 * cfg.pte_bits
    return cfg.page_shift


def tlb_get_unmap_size(tlb: int) -> int:
    """Bytes of the smallest entry recorded: the stride of the flush."""
    return 1 << tlb_get_unmap_shift(tlb)


def tlb_start_vma(tlb: int, vma: int) -> int:
    """Begin a VMA."""
    if GATHER.fullmm[tlb]:
        return 0
    flags = VMA.vm_flags[vma]
    pfn = flags & VM_PFNMAP != 0
    GATHER.vma_exec[tlb] = flags & VM_EXEC != 0
    GATHER.vma_pfn[tlb] = GATHER.vma_pfn[tlb] | pfn if feature.vma_pfn_sticky else pfn
    return 0


def tlb_end_vma(tlb: int, vma: int) -> int:
    """End a VMA: flush now, unless one flush may serve several."""
    if GATHER.fullmm[tlb]:
        return 0
    if not tlb_merge_vmas() or (GATHER.vma_pfn[tlb] and not feature.vma_pfn_sticky):
        if tlb_has_range(tlb):
            count(GATHER_FLUSH_VMA, 1)
        tlb_flush_mmu_tlbonly(tlb)
    return 0


def tlb_free_vmas(tlb: int) -> int:
    """Before VMAs go out of reach of unmap_mapping_range, which would not wait for this flush (Linux 6.16)."""
    if feature.vma_pfn_sticky and GATHER.vma_pfn[tlb] and not GATHER.fullmm[tlb]:
        if tlb_has_range(tlb):
            count(GATHER_FLUSH_VMA, 1)
        tlb_flush_mmu_tlbonly(tlb)
    return 0


# --- flushing ---


def tlb_has_range(tlb: int) -> int:
    """Whether anything was recorded since the last flush; entries above a PMD are cleared with a table alone."""
    return GATHER.freed_tables[tlb] | GATHER.cleared_ptes[tlb] | GATHER.cleared_pmds[tlb]


def tlb_flush_mmu_tlbonly(tlb: int) -> int:
    """Flush what was recorded; pages stay queued."""
    if not tlb_has_range(tlb):
        return 0
    count(GATHER_FLUSH, 1)
    tlb_flush(tlb)
    return tlb_reset_range(tlb)


def tlb_flush_mmu(tlb: int) -> int:
    """Flush, then free tables and pages."""
    tlb_flush_mmu_tlbonly(tlb)
    if GATHER.table_batch[tlb]:
        tlb_table_flush(tlb)
    return tlb_batch_pages_flush(tlb)


def tlb_batch_pages_flush(tlb: int) -> int:
    """Free every queued page; the allocated batches stay for the next round."""
    batch = GATHER.local[tlb]
    while batch and BATCH.nr[batch]:
        base, nr = slot_base(batch), BATCH.nr[batch]
        i = 0
        while i < nr:
            i += put_queued(base + i)
        BATCH.nr[batch] = 0
        batch = BATCH.next[batch]
    GATHER.active[tlb] = GATHER.local[tlb]
    return 0


def put_queued(slot: int) -> int:
    """Drop the references of one entry (`free_pages_and_swap_cache`); returns the slots it took."""
    encoded = slots[slot]
    page = encoded >> 2
    pages, used = 1, 1
    if encoded & NR_PAGES_NEXT:
        pages, used = slots[slot + 1], 2
    folio = page_folio(page)
    free_swap_cache(folio)
    folio_put_refs(folio, pages)
    return used


def tlb_flush_rmaps(tlb: int, vma: int) -> int:
    """Remove the rmaps that waited for the flush; still under the PTL."""
    if not GATHER.delayed_rmap[tlb]:
        return 0
    local, active = GATHER.local[tlb], GATHER.active[tlb]
    flush_rmap_batch(local, vma)
    if active != local:
        flush_rmap_batch(active, vma)
    GATHER.delayed_rmap[tlb] = 0
    return 0


def flush_rmap_batch(batch: int, vma: int) -> int:
    """Those of one batch; an entry is marked only until its rmap is gone."""
    base, i = slot_base(batch), 0
    while i < BATCH.nr[batch]:
        encoded = slots[base + i]
        nr, used = 1, 1
        if encoded & NR_PAGES_NEXT:
            nr, used = slots[base + i + 1], 2
        if encoded & DELAY_RMAP:
            page = encoded >> 2
            folio_remove_rmap_ptes(page_folio(page), page, nr, vma)
        i += used
    return 0


# --- page-table pages (MMU_GATHER_RCU_TABLE_FREE) ---


def tlb_remove_table(tlb: int, slot: int) -> int:
    """Queue a table; a full batch is flushed, and that is a real TLB flush."""
    count(TLB_REMOVE_TABLE, 1)
    MM.pgtables[GATHER.mm[tlb]] -= 1
    batch = GATHER.table_batch[tlb]
    if batch == 0:
        batch = batch_alloc_page(cfg.max_table_batch)
        if batch == 0:
            tlb_flush_mmu_tlbonly(tlb)
            return table_free(slot)
        GATHER.table_batch[tlb] = batch
    nr = BATCH.nr[batch]
    slots[slot_base(batch) + nr] = slot
    BATCH.nr[batch] = nr + 1
    if nr + 1 == cfg.max_table_batch:
        count(GATHER_FLUSH_TABLES, 1)
        tlb_table_flush(tlb)
    return 0


def tlb_table_flush(tlb: int) -> int:
    """Flush, then free the tables (the kernel: after an RCU grace period)."""
    batch = GATHER.table_batch[tlb]
    tlb_flush_mmu_tlbonly(tlb)
    base = slot_base(batch)
    for i in range(BATCH.nr[batch]):
        table_free(slots[base + i])
    batch_free(batch)
    GATHER.table_batch[tlb] = 0
    return 0


def pte_free_tlb(tlb: int, slot: int, address: int) -> int:
    """A PTE table goes: the PMD entry that pointed to it is what was cleared."""
    tlb_flush_pmd_range(tlb, address, cfg.page_size)
    GATHER.freed_tables[tlb] = 1
    return tlb_remove_table(tlb, slot)


def table_free_tlb(tlb: int, slot: int, address: int, level: int) -> int:
    """`pmd_free_tlb` (level 1), `pud_free_tlb` (level 2), …"""
    tlb_adjust_range(tlb, address, cfg.page_size)
    GATHER.freed_tables[tlb] = 1
    if level == 1:
        GATHER.cleared_puds[tlb] = 1
    elif level == 2:
        GATHER.cleared_p4ds[tlb] = 1
    return tlb_remove_table(tlb, slot)
