"""Writing dirty file pages back (mm/page-writeback.c, mm/filemap.c)."""

from __future__ import annotations

from core_mm import content
from core_mm.folio import folio_mark_dirty, folio_nr_pages, page_folio
from core_mm.lru import lru_add_drain
from core_mm.mapping import mapping_can_writeback
from core_mm.mkclean import folio_mkclean
from core_mm.mm_types import INODE, PAGE, PG_DIRTY, PG_READAHEAD, cfg
from core_mm.page_cache import filemap_get_page, pages_of_size


def filemap_write_and_wait_range(inode: int, first: int, end: int) -> int:
    """Write the dirty folios of pages [first, end), ascending: each is write-protected before it is written."""
    if not mapping_can_writeback(inode):
        return 0
    index = first
    end = min(end, pages_of_size(INODE.size[inode]))
    while index < end:
        page = filemap_get_page(inode, index)
        index += 1
        if page:
            folio = page_folio(page)
            if folio_clear_dirty_for_io(folio):
                lru_add_drain()  # folio_batch_release()
            index = PAGE.index[folio] + folio_nr_pages(folio)
    return 0


def folio_clear_dirty_for_io(folio: int) -> int:
    """Write-protect and clean a dirty folio; what page tables knew of dirt goes into the folio first."""
    if not PAGE.flags[folio] & PG_DIRTY:
        return 0
    if folio_mkclean(folio):
        folio_mark_dirty(folio)
    PAGE.flags[folio] &= ~(PG_DIRTY | PG_READAHEAD)
    if cfg.content:
        content.writepages(PAGE.mapping[folio], folio)
    return 1
