"""Inodes and their mappings: rows, references, the list of VMAs that map each (fs/inode.c, i_mmap).

Rows 1 … of the workload's files are made by whoever loads it; rows after them
back shared anonymous memory and are used again.
"""

from __future__ import annotations

from core_mm import truncate
from core_mm.fault_inject import should_fail
from core_mm.mapping import shmem_mapping
from core_mm.mm_types import INODE, VMA, cfg, mach
from core_mm.uapi import FILE_SHMEM


__all__ = ["shmem_mapping"]


def file_inode(file: int) -> int:
    """The inode of the workload's file number `file`, or 0 if there is none."""
    if file < 0 or file >= mach.next_inode - 1:
        return 0
    return file + 1


def take_inode(pages: int) -> int:
    """A free row with room for `pages` pages, or 0."""
    last = 0
    inode = mach.free_inodes
    while inode:
        if INODE.pages[inode] >= pages:
            if last:
                INODE.i_mmap[last] = INODE.i_mmap[inode]
            else:
                mach.free_inodes = INODE.i_mmap[inode]
            return inode
        last = inode
        inode = INODE.i_mmap[inode]
    inode = max(mach.next_inode, 1)
    if inode >= cfg.nr_inodes or mach.next_file_page + pages > cfg.nr_file_pages:
        return 0
    mach.next_inode = inode + 1
    INODE.first[inode] = mach.next_file_page
    INODE.pages[inode] = pages
    mach.next_file_page += pages
    return inode


def shmem_zero_setup(size: int) -> int:
    """An unlinked inode of `size` bytes behind a shared anonymous mapping, or 0 (mm/shmem.c)."""
    inode = 0 if should_fail() else take_inode((size + cfg.page_size - 1) >> cfg.page_shift)
    if inode:
        INODE.size[inode] = size
        INODE.kind[inode] = FILE_SHMEM
        INODE.i_mmap[inode] = 0
        INODE.nlink[inode] = 0
        INODE.nrpages[inode] = 0
        INODE.users[inode] = 0
    return inode


def get_file(inode: int) -> int:
    """One more mapping of it."""
    INODE.users[inode] += 1
    return 0


def fput(inode: int) -> int:
    """One mapping less; the last reference of an unlinked inode frees its pages."""
    INODE.users[inode] -= 1
    if INODE.users[inode] == 0 and INODE.nlink[inode] == 0:
        evict_inode(inode)
    return 0


def unlink(inode: int) -> int:
    """The last name goes."""
    INODE.nlink[inode] = 0
    if INODE.users[inode] == 0:
        evict_inode(inode)
    return 0


def evict_inode(inode: int) -> int:
    """Free the pages, and the row if it stood for anonymous memory."""
    truncate.truncate_inode_pages_range(inode, 0, INODE.pages[inode] << cfg.page_shift)
    INODE.size[inode] = 0
    if INODE.kind[inode] == FILE_SHMEM:
        INODE.i_mmap[inode] = mach.free_inodes
        mach.free_inodes = inode
    return 0


def i_mmap_insert(vma: int) -> int:
    """The mapping becomes visible to rmap walks of its file, behind those that do not start later (vma_link_file)."""
    inode = VMA.vm_file[vma]
    if inode:
        before, after = 0, INODE.i_mmap[inode]
        while after and VMA.vm_pgoff[after] <= VMA.vm_pgoff[vma]:
            before = after
            after = VMA.i_mmap_next[after]
        i_mmap_link(inode, vma, before, after)
    return 0


def i_mmap_insert_after(vma: int, prev: int) -> int:
    """The same right behind the mapping it is a copy of (vma_interval_tree_insert_after)."""
    inode = VMA.vm_file[vma]
    return i_mmap_link(inode, vma, prev, VMA.i_mmap_next[prev]) if inode else 0


def i_mmap_link(inode: int, vma: int, before: int, after: int) -> int:
    """Put it between two of the file's mappings, 0 where there is none."""
    VMA.i_mmap_next[vma] = after
    VMA.i_mmap_prev[vma] = before
    if after:
        VMA.i_mmap_prev[after] = vma
    if before:
        VMA.i_mmap_next[before] = vma
    else:
        INODE.i_mmap[inode] = vma
    return 0


def unlink_file_vma(vma: int) -> int:
    """And no longer is (mm/vma.c:unlink_file_vma)."""
    inode = VMA.vm_file[vma]
    if inode:
        before = VMA.i_mmap_prev[vma]
        after = VMA.i_mmap_next[vma]
        if before:
            VMA.i_mmap_next[before] = after
        elif INODE.i_mmap[inode] == vma:
            INODE.i_mmap[inode] = after
        if after:
            VMA.i_mmap_prev[after] = before
        VMA.i_mmap_next[vma] = 0
        VMA.i_mmap_prev[vma] = 0
    return 0
