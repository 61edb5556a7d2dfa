"""Removing pages from a file, and from whoever maps them (mm/truncate.c, mm/memory.c, mm/shmem.c)."""

from __future__ import annotations

from core_mm import content, folio_split
from core_mm.features import feature
from core_mm.folio import (
    folio_get,
    folio_mapped,
    folio_mark_dirty,
    folio_nr_pages,
    folio_put,
    folio_test_dirty,
    folio_test_large,
    page_folio,
)
from core_mm.lru import lru_add_drain
from core_mm.mapping import shmem_mapping
from core_mm.memory import zap
from core_mm.mm_types import INODE, PAGE, VMA, cfg, i_pages, mach
from core_mm.page_cache import (
    filemap_get_page, filemap_get_swap, filemap_remove_folio, pages_of_size, swapped_order,
)  # fmt: skip
from core_mm.shmem import shmem_swapin_folio
from core_mm.swapfile import swap_free_nr
from core_mm.unmap import try_to_unmap

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
        truncate_inode_pages_range(inode, size, TO_THE_END << cfg.page_shift)
    return unmap_mapping_pages(inode, start, TO_THE_END, 1) if unmaps else 0


def punch_hole(inode: int, offset: int, size: int) -> int:
    """The whole pages in [offset, offset + size) bytes go (fallocate, MADV_REMOVE); private copies stay. Returns 0.

    A hole of ext4 ends with the file's last page (fs/ext4/inode.c:ext4_punch_hole), one of shared memory behind it.
    """
    after = offset + size
    if not shmem_mapping(inode):
        after = min(after, pages_of_size(INODE.size[inode]) << cfg.page_shift)
    start, end = pages_of_size(offset), after >> cfg.page_shift
    if start < end:
        if cfg.content:
            content.free_blocks(inode, start, min(end, INODE.pages[inode]))
        unmap_mapping_pages(inode, start, end - start, 0)
        truncate_inode_pages_range(inode, offset, after)
    return 0


def truncate_inode_pages_range(inode: int, lstart: int, lend: int) -> int:
    """Drop bytes [lstart, lend): whole folios first, then parts of others, which are split or stay."""
    start, end = pages_of_size(lstart), min(lend >> cfg.page_shift, INODE.pages[inode])
    first, last = lstart >> cfg.page_shift, (lend - 1) >> cfg.page_shift
    truncate_whole_folios(inode, start, end)
    folio = get_partial_folio(inode, first)
    same = int(first == last)
    if folio:
        index, after = PAGE.index[folio], PAGE.index[folio] + folio_nr_pages(folio)
        same = int(last < after)
        if not truncate_inode_partial_folio(folio, lstart, lend):
            start = after
            if same:
                end = index
        folio_put(folio)
    folio = 0 if same else get_partial_folio(inode, last)
    if folio:
        index = PAGE.index[folio]
        if not truncate_inode_partial_folio(folio, lstart, lend):
            end = index
        folio_put(folio)
    return truncate_whole_folios(inode, start, end)


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
                lru_add_drain()  # folio_batch_release()
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


def get_partial_folio(inode: int, index: int) -> int:
    """The folio of a page with a reference, 0 if there is none; from swap too.

    mm/shmem.c:shmem_get_partial_folio.
    """
    page, slot = filemap_get_page(inode, index), filemap_get_swap(inode, index)
    if slot:
        page = shmem_swapin_folio(inode, index, slot)
    if not page:
        return 0
    folio = page_folio(page)
    folio_get(folio)
    if shmem_mapping(inode):
        folio_mark_dirty(folio)
    return folio


def truncate_inode_partial_folio(folio: int, lstart: int, lend: int) -> int:
    """Drop of a folio what lies in bytes [lstart, lend): it is split for that. 0 if it cannot be, and stays."""
    inode, first, nr = PAGE.mapping[folio], PAGE.index[folio], folio_nr_pages(folio)
    before = max((lstart >> cfg.page_shift) - first, 0)
    after = (lend >> cfg.page_shift) - first
    if lstart <= first << cfg.page_shift and nr <= after:
        truncate_inode_folio(folio)
        return 1
    if not folio_test_large(folio):
        return 1
    if cfg.content:
        content.zero_partial(inode, first, pages_of_size(lstart), lend >> cfg.page_shift)
    if folio_split_or_unmap(folio, folio + before):
        if folio_test_dirty(folio):
            return 0
        truncate_inode_folio(folio)
    elif after < nr:
        split_at_end(inode, first + after)
    return 1


def split_at_end(inode: int, index: int) -> int:
    """Where a hole ends, in what is still large after the split at its start."""
    page = filemap_get_page(inode, index)
    if page and folio_test_large(page_folio(page)):
        folio = page_folio(page)
        folio_get(folio)
        folio_split_or_unmap(folio, page)
        folio_put(folio)
    return 0


def folio_split_or_unmap(folio: int, page: int) -> int:
    """Split it around `page`, or unmap it, so that who touches it again finds the end of the file; 0 or -errno.

    Shared memory has always been mapped beyond it.
    """
    error = folio_split.folio_split(folio, page)
    if error and feature.truncate_unmaps_unsplit and not shmem_mapping(PAGE.mapping[folio]):
        mach.ttu_at_once = 1
        try_to_unmap(folio)
        mach.ttu_at_once = 0
    return error


def truncate_inode_folio(folio: int) -> int:
    """Drop one folio, whatever state it is in; unmap it first if a fault was faster."""
    if folio_mapped(folio):
        nr, inode = folio_nr_pages(folio), PAGE.mapping[folio]
        unmap_mapping_pages(inode, PAGE.index[folio], nr, 0)
    return filemap_remove_folio(folio, 0)
