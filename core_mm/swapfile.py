"""Swap slots of one fast device (mm/swapfile.c; Linux 6.12).

`swap_map` counts the page-table entries that refer to a slot; slot 0 is never used. Each order has a cluster of its
own.
"""

from __future__ import annotations

from core_mm.fault_inject import should_fail
from core_mm.features import feature
from core_mm.folio import folio_mapped, page_folio
from core_mm.hookspecs import (
    pte_none,
    pte_present,
    pte_same,
    pte_swp_exclusive,
    pte_swp_mkexclusive,
    pte_to_swp_entry,
    ptep_get,
    swp_entry_to_pte,
)
from core_mm.mm_types import ENOMEM, PAGE, cfg, mach, swap_cache, swap_cluster, swap_map
from core_mm.swap_state import folio_free_swap, swap_slot_free

SWAPFILE_CLUSTER = 256  # slots; as many as a PMD has pages where huge pages are swapped whole


def swap_slots_free(slot: int, nr: int) -> int:
    """Whether nothing refers to `nr` slots from `slot` on."""
    for i in range(slot, slot + nr):
        if swap_map[i] or swap_cache[i]:
            return 0
    return 1


def thp_swap() -> int:
    """Whether a large folio can be swapped as it is (ARCH_WANTS_THP_SWAP: with 4K pages)."""
    return cfg.page_shift == 12


def cluster_slots() -> int:
    """Slots of a cluster."""
    return cfg.ptrs_per_pte if thp_swap() else SWAPFILE_CLUSTER


def get_swap_pages(order: int) -> int:
    """An aligned run of 1 << `order` free slots, 0 if there is none: of the order's own cluster, else of a free one."""
    if mach.swap_off or mach.swap_used + (1 << order) > cfg.swap_slots or should_fail():
        return 0
    slot = alloc_in_cluster(cluster_next(order), order)
    if not slot:
        slot = alloc_in_cluster(free_cluster(), order)
    if not slot:
        slot = free_run(1, cfg.swap_slots, order)
    if slot:
        swap_cluster[order] = slot + (1 << order)
        mach.swap_used += 1 << order
    return slot


def cluster_next(order: int) -> int:
    """Where the order goes on; at first nowhere, but single pages, since 6.18, behind the header of the swap area."""
    if swap_cluster[order] == 0 and order == 0 and feature.swap_header_cluster:
        return 1
    return swap_cluster[order]


def alloc_in_cluster(start: int, order: int) -> int:
    """A free run from `start` to the end of its cluster, 0 if there is none."""
    return free_run(start, (start | (cluster_slots() - 1)) + 1, order) if start else 0


def free_run(start: int, end: int, order: int) -> int:
    """The first free aligned run in slots [start, end)."""
    nr = 1 << order
    slot = align_up(start, nr)
    while slot + nr <= min(end, cfg.swap_slots):
        if swap_slots_free(slot, nr):
            return slot
        slot += nr
    return 0


def free_cluster() -> int:
    """The first slot of a free cluster, after the one begun last; the first cluster holds the header."""
    size = cluster_slots()
    clusters = cfg.swap_slots // size
    for i in range(1, clusters):
        cluster = (mach.swap_taken + i - 1) % (clusters - 1) + 1
        if swap_slots_free(cluster * size, size):
            mach.swap_taken = cluster
            return cluster * size
    return 0


def align_up(value: int, size: int) -> int:
    """The next multiple of a power of two."""
    return (value + size - 1) & -size


def swap_duplicate(entry: int) -> int:
    """One more page-table entry refers to a slot."""
    swap_map[entry] += 1
    return 0


def folio_dup_swap(folio: int, page: int, nr: int) -> int:
    """Entries come to refer to `nr` pages of a folio in the swap cache, from `page` on; 0, or -ENOMEM and none does."""
    first = PAGE.private[folio]
    if (cfg.fail_dup_swap and first >= cfg.fail_dup_swap) or should_fail():
        return -ENOMEM
    for slot in range(first + page - folio, first + page - folio + nr):
        swap_map[slot] += 1
    return 0


def swap_free_nr(entry: int, nr: int) -> int:
    """One reference fewer to each of `nr` slots."""
    for slot in range(entry, entry + nr):
        swap_map[slot] -= 1
        if swap_map[slot] == 0 and swap_cache[slot] == 0:
            swap_slot_free(slot)
    return 0


def free_swap_and_cache_nr(entry: int, nr: int) -> int:
    """As swap_free_nr, and drop cached pages that nothing else needs."""
    swap_free_nr(entry, nr)
    for slot in range(entry, entry + nr):
        page = swap_cache[slot]
        if page and not swap_map[slot] and not folio_mapped(page_folio(page)):
            folio_free_swap(page_folio(page))
    return 0


def swap_pte_batch(ptep: int, max_nr: int, pte: int) -> int:
    """How many entries from `ptep` on refer to consecutive slots, with equal marks (mm/internal.h)."""
    entry = pte_to_swp_entry(pte)
    nr = 1
    while nr < max_nr:
        expected = swp_entry_to_pte(entry + nr)
        if pte_swp_exclusive(pte):
            expected = pte_swp_mkexclusive(expected)
        other = ptep_get(ptep + nr)
        if pte_none(other) or pte_present(other) or not pte_same(other, expected):
            break
        nr += 1
    return nr
