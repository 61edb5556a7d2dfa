"""mmap, munmap, brk, stack growth and the end of an address space (mm/mmap.c, mm/vma.c)."""

from __future__ import annotations

from core_mm import rmap
from core_mm.gup import mm_populate
from core_mm.inode import file_inode, get_file, shmem_zero_setup, unlink_file_vma
from core_mm.lru import lru_add_drain_to_unmap
from core_mm.memory.free_pgtables import free_pgtables
from core_mm.memory.zap import unmap_vmas
from core_mm.mm_types import (
    EEXIST, EINVAL, ENOMEM, MM, VM_ACCESS_FLAGS, VM_ACCOUNT, VM_GROWSDOWN, VM_LOCKED, VM_MAYEXEC, VM_MAYREAD,
    VM_MAYSHARE, VM_MAYWRITE, VM_NOHUGEPAGE, VM_NORESERVE, VM_READ, VM_SHARED, VM_WRITE, VMA, cfg,
)  # fmt: skip
from core_mm.mmu_gather import tlb_finish_mmu, tlb_free_vmas, tlb_gather_mmu, tlb_gather_mmu_fullmm
from core_mm.uapi import (
    MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_HUGETLB, MAP_LOCKED, MAP_NONBLOCK, MAP_NORESERVE,
    MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, MAP_STACK, MAP_TYPE,
)  # fmt: skip
from core_mm.vma import (
    MAX_MAP_COUNT, __split_vma, remove_vma, vma_link, vma_set_page_prot,
)  # fmt: skip
from core_mm.vma_merge import vma_merge_new_range
from core_mm.vma_tree import (
    find_vma, find_vma_intersection, find_vma_prev, log_vma, unlink_vma, vm_area_alloc,
)  # fmt: skip

VM_MAYALL = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
STACK_GUARD_PAGES = 256  # stack_guard_gap
STACK_RLIMIT = 8 << 20  # bytes, the usual RLIMIT_STACK
ADDRESS_BITS = 48


def task_size() -> int:
    """End of user addresses in bytes."""
    bits = cfg.page_shift + cfg.pte_bits * cfg.levels
    return 1 << min(bits, ADDRESS_BITS)


def page_align(size: int) -> int:
    """Round up to whole pages; what is longer than any address space stays so."""
    return (min(size, 1 << ADDRESS_BITS + 1) + cfg.page_size - 1) & -cfg.page_size


def bad_range(addr: int, size: int) -> int:
    """Whether [addr, addr + size) is unaligned, empty or no user range."""
    if addr & (cfg.page_size - 1) or addr < 0 or size <= 0:
        return 1
    return int(size > task_size() or addr > task_size() - size)


def calc_vm_flags(prot: int, flags: int) -> int:
    """vm_flags of a mapping (include/linux/mman.h: calc_vm_prot_bits, calc_vm_flag_bits)."""
    vm_flags = prot & VM_ACCESS_FLAGS | VM_MAYALL
    kind = flags & MAP_TYPE
    if kind == MAP_SHARED or kind == MAP_SHARED_VALIDATE:
        vm_flags |= VM_SHARED | VM_MAYSHARE
    if flags & MAP_GROWSDOWN:
        vm_flags |= VM_GROWSDOWN
    if flags & MAP_LOCKED:
        vm_flags |= VM_LOCKED
    if flags & MAP_STACK:
        vm_flags |= VM_NOHUGEPAGE
    if flags & MAP_NORESERVE:
        vm_flags |= VM_NORESERVE
    if vm_flags & (VM_NORESERVE | VM_SHARED | VM_WRITE) == VM_WRITE:
        vm_flags |= VM_ACCOUNT
    return vm_flags


