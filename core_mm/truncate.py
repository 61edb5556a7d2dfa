"""Removing pages from a file, and from whoever maps them (mm/truncate.c, mm/memory.c, mm/shmem.c)."""

from __future__ import annotations

from core_mm import content, folio_split
from core_mm.folio import (
    folio_get,
    folio_mapped,
    folio_nr_pages,
    folio_put,
    folio_test_large,
    page_folio,
)
from core_mm.mapping import shmem_mapping
from core_mm.memory import zap
from core_mm.mm_types import INODE, PAGE, VMA, cfg, i_pages
from core_mm.page_cache import (
    filemap_get_page, filemap_get_swap, filemap_remove_folio, pages_of_size, swapped_order,
)  # fmt: skip
from core_mm.shmem import shmem_swapin_folio
from core_mm.swapfile import swap_free_nr

TO_THE_END = 1 << 40  # pages; no file has more


def unmap_mapping_pages(inode: int, start: int, nr: int, even_cows: int) -> int:
    """Zap pages [start, start + nr) of a file from every mapping, one gather each; `even_cows`: private copies too."""
    details = 0 if even_cows else zap.ZAP_KEEP_COWS
    vma = INODE.i_mmap[inode]
    while vma:
        size = (VMA.vm_end[vma] - VMA.vm_start[vma]) >> cfg.page_shift
        first = max(start, VMA.vm_pgoff[vma])
        last = min(start + nr, VMA.vm_pgoff[vma] + size)
        if first < last:
            address = VMA.vm_start[vma] + ((first - VMA.vm_pgoff[vma]) << cfg.page_shift)
            zap.zap_page_range_single(vma, address, (last - first) << cfg.page_shift, details)
        vma = VMA.i_mmap_next[vma]
    return 0


def do_truncate(inode: int, size: int) -> int:
    """ftruncate: unmap, drop the pages, unmap what faults brought back meanwhile. Returns 0.

    Shared memory does so only where there were pages (mm/shmem.c:shmem_setattr), file systems whatever the new size
    (fs/ext4/inode.c:ext4_setattr, mm/truncate.c:truncate_setsize).
    """
    start, old = pages_of_size(size), INODE.size[inode]
    INODE.size[inode] = size
    unmaps = not shmem_mapping(inode) or old > start << cfg.page_shift
    if unmaps:
        unmap_mapping_pages(inode, start, TO_THE_END, 1)
    if size <= old:
        if cfg.content:
            content.free_blocks(inode, start, INODE.pages[inode])
        truncate_inode_pages(inode, start)
        if size & (cfg.page_size - 1):
            split_at(inode, size >> cfg.page_shift, 1)
    return unmap_mapping_pages(inode, start, TO_THE_END, 1) if unmaps else 0


def punch_hole(inode: int, offset: int, size: int) -> int:
    """The whole pages in [offset, offset + size) bytes go (fallocate, MADV_REMOVE); private copies stay. Returns 0."""
    start = pages_of_size(offset)
    end = (offset + size) >> cfg.page_shift
    if start < end:
        if cfg.content:
            content.free_blocks(inode, start, min(end, INODE.pages[inode]))
        unmap_mapping_pages(inode, start, end - start, 0)
        truncate_inode_pages_range(inode, start, end)
    return 0


def truncate_inode_pages(inode: int, start: int) -> int:
    """Drop the pages from page `start` on."""
    return truncate_inode_pages_range(inode, start, INODE.pages[inode])


def truncate_inode_pages_range(inode: int, start: int, end: int) -> int:
    """Drop pages [start, end): whole folios first, then parts of others, which are split or stay."""
    truncate_whole_folios(inode, start, end)
    read_partly_swapped(inode, start)
    read_partly_swapped(inode, end - 1)
    if cfg.content:
        content.zero_partial(inode, start, start, end)
        content.zero_partial(inode, end - 1, start, end)
    if split_at(inode, start, 0) + split_at(inode, end, 0):
        truncate_whole_folios(inode, start, end)
    return 0


def truncate_whole_folios(inode: int, start: int, end: int) -> int:
    """Drop the folios and swapped-out pages that lie in pages [start, end)."""
    index = start
    while index < end and INODE.nrpages[inode] + INODE.swapped[inode]:
        page = filemap_get_page(inode, index)
        slot = filemap_get_swap(inode, index)
        nr = 1
        if page:
            folio = page_folio(page)
            nr = folio_nr_pages(folio) - (page - folio)
            if PAGE.index[folio] >= start and PAGE.index[folio] + folio_nr_pages(folio) <= end:
                truncate_inode_folio(folio)
        elif slot:
            nr = 1 << swapped_order(inode, index)
            if index & (nr - 1) == 0 and index + nr <= end:
                drop_swapped(inode, index, slot, nr)
            nr -= index & (nr - 1)
        index += nr
    return 0


def drop_swapped(inode: int, index: int, slot: int, nr: int) -> int:
    """Forget what was swapped out of a folio (mm/shmem.c:shmem_free_swap)."""
    for i in range(index, index + nr):
        i_pages[INODE.first[inode] + i] = 0
    INODE.swapped[inode] -= nr
    return swap_free_nr(slot, nr)


def read_partly_swapped(inode: int, index: int) -> int:
    """The folio in swap that only a part of is to go comes back, to be split (mm/shmem.c:shmem_get_partial_folio)."""
    slot = filemap_get_swap(inode, index)
    return shmem_swapin_folio(inode, index, slot) if slot else 0


def split_at(inode: int, index: int, inside: int) -> int:
    """Split the folio across the border before page `index`, or with `inside` the one of that page; whether it did.

    mm/truncate.c:truncate_inode_partial_folio.
    """
    page = filemap_get_page(inode, index)
    if not page or not folio_test_large(page_folio(page)) or (page_folio(page) == page and not inside):
        return 0
    folio = page_folio(page)
    folio_get(folio)
    error = folio_split.split_folio(folio)
    folio_put(folio)
    return int(error == 0)


def truncate_inode_folio(folio: int) -> int:
    """Drop one folio, whatever state it is in; unmap it first if a fault was faster."""
    if folio_mapped(folio):
        nr, inode = folio_nr_pages(folio), PAGE.mapping[folio]
        unmap_mapping_pages(inode, PAGE.index[folio], nr, 0)
    return filemap_remove_folio(folio, 0)
