"""Swap slots of one fast device (mm/swapfile.c; Linux 6.12).

`swap_map` counts the page-table entries that refer to a slot; slot 0 is never used.
"""

from __future__ import annotations

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
from core_mm.mm_types import ENOMEM, PAGE, cfg, mach, swap_cache, swap_map
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


def first_swap_slot() -> int:
    """The first slot in use, of a free cluster: the first cluster holds the header (setup_clusters)."""
    cluster = cfg.ptrs_per_pte if thp_swap() else SWAPFILE_CLUSTER
    return cluster if cluster < cfg.swap_slots else 1


def get_swap_pages(order: int) -> int:
    """An aligned run of 1 << `order` free slots, 0 if there is none."""
    nr = 1 << order
    if mach.swap_off or mach.swap_used + nr > cfg.swap_slots:
        return 0
    slot = align_up(max(mach.swap_next, first_swap_slot()), nr)
    for _ in range(cfg.swap_slots >> order):
        if slot + nr > cfg.swap_slots:
            slot = nr
        if swap_slots_free(slot, nr):
            mach.swap_next = slot + nr
            mach.swap_used += nr
            return slot
        slot += nr
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
    if cfg.fail_dup_swap and first >= cfg.fail_dup_swap:
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
