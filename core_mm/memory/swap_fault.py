"""Swap-in (mm/memory.c:do_swap_page; Linux 6.12, 7.3), from a device that reads at once, as zram does."""

from __future__ import annotations

from core_mm import content
from core_mm.features import feature
from core_mm.folio import (
    folio_alloc,
    folio_get,
    folio_nr_pages,
    folio_put,
    folio_ref_add,
    folio_ref_count,
    folio_test_anon,
    folio_test_swapcache,
    page_folio,
)
from core_mm.hookspecs import (
    arch_swap_restore,
    pfn_pte,
    pte_advance_pfn,
    pte_mkdirty,
    pte_mkwrite,
    pte_same,
    pte_swp_exclusive,
    pte_swp_mkexclusive,
    pte_to_swp_entry,
    ptep_get,
    set_ptes,
    swp_entry_to_pte,
    update_mmu_cache_range,
    update_mmu_tlb_range,
)
from core_mm.lru import folio_add_lru, folio_test_lru, lru_add_drain
from core_mm.memory.rss import add_mm_counter
from core_mm.memory.wp import do_wp_page
from core_mm.mm_types import (
    MM_ANONPAGES,
    MM_SWAPENTS,
    PAGE,
    PG_DIRTY,
    PG_SWAPBACKED,
    PG_UPTODATE,
    VM_WRITE,
    VMA,
    cfg,
    swap_cache,
    swap_map,
)
from core_mm.rmap import folio_add_anon_rmap_ptes, folio_add_new_anon_rmap
from core_mm.swap_state import add_to_swap_cache, folio_free_swap
from core_mm.swapfile import swap_free_nr, swap_pte_batch
from core_mm.thp import highest_order, thp_vma_allowable_orders, thp_vma_suitable_orders
from core_mm.uapi import ACCESS_WRITE
from core_mm.vm_fault import VM_FAULT_OOM
from core_mm.vmstat import FAULT_SWAP, SWAP_IN, count


def do_swap_page(vma: int, address: int, pmdp: int, ptep: int, orig: int, access: int) -> int:
    """Bring the page of the swap entry `orig` back; 0 or VM_FAULT_*."""
    count(FAULT_SWAP, 1)
    page = swap_cache[pte_to_swp_entry(orig)]
    if page:
        folio_get(page_folio(page))
    else:
        page = swapin_folio(vma, address, ptep, orig)
        if not page:
            return VM_FAULT_OOM
    folio = page_folio(page)
    cached = folio_test_swapcache(folio) or feature.swapin_cached
    drains = access == ACCESS_WRITE and cached and not feature.fault_keeps_lru_batches
    if drains and not folio_test_lru(folio):
        lru_add_drain()
    if not pte_same(ptep_get(ptep), orig):
        update_mmu_tlb_range(vma, address, ptep, 1)
        return folio_put(folio)
    idx, nr = whole_folio(vma, address, ptep, orig, page)
    return map_swapped_in(vma, address - (idx << cfg.page_shift), ptep - idx, orig, page - idx, nr, idx, access)


def swapin_folio(vma: int, address: int, ptep: int, orig: int) -> int:
    """A new folio with the contents of the slot, and maybe of its neighbours; the page of the slot, 0 without memory.

    A slot that one entry refers to needs no place in the swap cache: in Linux 6.12 it does without, in 7.x it has one
    until it is mapped. In 6.12 only such a slot brings its neighbours along.
    """
    entry = pte_to_swp_entry(orig)
    count(SWAP_IN, 1)
    lone = swap_map[entry] == 1
    order = swapin_order(vma, address, ptep, orig, entry) if lone or feature.swapin_cached else 0
    folio = folio_alloc(order)
    if not folio and order:
        order = 0
        folio = folio_alloc(0)
    if not folio:
        return 0
    PAGE.flags[folio] |= PG_UPTODATE | PG_SWAPBACKED
    for page in range(folio, folio + (1 << order)):
        PAGE.written[page] = 1
    first = entry & (-1 << order)
    if cfg.content:
        content.swap_read_folio(folio, first)
    if not lone or (feature.swapin_cached and is_shared(first, 1 << order)):
        add_to_swap_cache(folio, first)
    elif feature.swapin_cached:
        PAGE.flags[folio] |= PG_DIRTY  # by folio_free_swap() as soon as it is mapped
    folio_add_lru(folio)
    return folio + entry - first


