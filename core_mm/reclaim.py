"""Reclaim of chosen folios (mm/vmscan.c:shrink_folio_list; Linux 6.12, 7.3), as MADV_PAGEOUT asks for it.

`isolated` is a stack of folios, each with a reference: what is on top goes first.
"""

from __future__ import annotations

from core_mm import content
from core_mm.features import feature
from core_mm.folio import (
    folio_get,
    folio_mapped,
    folio_mark_dirty,
    folio_nr_pages,
    folio_order,
    folio_put,
    folio_ref_count,
    folio_test_anon,
    folio_test_dirty,
    folio_test_large,
    folio_test_swapbacked,
    folio_test_swapcache,
)
from core_mm.folio_split import split_folio_to_list
from core_mm.hookspecs import arch_prepare_to_swap
from core_mm.lru import folio_add_lru, folio_test_lru
from core_mm.mm_types import PAGE, PG_DIRTY, PG_LRU, PG_READAHEAD, cfg, isolated, mach
from core_mm.page_cache import filemap_remove_folio
from core_mm.shmem import shmem_writeout
from core_mm.swap_state import add_to_swap_cache, delete_from_swap_cache
from core_mm.swapfile import get_swap_pages, thp_swap
from core_mm.tlb_batched import try_to_unmap_flush, try_to_unmap_flush_dirty
from core_mm.unmap import try_to_unmap
from core_mm.vmstat import SWAP_OUT, count

FOLIO_BATCH_SIZE = 31
KEPT, FREED = 0, 1


def folio_isolate_lru(folio: int) -> int:
    """Take a folio off the LRU, onto the stack (`mach.nr_isolated`); whether it was there."""
    if not folio_test_lru(folio):
        return 0
    PAGE.flags[folio] &= ~PG_LRU
    folio_get(folio)
    isolated[mach.nr_isolated] = folio
    mach.nr_isolated += 1
    return 1


def reclaim_pages(nr: int) -> int:
    """Reclaim the `nr` folios on the stack, the lowest first; returns how many pages were freed."""
    for i in range(nr // 2):
        other = isolated[nr - 1 - i]
        isolated[nr - 1 - i] = isolated[i]
        isolated[i] = other
    freed, batch, top = 0, 0, nr
    while top:
        folio = isolated[top - 1]
        pages = folio_nr_pages(folio)
        done, top = shrink_folio(folio, top - 1)
        if done:
            freed += pages
            batch += 1
        if batch == FOLIO_BATCH_SIZE:
            flush_and_free()
            batch = 0
    flush_and_free()
    return freed


def flush_and_free() -> int:
    """Complete the deferred flushes; only now may the frames of what was reclaimed be used again."""
    try_to_unmap_flush()
    folio = mach.reclaimed
    mach.reclaimed = 0
    while folio:
        after = PAGE.mapping[folio]
        PAGE.mapping[folio] = 0
        folio_put(folio)
        folio = after
    return 0


def free_later(folio: int) -> int:
    """Queue a folio behind the others of its batch (struct folio_batch free_folios)."""
    PAGE.mapping[folio] = 0
    if mach.reclaimed:
        PAGE.mapping[mach.last_reclaimed] = folio
    else:
        mach.reclaimed = folio
    mach.last_reclaimed = folio
    return FREED


def shrink_folio(folio: int, top: int) -> tuple[int, int]:
    """Reclaim one folio if that can be; FREED or KEPT, and the top of the stack (a split adds to it)."""
    if folio_test_anon(folio) and folio_test_swapbacked(folio) and not folio_test_swapcache(folio):
        added, top = add_to_swap(folio, top)
        if not added:
            return keep(folio), top
    if folio_mapped(folio) and not try_to_unmap(folio):
        return keep(folio), top
    if folio_test_dirty(folio):
        if not folio_test_swapbacked(folio):
            if not folio_test_anon(folio):
                folio_set_reclaim(folio)
            return keep(folio), top
        try_to_unmap_flush_dirty()
        went, top = pageout(folio, top)
        if not went:
            return keep(folio), top
    return remove_mapping(folio), top


def folio_set_reclaim(folio: int) -> int:
    """To be reclaimed once it is written back. Faults take the flag for that of readahead, which it is."""
    PAGE.flags[folio] |= PG_READAHEAD
    return 0


def keep(folio: int) -> int:
    """The folio stays: back to the LRU."""
    folio_add_lru(folio)  # folio_putback_lru()
    folio_put(folio)
    return KEPT


def add_to_swap(folio: int, top: int) -> tuple[int, int]:
    """Give an anonymous folio slots; whether it has them, and the new top."""
    slot, top = folio_alloc_swap(folio, top)
    if not slot:
        return 0, top
    add_to_swap_cache(folio, slot)
    folio_mark_dirty(folio)
    return 1, top


def folio_alloc_swap(folio: int, top: int) -> tuple[int, int]:
    """Slots for a folio, split if it cannot go whole or no run is long enough; 0 if there are none. And the new top."""
    slot = get_swap_pages(folio_order(folio)) if not folio_test_large(folio) or thp_swap() else 0
    if not slot and folio_test_large(folio):
        nr = folio_nr_pages(folio)
        if split_folio_to_list(folio, 1):
            return 0, top
        top = push_split(folio, nr, top)
        slot = get_swap_pages(0)
    return slot, top


def push_split(folio: int, nr: int, top: int) -> int:
    """The other pages of a folio that was split, with a reference each, come next.

    The last is the first of them since 7.x, before that the second is.
    """
    for i in range(1, nr):
        page = folio + i if feature.split_in_order else folio + nr - i
        PAGE.flags[page] &= ~PG_LRU
        isolated[top] = page
        top += 1
    return top


def pageout(folio: int, top: int) -> tuple[int, int]:
    """Write a folio to swap, at once; whether it went, and the new top.

    One that a split has dropped from its file, behind the end, stays for its last reference to free.
    """
    if not folio_test_anon(folio):
        if not PAGE.mapping[folio]:
            return 0, top
        slot, top = folio_alloc_swap(folio, top)
        return shmem_writeout(folio, slot) if slot else 0, top
    if arch_prepare_to_swap(folio):
        return 0, top
    if cfg.content:
        content.swap_writepage(folio, PAGE.private[folio])
    count(SWAP_OUT, 1)
    PAGE.flags[folio] &= ~PG_DIRTY
    return 1, top


def remove_mapping(folio: int) -> int:
    """Free a clean, unmapped folio if no reference but ours and the cache's is left."""
    nr = folio_nr_pages(folio)
    if folio_test_swapcache(folio):
        if folio_ref_count(folio) != 1 + nr:
            return keep(folio)
        delete_from_swap_cache(folio)
    elif not folio_test_anon(folio) and PAGE.mapping[folio]:
        if folio_ref_count(folio) != 1 + nr:
            return keep(folio)
        filemap_remove_folio(folio, 0)
    elif folio_ref_count(folio) != 1:
        return keep(folio)
    return free_later(folio)
