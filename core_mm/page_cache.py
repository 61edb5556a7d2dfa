"""The page cache of an inode: `i_pages` from `INODE.first` on, a frame for each page (mm/filemap.c).

0 is a hole; a negative value is the swap slot of a page of shared memory, negated, with the order of the folio that
was swapped above it.
"""

from __future__ import annotations

from core_mm.folio import folio_nr_pages, folio_order, folio_put_refs, folio_ref_add, folio_test_anon
from core_mm.lru import folio_add_lru
from core_mm.mm_types import INODE, PAGE, cfg, i_pages
from core_mm.vmstat import LOG_FOLIO, note

SWAP_ORDER = 32  # bits of a slot


def pages_of_size(size: int) -> int:
    """Pages that hold `size` bytes."""
    return (size + cfg.page_size - 1) >> cfg.page_shift


def filemap_get_page(inode: int, index: int) -> int:
    """The frame that caches a page, 0 if none does."""
    if index < 0 or index >= INODE.pages[inode]:
        return 0
    return max(i_pages[INODE.first[inode] + index], 0)


def filemap_get_swap(inode: int, index: int) -> int:
    """The swap slot that holds a page of shared memory, 0 if none does."""
    if index < 0 or index >= INODE.pages[inode]:
        return 0
    return max(-i_pages[INODE.first[inode] + index], 0) & (1 << SWAP_ORDER) - 1


def swapped_order(inode: int, index: int) -> int:
    """The order of the folio that a swapped-out page was part of (shmem_confirm_swap)."""
    if not filemap_get_swap(inode, index):
        return 0
    return -i_pages[INODE.first[inode] + index] >> SWAP_ORDER


def swapped_range(slot: int, order: int) -> int:
    """What stands for the first page of a swapped-out folio; one less for each page after it."""
    return -(slot | order << SWAP_ORDER)


def range_is_empty(inode: int, index: int, nr: int) -> int:
    """Whether neither cache nor swap holds any of `nr` pages."""
    if index + nr > INODE.pages[inode]:
        return 0
    at = INODE.first[inode] + index
    for i in range(at, at + nr):
        if i_pages[i]:
            return 0
    return 1


def filemap_add_folio(inode: int, folio: int, index: int, flags: int) -> int:
    """Put a new folio into the cache; the cache takes a reference a page."""
    nr = folio_nr_pages(folio)
    if cfg.log_ptes:
        note(LOG_FOLIO, folio, nr, folio_order(folio), inode)
    folio_ref_add(folio, nr)
    PAGE.flags[folio] |= flags
    folio_add_lru(folio)
    PAGE.mapping[folio] = inode
    PAGE.index[folio] = index
    at = INODE.first[inode] + index
    for i in range(nr):
        i_pages[at + i] = folio + i
    INODE.nrpages[inode] += nr
    return 0


def filemap_remove_folio(folio: int, shadow: int) -> int:
    """Take it out; `shadow` (0 or a negated swap slot) stands for its first page, and so on. Drops the references."""
    nr, inode = folio_nr_pages(folio), PAGE.mapping[folio]
    at = INODE.first[inode] + PAGE.index[folio]
    for i in range(nr):
        i_pages[at + i] = shadow - i if shadow else 0
    INODE.swapped[inode] += nr if shadow else 0
    INODE.nrpages[inode] -= nr
    PAGE.mapping[folio] = 0
    return folio_put_refs(folio, nr)


def drop_beyond_eof(page: int, nr: int) -> int:
    """Of the folios that one was just split into, forget those behind the end of the file."""
    inode = PAGE.mapping[page]
    if folio_test_anon(page) or not inode:
        return 0
    end = pages_of_size(INODE.size[inode])
    last = page + nr
    while page < last:
        after = page + folio_nr_pages(page)
        if PAGE.index[page] >= end:
            filemap_remove_folio(page, 0)
        page = after
    return 0
