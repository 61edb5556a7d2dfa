"""Readahead of mapped files: which pages a miss brings in, in folios of which order (mm/readahead.c, mm/filemap.c).

The state of `struct file_ra_state` is kept with the inode, as if it had been opened once.
"""

from __future__ import annotations

from core_mm import content
from core_mm.features import feature
from core_mm.folio import folio_alloc, folio_nr_pages, folio_order, folio_put, page_folio
from core_mm.hookspecs import exec_folio_order
from core_mm.log2 import ilog2
from core_mm.mm_types import (
    INODE,
    PAGE,
    PG_READAHEAD,
    PG_UPTODATE,
    VM_EXEC,
    VM_RAND_READ,
    VM_SEQ_READ,
    VMA,
    cfg,
)
from core_mm.page_cache import filemap_add_folio, filemap_get_page, pages_of_size, range_is_empty
from core_mm.uapi import FILE_EXT4, FILE_REGULAR
from core_mm.vm_fault import VM_FAULT_AHEAD, VM_FAULT_RETRY
from core_mm.vmstat import READAHEAD, count

VM_READAHEAD_BYTES = 128 << 10  # read_ahead_kb of a block device
MMAP_LOTSAMISS = 100
XA_CHUNK_SIZE = 64  # slots of a node of the page cache's XArray


def ra_pages() -> int:
    """The largest readahead window."""
    return VM_READAHEAD_BYTES >> cfg.page_shift


def mapping_large_folio_support(inode: int) -> int:
    """Whether the file system takes large folios: ext4 does since Linux 6.16."""
    kind = INODE.kind[inode]
    return feature.ext4_large_folios and (kind == FILE_EXT4 or kind == FILE_REGULAR)


def counts_misses(vma: int) -> int:
    """Whether hits and misses of a mapping decide on readahead: since Linux 7.2 not of text, or if read in order."""
    return not (feature.exec_misses_uncounted and VMA.vm_flags[vma] & (VM_SEQ_READ | VM_EXEC))


