"""fallocate (fs/open.c:vfs_fallocate, mm/shmem.c:shmem_fallocate, fs/ext4/extents.c:ext4_fallocate)."""

from __future__ import annotations

from core_mm.folio import folio_nr_pages, page_folio
from core_mm.mapping import shmem_mapping
from core_mm.mm_types import EINVAL, ENOMEM, EOPNOTSUPP, INODE, PAGE, cfg
from core_mm.page_cache import pages_of_size
from core_mm.shmem import shmem_write
from core_mm.truncate import punch_hole
from core_mm.uapi import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FILE_RAMFS


def vfs_fallocate(inode: int, mode: int, offset: int, size: int) -> int:
    """The system call; 0, -EINVAL for no or too large a range, -EOPNOTSUPP for other modes or ramfs, -ENOMEM."""
    room = INODE.pages[inode] << cfg.page_shift
    if offset < 0 or size <= 0 or size > room - offset:
        return -EINVAL
    if INODE.kind[inode] == FILE_RAMFS:
        return -EOPNOTSUPP
    if mode == FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
        return punch_hole(inode, offset, size)
    if mode & ~FALLOC_FL_KEEP_SIZE:
        return -EOPNOTSUPP
    if shmem_mapping(inode) and shmem_fallocate(
        inode, offset >> cfg.page_shift, pages_of_size(offset + size)
    ):
        return -ENOMEM
    if not mode & FALLOC_FL_KEEP_SIZE:
        INODE.size[inode] = max(INODE.size[inode], offset + size)
    return 0


def shmem_fallocate(inode: int, start: int, end: int) -> int:
    """Pages [start, end) are there and dirty, so that reclaim swaps them out. Returns 0 or -ENOMEM.

    They are not up to date, so that faults around them pass them by, until one is asked for.
    """
    index = start
    while index < end:
        page = shmem_write(inode, index, end - index, 0)
        if page == 0:
            return -ENOMEM
        folio = page_folio(page)
        index = PAGE.index[folio] + folio_nr_pages(folio)
    return 0
