"""sync, then /proc/sys/vm/drop_caches (fs/drop_caches.c, mm/truncate.c:invalidate_mapping_pages)."""

from __future__ import annotations

from core_mm.folio import folio_mapped, folio_nr_pages, folio_ref_count, page_folio
from core_mm.lru import lru_add_drain
from core_mm.mapping import mapping_can_writeback
from core_mm.mm_types import INODE, PAGE, PG_DIRTY, mach
from core_mm.page_cache import filemap_get_page, filemap_remove_folio
from core_mm.page_writeback import filemap_write_and_wait_range


def drop_caches() -> int:
    """Write everything back, then forget clean pages that nobody maps."""
    lru_add_drain()
    for inode in range(1, mach.next_inode):
        if mapping_can_writeback(inode) and INODE.nrpages[inode]:
            filemap_write_and_wait_range(inode, 0, INODE.pages[inode])
            invalidate_mapping_pages(inode)
    return 0


def invalidate_mapping_pages(inode: int) -> int:
    """Drop the folios of one file that are clean, not mapped and not in use."""
    index = 0
    while index < INODE.pages[inode] and INODE.nrpages[inode]:
        page = filemap_get_page(inode, index)
        index += 1
        if page:
            folio = page_folio(page)
            index = PAGE.index[folio] + folio_nr_pages(folio)
            busy = PAGE.flags[folio] & PG_DIRTY or folio_mapped(folio)
            if not busy and folio_ref_count(folio) <= folio_nr_pages(folio):
                filemap_remove_folio(folio, 0)
    if INODE.nrpages[inode] == 0:
        forget_readahead(inode)
    return 0


def forget_readahead(inode: int) -> int:
    """The next reader begins with a window of its own."""
    INODE.ra_start[inode] = 0
    INODE.ra_size[inode] = 0
    INODE.ra_async[inode] = 0
    INODE.ra_order[inode] = 0
    INODE.ra_prev[inode] = 0
    return 0