def do_sync_mmap_readahead(vma: int, inode: int, index: int) -> int:
    """A fault missed the cache: read around it, unless misses prevail."""
    flags = VMA.vm_flags[vma]
    if flags & VM_RAND_READ and not (feature.exec_misses_uncounted and flags & VM_EXEC):
        return 0
    if flags & VM_SEQ_READ:
        return page_cache_sync_ra(inode, index)
    if counts_misses(vma):
        if INODE.mmap_miss[inode] < MMAP_LOTSAMISS * 10:
            INODE.mmap_miss[inode] += 1
        if INODE.mmap_miss[inode] > MMAP_LOTSAMISS:
            return 0
    if flags & VM_EXEC and feature.exec_readahead and exec_folio_order() >= 0:
        return exec_readahead(vma, inode, index, exec_folio_order())
    INODE.ra_start[inode] = max(0, index - ra_pages() // 2)
    INODE.ra_size[inode] = ra_pages()
    INODE.ra_async[inode] = ra_pages() // 4
    INODE.ra_order[inode] = order_above(0)
    return page_cache_ra_order(inode)


def exec_readahead(vma: int, inode: int, index: int, order: int) -> int:
    """Executable memory in folios of the order that the architecture likes, within the VMA."""
    first = VMA.vm_pgoff[vma]
    last = first + ((VMA.vm_end[vma] - VMA.vm_start[vma]) >> cfg.page_shift)
    start = max(index & (-1 << order), first)
    end = min((start + ra_pages() + (1 << order) - 1) & (-1 << order), last)
    INODE.ra_start[inode] = start
    INODE.ra_size[inode] = end - start
    INODE.ra_async[inode] = 0
    INODE.ra_order[inode] = order
    return page_cache_ra_order(inode)


def page_cache_sync_ra(inode: int, index: int) -> int:
    """A window from `index` on, for a mapping that is read in order."""
    INODE.ra_start[inode] = index
    INODE.ra_size[inode] = ra_pages()
    INODE.ra_async[inode] = 0
    INODE.ra_order[inode] = order_above(0)
    return page_cache_ra_order(inode)


def do_async_mmap_readahead(vma: int, inode: int, index: int, folio: int) -> int:
    """A fault found its page; if its folio carries the mark, the next window is read. Returns 0 or VM_FAULT_RETRY.

    With VM_FAULT_AHEAD where a window is being read, for which the fault does not wait.
    """
    if VMA.vm_flags[vma] & VM_RAND_READ:
        return 0
    if INODE.mmap_miss[inode] and counts_misses(vma):
        INODE.mmap_miss[inode] -= 1
    if PAGE.flags[folio] & PG_READAHEAD:
        PAGE.flags[folio] &= ~PG_READAHEAD
        return VM_FAULT_RETRY | page_cache_async_ra(inode, index, folio)
    return 0


def page_cache_async_ra(inode: int, index: int, folio: int) -> int:
    """The window after the present one, with folios two orders larger. Returns VM_FAULT_AHEAD, or 0 if there is none.

    One of its own, if any, where the fault at `index` is not on the first page of the folio that the window ends with.
    """
    start, size = INODE.ra_start[inode], INODE.ra_size[inode]
    if index == (start + size - INODE.ra_async[inode]) & -folio_nr_pages(folio):
        start += size
        size = max(size, get_next_ra_size(size))
    else:
        start = next_miss(inode, index + 1)
        if not start:
            return 0
        size = ra_pages()
    INODE.ra_order[inode] = 2 + (
        INODE.ra_order[inode] if feature.readahead_order_kept else folio_order(folio)
    )
    if feature.readahead_natural_end:
        size = end_naturally(start, size, INODE.ra_order[inode])
    INODE.ra_start[inode] = start
    INODE.ra_size[inode] = size
    INODE.ra_async[inode] = size
    page_cache_ra_order(inode)
    return VM_FAULT_AHEAD


def order_above(order: int) -> int:
    """Of the folios of a first window: as asked for; before Linux 6.17, two above (page_cache_ra_order)."""
    return order if feature.readahead_order_kept else order + 2


def get_next_ra_size(size: int) -> int:
    """The window after one of `size` pages."""
    if size < ra_pages() // 16:
        return 4 * size
    return 2 * size if size <= ra_pages() // 2 else ra_pages()


def end_naturally(start: int, size: int, order: int) -> int:
    """The size with which a window ends where a folio of `order` may, if it does after its start (Linux 6.16)."""
    end = (start + size) & (-1 << min(order, ilog2(ra_pages())))
    return end - start if end > start else size


def next_miss(inode: int, index: int) -> int:
    """The first page from `index` on that is not cached, 0 if none follows within a window (page_cache_next_miss).

    Within a folio of several slots the walk begins at its first one, and so looks behind what it counts until the node
    ends (lib/xarray.c:xas_descend).
    """
    behind, page = 0, filemap_get_page(inode, index)
    if page and folio_nr_pages(page_folio(page)) < XA_CHUNK_SIZE:
        behind = index - PAGE.index[page_folio(page)]
    for i in range(index, index + ra_pages()):
        if (i - behind) & (XA_CHUNK_SIZE - 1) == 0 and i > index:
            behind = 0
        if not filemap_get_page(inode, i - behind):
            return i
    return 0


def page_cache_ra_order(inode: int) -> int:
    """Read the window, in folios of at most `ra_order`; the folio that begins its asynchronous part is marked.

    From where something is cached already, in single pages (do_page_cache_ra).
    """
    count(READAHEAD, 1)
    index, size = INODE.ra_start[inode], INODE.ra_size[inode]
    limit = min(index + size, pages_of_size(INODE.size[inode]), INODE.pages[inode])
    top, singly = 0, int(not mapping_large_folio_support(inode))
    mark = index + size - INODE.ra_async[inode]
    if singly:
        mark = single_mark(inode, index, size)
    else:
        top = min(INODE.ra_order[inode], ilog2(size), cfg.pmd_order)
        if feature.readahead_end_unmarked and index + size >= pages_of_size(INODE.size[inode]):
            mark = -1
    INODE.ra_order[inode] = top
    while index < limit:
        order = top
        while order and (index & ((1 << order) - 1) or index + (1 << order) > limit):
            order -= 1
        if not singly and not range_is_empty(inode, index, 1 << order):
            order, top, singly = 0, 0, 1
            mark = single_mark(inode, index, INODE.ra_start[inode] + size - index)
        if not filemap_get_page(inode, index):
            if not ra_alloc_folio(inode, index, order, mark):
                return 0
        index += 1 << order
    return 0


def single_mark(inode: int, index: int, size: int) -> int:
    """The page to mark among `size` single ones, counted back from the file's end if that comes first."""
    rest = pages_of_size(INODE.size[inode]) - index
    if size < rest:
        return index + size - INODE.ra_async[inode]
    if feature.readahead_end_unmarked:
        return index + rest
    return index + rest - INODE.ra_async[inode]


def ra_alloc_folio(inode: int, index: int, order: int, mark: int) -> int:
    """Read one folio; 0 if memory is out."""
    folio = folio_alloc(order)
    if not folio:
        return 0
    flags = PG_UPTODATE
    if index <= mark < index + (1 << order):
        flags |= PG_READAHEAD
    filemap_add_folio(inode, folio, index, flags)
    if cfg.content:
        content.read_folio(inode, folio)
    folio_put(folio)
    return 1
