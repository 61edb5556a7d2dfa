"""msync (mm/msync.c)."""

from __future__ import annotations

from core_mm.mm_types import EBUSY, EINVAL, ENOMEM, VM_LOCKED, VM_SHARED, VMA, cfg
from core_mm.mmap import bad_range, page_align
from core_mm.vma_tree import find_vma
from core_mm.page_writeback import filemap_write_and_wait_range

MS_ASYNC, MS_INVALIDATE, MS_SYNC = 1, 2, 4


def msync(mm: int, start: int, size: int, flags: int) -> int:
    """The system call. Returns 0 or -EINVAL, -EBUSY, -ENOMEM; a gap does not stop it."""
    size = page_align(size)
    if size == 0:
        return 0
    if bad_range(start, size) or flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC):
        return -EINVAL
    if flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC:
        return -EINVAL
    end = start + size
    error = 0
    at = start
    while at < end:
        vma = find_vma(mm, at)
        if vma == 0 or VMA.vm_start[vma] >= end:
            return -ENOMEM
        if VMA.vm_start[vma] > at:
            error = -ENOMEM
            at = VMA.vm_start[vma]
        after = min(VMA.vm_end[vma], end)
        if flags & MS_INVALIDATE and VMA.vm_flags[vma] & VM_LOCKED:
            return -EBUSY
        if flags & MS_SYNC:
            sync_vma(vma, at, after)
        at = after
    return error


def sync_vma(vma: int, start: int, end: int) -> int:
    """Write back what a shared mapping of a file may have changed."""
    inode = VMA.vm_file[vma]
    if inode == 0 or not VMA.vm_flags[vma] & VM_SHARED:
        return 0
    first = VMA.vm_pgoff[vma] + ((start - VMA.vm_start[vma]) >> cfg.page_shift)
    return filemap_write_and_wait_range(inode, first, first + ((end - start) >> cfg.page_shift))
