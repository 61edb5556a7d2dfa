"""mremap (mm/mremap.c)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm import rmap
from core_mm.gup import mm_populate
from core_mm.inode import get_file
from core_mm.mm_types import EFAULT, EINVAL, ENOMEM, MM, VM_LOCKED, VM_MAYSHARE, VM_SHARED, VMA, cfg
from core_mm.mmap import bad_range, do_munmap, page_align
from core_mm.move_page_tables import move_page_tables
from core_mm.uapi import MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE
from core_mm.vma import MAX_MAP_COUNT, vma_is_anonymous, vma_link
from core_mm.vma_merge import vma_merge_new_range
from core_mm.vma_tree import find_vma_intersection, find_vma_prev, vm_area_dup, vm_area_free, vma_lookup


def mremap(mm: int, addr: int, old_len: int, new_len: int, flags: int, new_addr: int) -> int:
    """The system call: the new address or -errno. Where the kernel chose it, `new_addr` says what it chose."""
    old_len = page_align(old_len)
    new_len = page_align(new_len)
    if bad_range(addr, max(old_len, cfg.page_size)) or new_len == 0 or new_addr & (cfg.page_size - 1):
        return -EINVAL
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) and not flags & MREMAP_MAYMOVE:
        return -EINVAL
    if flags & MREMAP_DONTUNMAP and old_len != new_len:
        return -EINVAL
    vma = vma_lookup(mm, addr)
    if vma == 0:
        return -EFAULT
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        return mremap_to(mm, addr, old_len, new_len, flags, new_addr)
    if old_len >= new_len:
        if old_len > new_len and do_munmap(mm, addr + new_len, old_len - new_len):
            return -ENOMEM
        return addr
    return mremap_grow(mm, vma, addr, old_len, new_len, flags, new_addr)


def resize_error(vma: int, addr: int, old_len: int) -> int:
    """Whether `vma` may be resized or moved from `addr` on: 0 or -errno (vma_to_resize)."""
    if old_len == 0 and not VMA.vm_flags[vma] & (VM_SHARED | VM_MAYSHARE):
        return -EINVAL
    if old_len > VMA.vm_end[vma] - addr:
        return -EFAULT
    return 0


def mremap_to(mm: int, addr: int, old_len: int, new_len: int, flags: int, new_addr: int) -> int:
    """Move to where the caller says, over whatever is there."""
    if bad_range(new_addr, new_len):
        return -EINVAL
    if addr + old_len > new_addr and new_addr + new_len > addr:
        return -EINVAL
    if MM.map_count[mm] + 2 >= MAX_MAP_COUNT - 3:
        return -ENOMEM
    if flags & MREMAP_FIXED and feature.mremap_many_vmas and old_len == new_len:
        return remap_move(mm, addr, old_len, flags, new_addr)
    return remap_one(mm, addr, old_len, new_len, flags, new_addr)


def remap_one(mm: int, addr: int, old_len: int, new_len: int, flags: int, new_addr: int) -> int:
    """Move one VMA's part: unmap the target, shrink, move."""
    if do_munmap(mm, new_addr, new_len):
        return -ENOMEM
    if old_len > new_len:
        if do_munmap(mm, addr + new_len, old_len - new_len):
            return -ENOMEM
        old_len = new_len
    vma = vma_lookup(mm, addr)
    if vma == 0:
        return -EFAULT
    error = resize_error(vma, addr, old_len)
    if error:
        return error
    return move_vma(vma, addr, old_len, new_len, new_addr, flags)


def remap_move(mm: int, addr: int, size: int, flags: int, new_addr: int) -> int:
    """Since Linux 6.17 a move to a fixed address may span several VMAs; the gaps stay gaps."""
    end = addr + size
    at = addr
    while at < end:
        vma = find_vma_intersection(mm, at, end)
        if vma == 0:
            return new_addr
        at = max(at, VMA.vm_start[vma])
        after = min(VMA.vm_end[vma], end)
        moved = remap_one(mm, at, after - at, after - at, flags, new_addr + (at - addr))
        if moved < 0:
            return moved
        at = after
    return new_addr