def do_mmap(mm: int, addr: int, size: int, prot: int, flags: int, file: int, offset: int) -> int:
    """Map `size` bytes at `addr`, over whatever is there; returns `addr` or -errno (mm/mmap.c:do_mmap).

    `file` is the workload's file number or -1; where the kernel chose the address, the workload says which.
    """
    size = page_align(size)
    kind = flags & MAP_TYPE
    if bad_range(addr, size) or offset & (cfg.page_size - 1) or offset < 0 or flags & MAP_HUGETLB:
        return -EINVAL
    if kind < MAP_SHARED or kind > MAP_SHARED_VALIDATE:
        return -EINVAL
    if flags & MAP_FIXED_NOREPLACE and find_vma_intersection(mm, addr, addr + size):
        return -EEXIST
    if MM.map_count[mm] > MAX_MAP_COUNT:
        return -ENOMEM
    inode = 0
    pgoff = addr >> cfg.page_shift
    if not flags & MAP_ANONYMOUS and file >= 0:
        inode = file_inode(file)
        pgoff = offset >> cfg.page_shift
        if inode == 0:
            return -EINVAL
    elif kind != MAP_PRIVATE:
        inode = shmem_zero_setup(size)
        pgoff = 0
        if inode == 0:
            return -ENOMEM
    vm_flags = calc_vm_flags(prot, flags)
    error = mmap_region(mm, addr, size, vm_flags, inode, pgoff)
    if error:
        return error
    if vm_flags & VM_LOCKED or flags & (MAP_POPULATE | MAP_NONBLOCK) == MAP_POPULATE:
        mm_populate(mm, addr, size)
    return addr


def mmap_region(mm: int, addr: int, size: int, vm_flags: int, inode: int, pgoff: int) -> int:
    """Replace what is mapped in the range by one new mapping. Returns 0 or -errno."""
    error = do_munmap(mm, addr, size)
    if error:
        return error
    end = addr + size
    prev = find_vma_prev(mm, addr)
    after = VMA.vm_next[prev] if prev else MM.mmap[mm]
    if vma_merge_new_range(prev, after, addr, end, pgoff, vm_flags, inode, 0, 0):
        return 0
    vma = vm_area_alloc(mm)
    if vma == 0:
        return -ENOMEM
    VMA.vm_start[vma] = addr
    VMA.vm_end[vma] = end
    VMA.vm_flags[vma] = vm_flags
    VMA.vm_pgoff[vma] = pgoff
    VMA.vm_file[vma] = inode
    if inode:
        get_file(inode)
    vma_set_page_prot(vma)
    return vma_link(mm, vma)


def munmap(mm: int, start: int, size: int) -> int:
    """The system call: 0 or -EINVAL, -ENOMEM (mm/mmap.c:__vm_munmap)."""
    size = page_align(size)
    if bad_range(start, size):
        return -EINVAL
    return do_munmap(mm, start, size)


def do_munmap(mm: int, start: int, size: int) -> int:
    """Unmap [start, start + size), page aligned: one gather (mm/vma.c:do_vmi_align_munmap)."""
    end = start + size
    vma = find_vma_intersection(mm, start, end)
    if vma == 0:
        return 0
    if start > VMA.vm_start[vma]:
        if end < VMA.vm_end[vma] and MM.map_count[mm] >= MAX_MAP_COUNT:
            return -ENOMEM
        if __split_vma(vma, start, 1):
            return -ENOMEM
    last = vma
    while 1:
        if VMA.vm_end[last] > end and __split_vma(last, end, 0):
            return -ENOMEM
        after = VMA.vm_next[last]
        if after == 0 or VMA.vm_start[after] >= end:
            break
        last = after
    prev = VMA.vm_prev[vma]
    detach_vmas(mm, vma, last)
    unmap_region(mm, vma, prev, after)
    return remove_vmas(vma)


def detach_vmas(mm: int, first: int, last: int) -> int:
    """Take `first` to `last` out of the mm; they stay chained by `vm_next`."""
    vma = first
    tail = 0
    while 1:
        after = VMA.vm_next[vma]
        unlink_vma(mm, vma)
        VMA.vm_prev[vma] = tail
        if tail:
            VMA.vm_next[tail] = vma
        if vma == last:
            return 0
        tail = vma
        vma = after


def unmap_region(mm: int, vma: int, prev: int, after: int) -> int:
    """Clear the entries of a detached chain of VMAs, free tables that no neighbour needs (mm/vma.c:vms_clear_ptes)."""
    last = vma
    while VMA.vm_next[last]:
        last = VMA.vm_next[last]
    lru_add_drain_to_unmap()
    tlb = tlb_gather_mmu(mm)
    unmap_vmas(tlb, vma, VMA.vm_start[vma], VMA.vm_end[last])
    floor = VMA.vm_end[prev] if prev else 0
    ceiling = VMA.vm_start[after] if after else 0
    tlb_free_vmas(tlb)
    unlink_mappings(vma)
    free_pgtables(tlb, vma, floor, ceiling)
    return tlb_finish_mmu(tlb)


