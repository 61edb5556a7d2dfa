"""Folios on their way to the LRU lists (mm/swap.c): a batch per CPU holds a reference to each.

Modelled are the batch of new folios and those of MADV_COLD and MADV_FREE, of which only one is in use at a time,
since either advice drains both before it begins. A folio is on a list once its batch is drained: when that is full,
when a large folio joins it, or by whoever asks. Linux 6.12 drains them whenever it unmaps something; later releases do
not. To a write fault that looks for other users of a page (mm/memory.c:wp_can_reuse_anon_folio) the batch of an advice
is one, and the page is copied; for a new page the fault drains the batches first. The reference itself is not held.
"""

from __future__ import annotations

from core_mm.features import feature
from core_mm.folio import folio_test_anon, folio_test_large, folio_test_swapbacked, folio_test_swapcache
from core_mm.mm_types import PAGE, PG_LARGE, PG_LRU, VM_RAND_READ, VM_SEQ_READ, VMA, mach

FOLIO_BATCH_SIZE = 31


def lru_add_drain() -> int:
    """Empty the batches."""
    mach.lru_emptied = mach.lru_added
    mach.lru_drained = mach.lru_batched
    return 0


def lru_add_drain_to_unmap() -> int:
    """The same where memory is unmapped or freed: up to Linux 6.12."""
    return 0 if feature.unmap_keeps_lru_batches else lru_add_drain()


def folio_add_lru(folio: int) -> int:
    """Put a new folio in its batch, which a large one empties; that a full one is emptied `folio_test_lru` knows."""
    flags = PAGE.flags[folio] | PG_LRU
    PAGE.flags[folio] = flags
    mach.lru_added += 1
    PAGE.added[folio] = mach.lru_added
    if flags & PG_LARGE:
        mach.lru_emptied = mach.lru_added
    return 0


def folio_test_lru(folio: int) -> int:
    """Whether it is on a list: neither isolated nor in the batch of new folios."""
    waiting = (mach.lru_added - mach.lru_emptied) % FOLIO_BATCH_SIZE
    return int(PAGE.flags[folio] & PG_LRU != 0 and PAGE.added[folio] <= mach.lru_added - waiting)


def folio_deactivate(folio: int) -> int:
    """Have a folio reclaimed sooner. 7.2 and 7.3 leave alone what is in the oldest generation, as lazily freed is."""
    if feature.deactivate_keeps_lazyfree and not folio_test_swapbacked(folio):
        return 0
    return folio_batch_add_and_move(folio)


def folio_batch_add_and_move(folio: int) -> int:
    """Put a folio in the batch; a full one, and one with a large folio, is emptied. Returns 0."""
    mach.lru_batched += 1
    if folio_test_large(folio) or mach.lru_batched - mach.lru_drained == FOLIO_BATCH_SIZE:
        mach.lru_drained = mach.lru_batched
        return 0
    if folio_test_anon(folio) and not folio_test_swapcache(folio):
        PAGE.private[folio] = mach.lru_batched
    return 0


def folio_in_lru_batch(folio: int) -> int:
    """Whether the batch of an advice holds a reference to a small anonymous folio."""
    return int(not folio_test_swapcache(folio) and PAGE.private[folio] > mach.lru_drained)


def vma_has_recency(vma: int) -> int:
    """Whether accesses through this VMA say anything about what is worth keeping."""
    return VMA.vm_flags[vma] & (VM_SEQ_READ | VM_RAND_READ) == 0
