"""Folios on their way to the LRU lists (mm/swap.c): a batch per CPU holds a reference to each.

Modelled is what shows: the batches of MADV_COLD and MADV_FREE, of which only one is in use at a time, since
either advice drains both before it begins. Up to Linux 6.12 a folio in them is off the LRU, so that a write
fault that looks for other references (mm/memory.c:wp_can_reuse_anon_folio) drains them first. In 7.2 and 7.3 it is
not, and the batch counts as another user: the page is copied. New folios wait in a batch of their own, off
the LRU in all releases.
"""

from __future__ import annotations

from core_mm.folio import folio_test_anon, folio_test_large, folio_test_swapcache
from core_mm.mm_types import PAGE, cfg, mach

FOLIO_BATCH_SIZE = 31


def lru_add_drain() -> int:
    """Empty the batches."""
    mach.lru_drained = mach.lru_batched
    return 0


def folio_batch_add_and_move(folio: int) -> int:
    """Put a folio in the batch; a full one, and one with a large folio, is emptied. Returns 0."""
    mach.lru_batched += 1
    if folio_test_large(folio) or mach.lru_batched - mach.lru_drained == FOLIO_BATCH_SIZE:
        return lru_add_drain()
    if folio_test_anon(folio) and not folio_test_swapcache(folio):
        PAGE.private[folio] = mach.lru_batched
    return 0


def folio_in_lru_batch(folio: int) -> int:
    """Whether a batch holds a reference to a small anonymous folio that stays on the LRU meanwhile."""
    if cfg.release < 702 or folio_test_swapcache(folio):
        return 0
    return int(PAGE.private[folio] > mach.lru_drained)
