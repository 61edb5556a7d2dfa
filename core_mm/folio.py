"""Folios: a page or a large compound page, named by its first frame (include/linux/mm.h, page-flags.h).

A large folio keeps what belongs to all of it in the unused fields of its tails:
`private` of page 1 is the number of its mappings, of page 2 that of its PMD mappings.
"""

from __future__ import annotations

from core_mm.mm_types import (
    PAGE,
    PG_ANON,
    PG_DIRTY,
    PG_LARGE,
    PG_ORDER_SHIFT,
    PG_READAHEAD,
    PG_REFERENCED,
    PG_SWAPBACKED,
    PG_SWAPCACHE,
    cfg,
)
from core_mm.page_alloc import alloc_pages, free_pages
from core_mm.vmstat import (
    FOLIO_ALLOC,
    FOLIO_FREE,
    FOLIO_MARK_ACCESSED,
    FOLIO_MARK_DIRTY,
    W_MAPCOUNT,
    W_REFCOUNT,
    WARN,
    count,
)


def page_folio(page: int) -> int:
    """The folio a page belongs to."""
    return PAGE.head[page]


def folio_test_large(folio: int) -> int:
    """Whether it has more than one page."""
    return PAGE.flags[folio] & PG_LARGE


def folio_order(folio: int) -> int:
    """log2 of its pages."""
    return PAGE.flags[folio] >> PG_ORDER_SHIFT


def folio_nr_pages(folio: int) -> int:
    """Its pages."""
    return 1 << (PAGE.flags[folio] >> PG_ORDER_SHIFT)


def folio_test_pmd_mappable(folio: int) -> int:
    """Whether one PMD leaf can map it."""
    return folio_order(folio) >= cfg.pmd_order


def folio_test_anon(folio: int) -> int:
    """Whether it is anonymous."""
    return PAGE.flags[folio] & PG_ANON


def folio_test_dirty(folio: int) -> int:
    """Whether it must be written before it is dropped."""
    return PAGE.flags[folio] & PG_DIRTY


def folio_test_swapbacked(folio: int) -> int:
    """Whether its backing store is swap."""
    return PAGE.flags[folio] & PG_SWAPBACKED


def folio_test_swapcache(folio: int) -> int:
    """Whether a swap slot holds it."""
    return PAGE.flags[folio] & PG_SWAPCACHE


def folio_clear_flag(folio: int, flag: int) -> int:
    """Clear PG_* of the folio."""
    PAGE.flags[folio] &= ~flag
    return 0


def folio_mark_dirty(folio: int) -> int:
    """The folio's contents changed."""
    count(FOLIO_MARK_DIRTY, 1)
    return folio_set_dirty(folio)


def folio_set_dirty(folio: int) -> int:
    """The same, uncounted; a mark of readahead goes, which is one of reclaim too."""
    PAGE.flags[folio] = PAGE.flags[folio] & ~PG_READAHEAD | PG_DIRTY
    return 0


def folio_mark_accessed(folio: int) -> int:
    """The folio was used."""
    count(FOLIO_MARK_ACCESSED, 1)
    PAGE.flags[folio] |= PG_REFERENCED
    return 0


def PageAnonExclusive(page: int) -> int:
    """Whether this anonymous page belongs to one mm alone."""
    return PAGE.anon_exclusive[page]


def SetPageAnonExclusive(page: int) -> int:
    """Say that it does."""
    PAGE.anon_exclusive[page] = 1
    return 0


def folio_mapcount(folio: int) -> int:
    """How many page-table entries map pages of it, PTEs and PMDs."""
    if PAGE.flags[folio] & PG_LARGE:
        return PAGE.private[folio + 1]
    return PAGE.mapcount[folio]


def folio_mapped(folio: int) -> int:
    """Whether any entry maps a page of it."""
    return folio_mapcount(folio) != 0


def folio_entire_mapcount(folio: int) -> int:
    """How many PMD leaves map it."""
    if folio_test_pmd_mappable(folio):
        return PAGE.private[folio + 2]
    return 0


def folio_ref_count(folio: int) -> int:
    """References to the folio."""
    return PAGE.refcount[folio]


def folio_get(folio: int) -> int:
    """Take a reference."""
    PAGE.refcount[folio] += 1
    return 0


def folio_ref_add(folio: int, nr: int) -> int:
    """Take `nr` references."""
    PAGE.refcount[folio] += nr
    return 0


def folio_put(folio: int) -> int:
    """Drop a reference; the last one frees the folio."""
    return folio_put_refs(folio, 1)


def folio_put_refs(folio: int, refs: int) -> int:
    """Drop `refs` references."""
    left = PAGE.refcount[folio] - refs
    PAGE.refcount[folio] = left
    if left > 0:
        return 0
    if left < 0:
        return WARN(W_REFCOUNT, folio)
    return __folio_put(folio)


def __folio_put(folio: int) -> int:
    if folio_mapped(folio):
        WARN(W_MAPCOUNT, folio)
    count(FOLIO_FREE, 1)
    return free_pages(folio, folio_order(folio))


def folio_alloc(order: int) -> int:
    """A new folio with one reference, 0 when memory is out."""
    folio = alloc_pages(order)
    if folio:
        count(FOLIO_ALLOC, 1)
    return folio