def unlink_mappings(vma: int) -> int:
    """Hide a detached chain from rmap walks before its tables go (mm/memory.c:free_pgtables)."""
    while vma:
        if VMA.avc[vma]:
            rmap.unlink_anon_vmas(vma)
        unlink_file_vma(vma)
        vma = VMA.vm_next[vma]
    return 0


def remove_vmas(vma: int) -> int:
    """Free a detached chain."""
    while vma:
        after = VMA.vm_next[vma]
        remove_vma(vma)
        vma = after
    return 0


def exit_mmap(mm: int) -> int:
    """Tear the whole address space down (mm/mmap.c:exit_mmap)."""
    vma = MM.mmap[mm]
    if vma == 0:
        return 0
    lru_add_drain_to_unmap()
    tlb = tlb_gather_mmu_fullmm(mm)
    unmap_vmas(tlb, vma, 0, task_size())
    tlb_free_vmas(tlb)
    unlink_mappings(vma)
    free_pgtables(tlb, vma, 0, 0)
    tlb_finish_mmu(tlb)
    MM.mmap[mm] = 0
    MM.mm_rb[mm] = 0
    MM.mmap_cache[mm] = 0
    MM.map_count[mm] = 0
    return remove_vmas(vma)


def brk(mm: int, new: int) -> int:
    """Move the program break; returns the break there is afterwards (mm/mmap.c:brk)."""
    if MM.start_brk[mm] == 0 and 0 < new < task_size():
        MM.start_brk[mm] = new
        MM.brk[mm] = new
    old = MM.brk[mm]
    if new < MM.start_brk[mm] or new >= task_size():
        return old
    newbrk = page_align(new)
    oldbrk = page_align(old)
    if newbrk < oldbrk:
        if do_munmap(mm, newbrk, oldbrk - newbrk):
            return old
    elif newbrk > oldbrk:
        if find_vma_intersection(mm, oldbrk, newbrk + cfg.page_size):
            return old
        if do_brk_flags(mm, oldbrk, newbrk - oldbrk):
            return old
    MM.brk[mm] = new
    return new


def do_brk_flags(mm: int, addr: int, size: int) -> int:
    """Extend the heap over a free range. Returns 0 or -ENOMEM (mm/vma.c:do_brk_flags)."""
    flags = VM_READ | VM_WRITE | VM_MAYALL | VM_ACCOUNT
    pgoff = addr >> cfg.page_shift
    if MM.map_count[mm] > MAX_MAP_COUNT:
        return -ENOMEM
    prev = find_vma_prev(mm, addr)
    if vma_merge_new_range(prev, 0, addr, addr + size, pgoff, flags, 0, 0, 1):
        return 0
    vma = vm_area_alloc(mm)
    if vma == 0:
        return -ENOMEM
    VMA.vm_start[vma] = addr
    VMA.vm_end[vma] = addr + size
    VMA.vm_flags[vma] = flags
    VMA.vm_pgoff[vma] = pgoff
    vma_set_page_prot(vma)
    return vma_link(mm, vma)


def expand_stack(mm: int, addr: int) -> int:
    """The VMA that contains `addr`, after growing a stack down to it; 0: none (mm/mmap.c:expand_stack)."""
    vma = find_vma(mm, addr)
    if vma == 0 or VMA.vm_start[vma] <= addr:
        return vma
    if not VMA.vm_flags[vma] & VM_GROWSDOWN:
        return 0
    addr &= -cfg.page_size
    prev = VMA.vm_prev[vma]
    if prev and not VMA.vm_flags[prev] & VM_GROWSDOWN and VMA.vm_flags[prev] & VM_ACCESS_FLAGS:
        if addr - VMA.vm_end[prev] < STACK_GUARD_PAGES << cfg.page_shift:
            return 0
    if VMA.vm_end[vma] - addr > STACK_RLIMIT or rmap.anon_vma_prepare(vma):
        return 0
    VMA.vm_pgoff[vma] -= (VMA.vm_start[vma] - addr) >> cfg.page_shift
    VMA.vm_start[vma] = addr
    if cfg.log_ptes:
        log_vma(vma, VMA.vm_end[vma])
    rmap.anon_vma_update_vma(vma)
    return vma
