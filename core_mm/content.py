"""What pages hold, where somebody wants to know (`cfg.content`): a version each, which moves as the kernel moves data.

A version is the operation that wrote, plus 1, over 32 bits of the page's place in its address space or file; 0 is
zeros. A frame that was handed out holds UNINITIALISED until somebody clears or fills it.
"""

from __future__ import annotations

from core_mm.decl import cold
from core_mm.folio import folio_nr_pages, page_folio
from core_mm.mm_types import INODE, PAGE, cfg, content, file_content, i_pages, mach, swap_content
from core_mm.vmstat import LOG_CONTENT, note

PLACE_BITS = 32
EVENT_BITS = 8  # of a row of the log, below the number of frames
CLEARED, WRITTEN, COPIED, TO_SWAP, FROM_SWAP, FROM_FILE, TO_FILE = range(1, 8)


def version(place: int) -> int:
    """Of what the operation under way writes to page `place`."""
    return (mach.op + 1) << PLACE_BITS | place & (1 << PLACE_BITS) - 1


def log_content(event: int, page: int, nr: int, other: int) -> int:
    """A row about `nr` frames from `page` on, and the other side: a frame, slot, address or page of a file."""
    return note(LOG_CONTENT, event | nr << EVENT_BITS, page, other, 0)


@cold
def clear_user_pages(page: int, nr: int) -> int:
    """Zeros in `nr` pages (folio_zero_user, folio_zero_range)."""
    for i in range(page, page + nr):
        content[i] = 0
    return log_content(CLEARED, page, nr, 0)


@cold
def program_write(page: int, addr: int) -> int:
    """The program stores to a page that it has mapped."""
    content[page] = version(addr >> cfg.page_shift)
    return log_content(WRITTEN, page, 1, addr)


@cold
def copy_user_page(to: int, page: int) -> int:
    """A copy of one page; of nothing, zeros (copy_mc_user_highpage, clear_user_highpage)."""
    content[to] = content[page] if page else 0
    return log_content(COPIED, to, 1, page)


@cold
def swap_writepage(folio: int, slot: int) -> int:
    """A folio's pages to slots from `slot` on."""
    nr = folio_nr_pages(folio)
    for i in range(nr):
        swap_content[slot + i] = content[folio + i]
    return log_content(TO_SWAP, folio, nr, slot)


@cold
def swap_read_folio(folio: int, slot: int) -> int:
    """And back."""
    nr = folio_nr_pages(folio)
    for i in range(nr):
        content[folio + i] = swap_content[slot + i]
    return log_content(FROM_SWAP, folio, nr, slot)


@cold
def read_folio(inode: int, folio: int) -> int:
    """A new folio of the page cache gets what the file has there."""
    nr = folio_nr_pages(folio)
    first = INODE.first[inode] + PAGE.index[folio]
    for i in range(nr):
        content[folio + i] = file_content[first + i]
    return log_content(FROM_FILE, folio, nr, PAGE.index[folio])


@cold
def writepages(inode: int, folio: int) -> int:
    """A folio of the page cache goes to its file."""
    nr = folio_nr_pages(folio)
    first = INODE.first[inode] + PAGE.index[folio]
    for i in range(nr):
        file_content[first + i] = content[folio + i]
    return log_content(TO_FILE, folio, nr, PAGE.index[folio])


@cold
def file_write(inode: int, index: int, nr: int) -> int:
    """write(2) fills cached pages."""
    for i in range(index, index + nr):
        page = i_pages[INODE.first[inode] + i]
        content[page] = version(i)
        log_content(WRITTEN, page, 1, i << cfg.page_shift)
    return 0


@cold
def free_blocks(inode: int, start: int, end: int) -> int:
    """Pages [start, end) of a file have none on disk any more, and read as zeros."""
    for i in range(INODE.first[inode] + start, INODE.first[inode] + end):
        file_content[i] = 0
    return 0


@cold
def zero_partial(inode: int, index: int, start: int, end: int) -> int:
    """Zeros in what the folio that caches page `index` has of pages [start, end) (truncate_inode_partial_folio)."""
    folio = page_folio(i_pages[INODE.first[inode] + index])
    first = max(start, PAGE.index[folio])
    last = min(end, PAGE.index[folio] + folio_nr_pages(folio))
    return clear_user_pages(folio + first - PAGE.index[folio], last - first) if first < last else 0