def is_shared(first: int, nr: int) -> int:
    """Whether more than one entry refers to one of the slots, so that the folio stays in the swap cache."""
    for slot in range(first, first + nr):
        if swap_map[slot] != 1:
            return 1
    return 0


def swapin_order(vma: int, address: int, ptep: int, orig: int, entry: int) -> int:
    """The largest enabled order whose block is all swap entries of one aligned run of slots (alloc_swap_folio)."""
    orders = thp_vma_allowable_orders(vma, (1 << cfg.pmd_order) - 1)
    orders = thp_vma_suitable_orders(vma, address, orders)
    while orders:
        order = highest_order(orders)
        mask = (1 << order) - 1
        idx = (address >> cfg.page_shift) & mask
        if entry & mask == idx and can_swapin_thp(ptep - idx, orig, entry - idx, 1 << order):
            return order
        orders &= ~(1 << order)
    return 0


def can_swapin_thp(ptep: int, orig: int, first: int, nr: int) -> int:
    """Whether `nr` entries refer to consecutive slots from `first`, none of them cached; others may share them."""
    pte = ptep_get(ptep)
    if not pte_same(pte, swap_pte_like(orig, first)) or swap_pte_batch(ptep, nr, pte) != nr:
        return 0
    for slot in range(first, first + nr):
        if swap_cache[slot]:
            return 0
    return 1


def swap_pte_like(pte: int, entry: int) -> int:
    """The descriptor of another slot with the mark of `pte` (pte_move_swp_offset)."""
    other = swp_entry_to_pte(entry)
    return pte_swp_mkexclusive(other) if pte_swp_exclusive(pte) else other


def whole_folio(vma: int, address: int, ptep: int, orig: int, page: int) -> tuple[int, int]:
    """How many pages before the faulting one, and how many in all, are mapped: the whole folio, or 0 and 1."""
    folio = page_folio(page)
    nr, idx = folio_nr_pages(folio), page - folio
    start = address - (idx << cfg.page_shift)
    end = start + (nr << cfg.page_shift)
    low = max(VMA.vm_start[vma], address & -cfg.pmd_size)
    high = min(VMA.vm_end[vma], (address & -cfg.pmd_size) + cfg.pmd_size)
    if nr == 1 or start < low or end > high:
        return 0, 1
    pte = ptep_get(ptep - idx)
    first = swap_pte_like(orig, pte_to_swp_entry(orig) - idx)
    if not pte_same(pte, first) or swap_pte_batch(ptep - idx, nr, pte) != nr:
        return 0, 1
    return idx, nr


def map_swapped_in(
    vma: int, address: int, ptep: int, orig: int, page: int, nr: int, idx: int, access: int
) -> int:
    """Map `nr` pages from `page`; writable if nobody else can have them, else a write goes on to copy."""
    mm, folio, write = VMA.vm_mm[vma], page_folio(page), int(access == ACCESS_WRITE)
    arch_swap_restore(pte_to_swp_entry(orig) - idx - (page - folio), folio)
    swap_free_nr(pte_to_swp_entry(orig) - idx, nr)
    if write and folio_test_swapcache(folio) and folio_ref_count(folio) == 1 + folio_nr_pages(folio):
        folio_free_swap(folio)
    add_mm_counter(mm, MM_ANONPAGES, nr)
    add_mm_counter(mm, MM_SWAPENTS, -nr)
    pte = pfn_pte(page, VMA.vm_page_prot[vma])
    exclusive = pte_swp_exclusive(orig) or (not feature.swapin_cached and folio_ref_count(folio) == 1)
    if exclusive and VMA.vm_flags[vma] & VM_WRITE:
        pte = pte_mkwrite(pte)
        if write:
            pte = pte_mkdirty(pte)
            write = 0
    folio_ref_add(folio, nr - 1)
    if folio_test_anon(folio):
        folio_add_anon_rmap_ptes(folio, page, nr, vma, address, exclusive)
    else:
        folio_add_new_anon_rmap(folio, vma, address, exclusive)
    set_ptes(mm, address, ptep, pte, nr)
    update_mmu_cache_range(0, vma, address, ptep, nr)
    if write:  # against what was set: an entry that was folded meanwhile differs, and the write faults again
        return do_wp_page(vma, address + (idx << cfg.page_shift), ptep + idx, pte_advance_pfn(pte, idx))
    return 0
