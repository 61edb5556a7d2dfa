"""Splitting VMAs, and what a VMA's flags mean for its entries (mm/vma.c)."""

from __future__ import annotations

from core_mm import huge_memory, rmap
from core_mm.hookspecs import vm_get_page_prot
from core_mm.inode import fput, get_file, i_mmap_insert, unlink_file_vma
from core_mm.mm_types import (
    ENOMEM, INODE, MM, VM_SHARED, VM_WRITE, VMA, cfg,
)  # fmt: skip
from core_mm.uapi import FILE_EXT4, FILE_RAMFS, FILE_REGULAR
from core_mm.vma_tree import (
    find_vma, find_vma_intersection, find_vma_prev, link_vma, log_vma, unlink_vma, vm_area_alloc,
    vm_area_dup, vm_area_free, vma_lookup,
)  # fmt: skip

__all__ = [
    "find_vma", "find_vma_intersection", "find_vma_prev", "vm_area_alloc", "vm_area_dup", "vm_area_free", "vma_link",
    "vma_lookup",
]  # fmt: skip

MAX_MAP_COUNT = 65530  # sysctl_max_map_count


def vma_is_anonymous(vma: int) -> int:
    """Whether no file is behind it; shared anonymous memory has one."""
    return int(VMA.vm_file[vma] == 0)


def vma_link(mm: int, vma: int) -> int:
    """Put a new VMA into the mm and its file's mappings (mm/vma.c:vma_link)."""
    link_vma(mm, vma)
    return i_mmap_insert(vma)


def vma_adjusted(vma: int) -> int:
    """Its borders have moved: to its new place among the mappings of its file and of its pages (vma_complete)."""
    unlink_file_vma(vma)
    i_mmap_insert(vma)
    if cfg.log_ptes:
        log_vma(vma, VMA.vm_end[vma])
    return rmap.anon_vma_update_vma(vma)


def vm_ops_needs_writenotify(vma: int) -> int:
    """Whether the file system wants to hear of the first write (`page_mkwrite`); tmpfs does not."""
    inode = VMA.vm_file[vma]
    if inode == 0:
        return 0
    kind = INODE.kind[inode]
    return int(kind == FILE_EXT4 or kind == FILE_REGULAR or kind == FILE_RAMFS)


def vma_wants_writenotify(vma: int) -> int:
    """Whether entries start read-only so that the first write faults (mm/vma.c:vma_wants_writenotify)."""
    if VMA.vm_flags[vma] & (VM_WRITE | VM_SHARED) != VM_WRITE | VM_SHARED:
        return 0
    return vm_ops_needs_writenotify(vma)


def vma_set_page_prot(vma: int) -> int:
    """Derive `vm_page_prot` from the flags (mm/mmap.c:vma_set_page_prot)."""
    flags = VMA.vm_flags[vma]
    if vma_wants_writenotify(vma):
        flags &= ~VM_SHARED
    VMA.vm_page_prot[vma] = vm_get_page_prot(flags)
    return log_vma(vma, VMA.vm_end[vma]) if cfg.log_ptes else 0


def split_huge_pmd_if_needed(vma: int, address: int) -> int:
    """A huge page that a VMA border would cut is split first (mm/huge_memory.c)."""
    if address & (cfg.pmd_size - 1) == 0:
        return 0
    start = address & -cfg.pmd_size
    if VMA.vm_start[vma] <= start and start + cfg.pmd_size <= VMA.vm_end[vma]:
        huge_memory.split_huge_pmd_address(vma, address)
    return 0


def vma_adjust_trans_huge(vma: int, start: int, end: int) -> int:
    """`vma` is about to become [start, end) (mm/huge_memory.c:vma_adjust_trans_huge)."""
    split_huge_pmd_if_needed(vma, start)
    return split_huge_pmd_if_needed(vma, end)


def __split_vma(vma: int, addr: int, new_below: int) -> int:
    """Cut `vma` at `addr`; a new VMA takes the part below or above. Returns 0 or -ENOMEM."""
    mm = VMA.vm_mm[vma]
    new = vm_area_dup(vma, mm)
    if new == 0:
        return -ENOMEM
    pages = (addr - VMA.vm_start[vma]) >> cfg.page_shift
    if new_below:
        VMA.vm_end[new] = addr
    else:
        VMA.vm_start[new] = addr
        VMA.vm_pgoff[new] += pages
    if rmap.anon_vma_clone(new, vma):
        vm_area_free(new)
        return -ENOMEM
    if VMA.vm_file[new]:
        get_file(VMA.vm_file[new])
    vma_adjust_trans_huge(vma, VMA.vm_start[vma], addr)
    if new_below:
        VMA.vm_start[vma] = addr
        VMA.vm_pgoff[vma] += pages
    else:
        VMA.vm_end[vma] = addr
    vma_adjusted(vma)
    return vma_link(mm, new)


def split_vma(vma: int, addr: int, new_below: int) -> int:
    """The same within the limit of VMAs of an mm."""
    if MM.map_count[VMA.vm_mm[vma]] >= MAX_MAP_COUNT:
        return -ENOMEM
    return __split_vma(vma, addr, new_below)


def discard_vma(vma: int) -> int:
    """Unlink and free a VMA whose range another has taken over (mm/vma.c:vma_complete)."""
    unlink_file_vma(vma)
    if VMA.avc[vma]:
        rmap.unlink_anon_vmas(vma)
    unlink_vma(VMA.vm_mm[vma], vma)
    return remove_vma(vma)


def remove_vma(vma: int) -> int:
    """Close and free a VMA that nothing links to (mm/vma.c:remove_vma)."""
    if VMA.vm_file[vma]:
        fput(VMA.vm_file[vma])
    return vm_area_free(vma)