def mremap_grow(mm: int, vma: int, addr: int, old_len: int, new_len: int, flags: int, new_addr: int) -> int:
    """Extend in place if the workload's kernel could, else move to the address it chose."""
    error = resize_error(vma, addr, old_len)
    if error:
        return error
    if addr + old_len == VMA.vm_end[vma] and (new_addr == addr or not flags & MREMAP_MAYMOVE):
        return expand_vma(mm, vma, addr, old_len, new_len)
    if not flags & MREMAP_MAYMOVE or bad_range(new_addr, new_len):
        return -ENOMEM
    if find_vma_intersection(mm, new_addr, new_addr + new_len):
        return -ENOMEM
    return move_vma(vma, addr, old_len, new_len, new_addr, flags)


def expand_vma(mm: int, vma: int, addr: int, old_len: int, new_len: int) -> int:
    """Grow a VMA at its end over free addresses (vma_merge_extend)."""
    end = VMA.vm_end[vma]
    new_end = end + new_len - old_len
    if bad_range(addr, new_len) or find_vma_intersection(mm, end, new_end):
        return -ENOMEM
    pgoff = VMA.vm_pgoff[vma] + ((end - VMA.vm_start[vma]) >> cfg.page_shift)
    after = VMA.vm_next[vma]
    if not vma_merge_new_range(vma, after, end, new_end, pgoff, VMA.vm_flags[vma], VMA.vm_file[vma], vma, 0):
        return -ENOMEM
    if VMA.vm_flags[vma] & VM_LOCKED:
        mm_populate(mm, addr + old_len, new_len - old_len)
    return addr


def copy_vma(vma: int, addr: int, size: int, pgoff: int) -> int:
    """A VMA at `addr` like `vma`, or a neighbour grown over it; 0: no memory (mm/vma.c:copy_vma)."""
    mm = VMA.vm_mm[vma]
    if vma_is_anonymous(vma) and VMA.anon_vma[vma] == 0:
        pgoff = addr >> cfg.page_shift
    prev = find_vma_prev(mm, addr)
    after = VMA.vm_next[prev] if prev else MM.mmap[mm]
    flags = VMA.vm_flags[vma]
    merged = vma_merge_new_range(prev, after, addr, addr + size, pgoff, flags, VMA.vm_file[vma], vma, 0)
    if merged:
        return merged
    new = vm_area_dup(vma, mm)
    if new == 0:
        return 0
    VMA.vm_start[new] = addr
    VMA.vm_end[new] = addr + size
    VMA.vm_pgoff[new] = pgoff
    if rmap.anon_vma_clone(new, vma):
        vm_area_free(new)
        return 0
    if VMA.vm_file[new]:
        get_file(VMA.vm_file[new])
    vma_link(mm, new)
    return new


def move_vma(vma: int, addr: int, old_len: int, new_len: int, new_addr: int, flags: int) -> int:
    """Copy the VMA, move its entries, unmap where it was. Returns `new_addr` or -ENOMEM."""
    mm = VMA.vm_mm[vma]
    if MM.map_count[mm] >= MAX_MAP_COUNT - 3:
        return -ENOMEM
    locked = VMA.vm_flags[vma] & VM_LOCKED
    pgoff = VMA.vm_pgoff[vma] + ((addr - VMA.vm_start[vma]) >> cfg.page_shift)
    new = copy_vma(vma, new_addr, new_len, pgoff)
    if new == 0:
        return -ENOMEM
    if VMA.vm_start[new] <= addr < VMA.vm_end[new]:
        vma = new  # the source was merged into the copy
    if move_page_tables(vma, addr, new, new_addr, old_len) < old_len:
        move_page_tables(new, new_addr, vma, addr, old_len)
        do_munmap(mm, new_addr, new_len)
        return -ENOMEM
    if flags & MREMAP_DONTUNMAP:
        VMA.vm_flags[vma] &= ~VM_LOCKED
        if new != vma and VMA.vm_start[vma] == addr and VMA.vm_end[vma] == addr + old_len and VMA.avc[vma]:
            rmap.unlink_anon_vmas(vma)
        return new_addr
    if old_len:
        do_munmap(mm, addr, old_len)
    if locked and new_len > old_len:
        mm_populate(mm, new_addr + old_len, new_len - old_len)
    return new_addr
