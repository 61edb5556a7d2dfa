"""The swap cache: pages that have a place in swap (mm/swap_state.c, mm/swapfile.c; Linux 6.12).

A folio in the cache holds one reference a page; page i of it has slot `PAGE.private[folio]` + i.
"""

from __future__ import annotations

from core_mm.folio import folio_mapped, folio_nr_pages, folio_put_refs, folio_ref_add, folio_test_swapcache
from core_mm.hookspecs import arch_swap_invalidate_page
from core_mm.mm_types import PAGE, PG_DIRTY, PG_SWAPCACHE, mach, swap_cache, swap_map


def add_to_swap_cache(folio: int, slot: int) -> int:
    """The folio's pages occupy the slots from `slot` on."""
    nr = folio_nr_pages(folio)
    folio_ref_add(folio, nr)
    PAGE.flags[folio] |= PG_SWAPCACHE
    PAGE.private[folio] = slot
    for i in range(nr):
        swap_cache[slot + i] = folio + i
    return 0


def swap_slot_free(slot: int) -> int:
    """Nothing refers to a slot any more (swap_range_free)."""
    mach.swap_used -= 1
    return arch_swap_invalidate_page(0, slot)


def delete_from_swap_cache(folio: int) -> int:
    """Take the folio out of the cache; slots that no entry refers to are free then."""
    nr, slot = folio_nr_pages(folio), PAGE.private[folio]
    for i in range(nr):
        swap_cache[slot + i] = 0
        if swap_map[slot + i] == 0:
            swap_slot_free(slot + i)
    PAGE.flags[folio] &= ~PG_SWAPCACHE
    PAGE.private[folio] = 0
    return folio_put_refs(folio, nr)


def folio_free_swap(folio: int) -> int:
    """Drop the folio's swap, unless entries still refer to it; returns whether it is gone."""
    if not folio_test_swapcache(folio):
        return 0
    slot = PAGE.private[folio]
    for i in range(folio_nr_pages(folio)):
        if swap_map[slot + i]:
            return 0
    PAGE.flags[folio] |= PG_DIRTY  # memory is the only copy now
    delete_from_swap_cache(folio)
    return 1


def free_swap_cache(folio: int) -> int:
    """A mapping of the folio is gone: without another, its swap is of no use."""
    if folio_test_swapcache(folio) and not folio_mapped(folio):
        folio_free_swap(folio)
    return 0
