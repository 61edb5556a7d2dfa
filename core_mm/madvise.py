"""madvise: which advice goes where (mm/madvise.c; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm.gup import faultin_range
from core_mm.khugepaged import madvise_collapse
from core_mm.madvise_pte import madvise_cold_page_range, madvise_free_range
from core_mm.memory.zap import ZAP_RECLAIM_PT, unmap_single_vma, zap_page_range_single
from core_mm.mm_types import (
    EACCES, EAGAIN, EINVAL, ENOMEM, EOPNOTSUPP, INODE, VM_DONTCOPY, VM_HUGEPAGE, VM_LOCKED, VM_NOHUGEPAGE,
    VM_PFNMAP, VM_RAND_READ, VM_READ, VM_SEQ_READ, VM_SHARED, VM_WIPEONFORK, VM_WRITE, VMA, cfg,
)  # fmt: skip
from core_mm.mmap import bad_range, page_align
from core_mm.mmu_gather import tlb_end_vma, tlb_finish_mmu, tlb_gather_mmu, tlb_start_vma
from core_mm.truncate import punch_hole
from core_mm.uapi import (
    ACCESS_READ, ACCESS_WRITE, FILE_RAMFS, MADV_COLD, MADV_COLLAPSE, MADV_DOFORK, MADV_DONTFORK, MADV_DONTNEED,
    MADV_FREE, MADV_HUGEPAGE, MADV_KEEPONFORK, MADV_NOHUGEPAGE, MADV_NORMAL, MADV_PAGEOUT, MADV_POPULATE_READ,
    MADV_POPULATE_WRITE, MADV_RANDOM, MADV_REMOVE, MADV_SEQUENTIAL, MADV_WIPEONFORK,
)  # fmt: skip
from core_mm.vma import vma_is_anonymous, vma_set_page_prot
from core_mm.vma_merge import vma_modify
from core_mm.vma_tree import find_vma

MADV_DONTDUMP, MADV_DODUMP, MADV_DONTNEED_LOCKED = 16, 17, 24
VM_DONTDUMP = 0x04000000


def do_madvise(mm: int, start: int, size: int, advice: int) -> int:
    """The system call. Returns 0 or -errno."""
    if size == 0:
        return 0
    size = page_align(size)
    if bad_range(start, size):
        return -EINVAL
    end = start + size
    if advice == MADV_POPULATE_READ:
        return madvise_populate(mm, start, end, ACCESS_READ)
    if advice == MADV_POPULATE_WRITE:
        return madvise_populate(mm, start, end, ACCESS_WRITE)
    if not feature.madvise_one_gather or not batches_flush(advice):
        return madvise_walk_vmas(mm, start, end, advice, 0)
    tlb = tlb_gather_mmu(mm)
    error = madvise_walk_vmas(mm, start, end, advice, tlb)
    tlb_finish_mmu(tlb)
    return error


def batches_flush(advice: int) -> int:
    """Advice that has one gather for the whole call since Linux 6.16 (madvise_batch_tlb_flush)."""
    return int(advice == MADV_DONTNEED or advice == MADV_DONTNEED_LOCKED or advice == MADV_FREE)


def madvise_walk_vmas(mm: int, start: int, end: int, advice: int, tlb: int) -> int:
    """Advise VMA by VMA; a gap is an error, but what is mapped behind it is advised all the same."""
    unmapped = 0
    at = start
    while at < end:
        vma = find_vma(mm, at)
        if vma == 0 or VMA.vm_start[vma] >= end:
            return -ENOMEM
        if VMA.vm_start[vma] > at:
            unmapped = -ENOMEM
            at = VMA.vm_start[vma]
        after = min(VMA.vm_end[vma], end)
        error = madvise_vma_behavior(vma, at, after, advice, tlb)
        if error:
            return error
        at = after
    return unmapped


def madvise_vma_behavior(vma: int, start: int, end: int, advice: int, tlb: int) -> int:
    """Advise one VMA. Returns 0 or -errno."""
    flags = VMA.vm_flags[vma]
    if advice == MADV_DONTNEED or advice == MADV_DONTNEED_LOCKED:
        return madvise_dontneed(vma, start, end, advice, tlb)
    if advice == MADV_FREE:
        return madvise_free(vma, start, end, tlb)
    if advice == MADV_COLD or advice == MADV_PAGEOUT:
        if flags & (VM_LOCKED | VM_PFNMAP):
            return -EINVAL
        return madvise_cold_page_range(vma, start, end, int(advice == MADV_PAGEOUT))
    if advice == MADV_REMOVE:
        return madvise_remove(vma, start, end)
    if advice == MADV_COLLAPSE:
        return madvise_collapse(vma, start, end)
    if advice == MADV_WIPEONFORK and (VMA.vm_file[vma] or flags & VM_SHARED):
        return -EINVAL
    new = advised_flags(flags, advice)
    return -EAGAIN if new != flags and madvise_update_vma(vma, start, end, new) else 0


def advised_flags(flags: int, advice: int) -> int:
    """vm_flags after advice that only changes these; unchanged for any other."""
    if advice == MADV_HUGEPAGE:
        return flags & ~VM_NOHUGEPAGE | VM_HUGEPAGE
    if advice == MADV_NOHUGEPAGE:
        return flags & ~VM_HUGEPAGE | VM_NOHUGEPAGE
    if advice == MADV_NORMAL:
        return flags & ~(VM_RAND_READ | VM_SEQ_READ)
    if advice == MADV_SEQUENTIAL:
        return flags & ~VM_RAND_READ | VM_SEQ_READ
    if advice == MADV_RANDOM:
        return flags & ~VM_SEQ_READ | VM_RAND_READ
    if advice == MADV_DONTFORK:
        return flags | VM_DONTCOPY
    if advice == MADV_DOFORK:
        return flags & ~VM_DONTCOPY
    if advice == MADV_WIPEONFORK:
        return flags | VM_WIPEONFORK
    if advice == MADV_KEEPONFORK:
        return flags & ~VM_WIPEONFORK
    if advice == MADV_DONTDUMP:
        return flags | VM_DONTDUMP
    if advice == MADV_DODUMP:
        return flags & ~VM_DONTDUMP
    return flags


def madvise_update_vma(vma: int, start: int, end: int, flags: int) -> int:
    """Split or merge, and store the flags. Returns 0 or -ENOMEM."""
    vma = vma_modify(vma, start, end, flags)
    if vma == 0:
        return -ENOMEM
    VMA.vm_flags[vma] = flags
    return vma_set_page_prot(vma)


def madvise_dontneed(vma: int, start: int, end: int, advice: int, tlb: int) -> int:
    """Zap; the memory reads as new afterwards."""
    forbidden = VM_PFNMAP if advice == MADV_DONTNEED_LOCKED else VM_PFNMAP | VM_LOCKED
    if VMA.vm_flags[vma] & forbidden:
        return -EINVAL
    if tlb:
        return unmap_single_vma(tlb, vma, start, end, ZAP_RECLAIM_PT)
    return zap_page_range_single(vma, start, end - start, ZAP_RECLAIM_PT)


def madvise_free(vma: int, start: int, end: int, tlb: int) -> int:
    """Let reclaim drop anonymous pages unless they are written to again (madvise_free_single_vma)."""
    if VMA.vm_flags[vma] & (VM_LOCKED | VM_PFNMAP) or not vma_is_anonymous(vma):
        return -EINVAL
    if tlb:
        tlb_start_vma(tlb, vma)
        madvise_free_range(tlb, vma, start, end)
        return tlb_end_vma(tlb, vma)
    tlb = tlb_gather_mmu(VMA.vm_mm[vma])
    tlb_start_vma(tlb, vma)
    madvise_free_range(tlb, vma, start, end)
    tlb_end_vma(tlb, vma)
    return tlb_finish_mmu(tlb)


def madvise_remove(vma: int, start: int, end: int) -> int:
    """Punch a hole into a shared, writable file mapping. Returns 0, -EINVAL, -EACCES, or -EOPNOTSUPP for ramfs."""
    flags = VMA.vm_flags[vma]
    if flags & VM_LOCKED or VMA.vm_file[vma] == 0:
        return -EINVAL
    if flags & (VM_SHARED | VM_WRITE) != VM_SHARED | VM_WRITE:
        return -EACCES
    if INODE.kind[VMA.vm_file[vma]] == FILE_RAMFS:  # it has no fallocate, which this is (fs/open.c:vfs_fallocate)
        return -EOPNOTSUPP
    offset = (VMA.vm_pgoff[vma] << cfg.page_shift) + start - VMA.vm_start[vma]
    return punch_hole(VMA.vm_file[vma], offset, end - start)


def madvise_populate(mm: int, start: int, end: int, access: int) -> int:
    """Prefault a range (MADV_POPULATE_*). Returns 0, -ENOMEM for a gap too, -EFAULT or -EINVAL."""
    at = start
    while at < end:
        vma = find_vma(mm, at)
        if vma == 0 or VMA.vm_start[vma] > at:
            return -ENOMEM
        if VMA.vm_flags[vma] & (VM_WRITE if access == ACCESS_WRITE else VM_READ) == 0:
            return -EINVAL
        after = min(VMA.vm_end[vma], end)
        error = faultin_range(vma, at, after, access)
        if error:
            return error
        at = after
    return 0
