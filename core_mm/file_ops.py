"""System calls on files, and what concerns the whole machine."""

from __future__ import annotations

from core_mm import content
from core_mm.drop_caches import drop_caches
from core_mm.folio import folio_mark_dirty, folio_nr_pages, page_folio
from core_mm.fallocate import vfs_fallocate
from core_mm.inode import file_inode, unlink
from core_mm.mapping import shmem_mapping
from core_mm.log2 import ilog2
from core_mm.mm_types import EINVAL, ENOMEM, INODE, PAGE, PG_UPTODATE, cfg, ops
from core_mm.msync import msync
from core_mm.page_cache import filemap_get_page, range_is_empty
from core_mm.readahead import mapping_large_folio_support, ra_alloc_folio
from core_mm.shmem import shmem_write
from core_mm.swapoff import swapoff
from core_mm.task_mmu import clear_refs
from core_mm.truncate import do_truncate
from core_mm.uapi import (
    OP_CLEAR_REFS, OP_DROP_CACHES, OP_FALLOCATE, OP_FTRUNCATE, OP_LRU_GEN_AGE, OP_MSYNC, OP_PWRITE,
    OP_SWAPOFF, OP_UNLINK,
)  # fmt: skip
from core_mm.vmscan import lru_gen_age


def file_operation(op: int, mm: int, at: int) -> int:
    """Operations on files and on all memory. Returns 0 or -errno."""
    a = ops[at]
    if op == OP_MSYNC:
        return msync(mm, a, ops[at + 1], ops[at + 2])
    if op == OP_CLEAR_REFS:
        return clear_refs(mm, a)
    if op == OP_DROP_CACHES:
        return drop_caches()
    if op == OP_LRU_GEN_AGE:
        return lru_gen_age(a)
    if op == OP_SWAPOFF:
        return swapoff()
    inode = file_inode(a)
    if inode == 0:
        return -EINVAL
    if op == OP_FTRUNCATE:
        size = ops[at + 1]
        if size < 0 or size > INODE.pages[inode] << cfg.page_shift:
            return -EINVAL
        return do_truncate(inode, size)
    if op == OP_PWRITE:
        return pwrite(inode, ops[at + 1], ops[at + 2], ops[at + 3])
    if op == OP_FALLOCATE:
        return vfs_fallocate(inode, ops[at + 1], ops[at + 2], ops[at + 3])
    return unlink(inode) if op == OP_UNLINK else -EINVAL


def pwrite(inode: int, offset: int, size: int, chunk: int) -> int:
    """Fill the page cache from `offset` on, `chunk` bytes a system call. Returns 0, -EINVAL or -ENOMEM."""
    room = INODE.pages[inode] << cfg.page_shift
    if offset < 0 or size < 0 or size > room - offset:
        return -EINVAL
    end = offset + size
    while offset < end:
        after = offset + chunk if 0 < chunk < end - offset else end
        index = offset >> cfg.page_shift
        last = (after - 1) >> cfg.page_shift
        while index <= last:
            written = write_folio(inode, index, last - index + 1)
            if written == 0:
                return -ENOMEM
            if cfg.content:
                content.file_write(inode, index, written)
            index += written
        offset = after
    INODE.size[inode] = max(INODE.size[inode], end)
    return 0


def write_folio(inode: int, index: int, pages: int) -> int:
    """Write to the folio at `index`, made if need be; how many of `pages` it took, 0 if memory is out."""
    if shmem_mapping(inode):
        return int(shmem_write(inode, index, pages, PG_UPTODATE) != 0)
    page = filemap_get_page(inode, index)
    if page == 0:
        if not ra_alloc_folio(inode, index, write_order(inode, index, pages), -1):
            return 0
        page = filemap_get_page(inode, index)
    folio = page_folio(page)
    folio_mark_dirty(folio)
    return min(pages, PAGE.index[folio] + folio_nr_pages(folio) - index)


def write_order(inode: int, index: int, pages: int) -> int:
    """The order of a new folio: as large as the write, where the file system can (mm/filemap.c:__filemap_get_folio)."""
    if not mapping_large_folio_support(inode):
        return 0
    order = min(ilog2(pages), cfg.pmd_order)
    while order and (index & ((1 << order) - 1) or not range_is_empty(inode, index, 1 << order)):
        order -= 1
    return order
