"""Splitting a large folio, into single pages or around one (mm/huge_memory.c:__folio_split; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm import page_cache
from core_mm.folio import (
    folio_mapcount,
    folio_nr_pages,
    folio_put,
    folio_ref_count,
    folio_test_anon,
    folio_test_dirty,
    folio_test_large,
    folio_test_swapcache,
)
from core_mm.mapping import mapping_can_writeback
from core_mm.log2 import ilog2
from core_mm.migrate import remove_migration_ptes, try_to_migrate
from core_mm.mm_types import EAGAIN, EBUSY, PAGE, PG_ANON, PG_LARGE, PG_ORDER_SHIFT, cfg
from core_mm.tlb_batched import try_to_unmap_flush
from core_mm.unmap import try_to_unmap
from core_mm.vmstat import FOLIO_SPLIT, LOG_FOLIO, W_SPLIT, WARN, count, note

ORDER_MASK = -1 << PG_ORDER_SHIFT
KEPT_BY_HEAD = ~(PG_LARGE | ORDER_MASK)


def split_folio(folio: int) -> int:
    """Split it into single pages; the caller holds one reference, which stays with the first.

    Returns 0, -EAGAIN if others have one, -EBUSY if the file system has something to write.
    """
    return split_folio_to_list(folio, 0)


def split_folio_to_list(folio: int, listed: int) -> int:
    """The same; of `listed` pages each keeps a reference for the caller, even where nothing maps it any more."""
    error = __folio_split(folio, 0, listed)
    if not error and folio_test_large(folio):
        WARN(W_SPLIT, folio)
    return error


def folio_split(folio: int, page: int) -> int:
    """A large one in halves around `page`, which alone is single afterwards; before 6.15, into single pages."""
    nr = folio_nr_pages(folio)
    error = __folio_split(folio, page if feature.split_nonuniform else 0, 0)
    if not error and folio_nr_pages(folio) == nr:
        WARN(W_SPLIT, folio)
    return error


def __folio_split(folio: int, around: int, listed: int) -> int:
    """Every part a folio of its own: unmap, divide what is known of it, map again."""
    if not folio_test_large(folio):
        return 0
    extra = cache_references(folio)
    if folio_mapcount(folio) != folio_ref_count(folio) - extra - 1:
        return -EAGAIN
    if not filemap_release_folio(folio):
        return -EBUSY
    nr, anon = folio_nr_pages(folio), folio_test_anon(folio)
    if anon:
        try_to_migrate(folio)
    else:
        try_to_unmap(folio)
    try_to_unmap_flush()
    if folio_ref_count(folio) != extra + 1:
        if anon:
            remove_migration_ptes(folio, 0)
        return -EAGAIN
    count(FOLIO_SPLIT, 1)
    split_pages(folio, nr, extra != 0, around)
    if anon:
        remap_page(folio, nr)
    page = folio + folio_nr_pages(folio)
    while page < folio + nr and not listed:
        after = page + folio_nr_pages(page)
        folio_put(page)
        page = after
    return 0


def filemap_release_folio(folio: int) -> int:
    """Whether the file system lets go of what it keeps with a folio, as of dirty buffers."""
    if folio_test_anon(folio) or not mapping_can_writeback(PAGE.mapping[folio]):
        return 1
    return not folio_test_dirty(folio)


def remap_page(folio: int, nr: int) -> int:
    """Map the pages again; since 6.12 the zero page in place of those with nothing in them, which can go."""
    to_zeropage = feature.split_to_zeropage and not folio_test_swapcache(folio)
    for page in range(folio, folio + nr):
        remove_migration_ptes(page, int(to_zeropage and not PAGE.written[page]))
    return 0


def cache_references(folio: int) -> int:
    """References that the page cache or the swap cache holds."""
    if folio_test_anon(folio) and not folio_test_swapcache(folio):
        return 0
    return folio_nr_pages(folio)


def split_pages(folio: int, nr: int, cached: int, around: int) -> int:
    """Every part becomes a folio with the caller's reference, and those of the cache if that holds it."""
    flags = PAGE.flags[folio] & KEPT_BY_HEAD
    mapping, index, private = PAGE.mapping[folio], PAGE.index[folio], PAGE.private[folio]
    i = 0
    while i < nr:
        page, order = folio + i, 0
        if around and page != around:
            order = ilog2(i ^ (around - folio))
        prep_part(page, order, flags, 0 if flags & PG_ANON else mapping)
        PAGE.refcount[page] = 1 + (cached << order)
        PAGE.mapping[page] = mapping
        PAGE.index[page] = index + i
        PAGE.private[page] = private + i if private else 0
        i += 1 << order
    return page_cache.drop_beyond_eof(folio, nr)


def prep_part(page: int, order: int, flags: int, inode: int) -> int:
    """A folio of what was part of a larger one; nobody maps it."""
    if cfg.log_ptes:
        note(LOG_FOLIO, page, 1 << order, order, inode)
    PAGE.flags[page] = flags | (PG_LARGE | order << PG_ORDER_SHIFT if order else 0)
    for tail in range(page, page + (1 << order)):
        PAGE.head[tail] = page
        PAGE.private[tail] = 0
    return 0
