"""The VMAs of an mm: a treap by address, and a list in the same order.

The kernel keeps them in a maple tree (lib/maple_tree.c); only the order of the
VMAs matters to what this code computes.
"""

from __future__ import annotations

from core_mm.decl import cold
from core_mm.fault_inject import should_fail
from core_mm.mm_types import MM, VMA, cfg, mach
from core_mm.vmstat import LOG_VMA, note


def vm_area_alloc(mm: int) -> int:
    """A VMA with every field 0 but `vm_mm`, or 0 if there is no room (kernel/fork.c:vm_area_alloc)."""
    if should_fail():
        return 0
    vma = mach.free_vmas
    if vma:
        mach.free_vmas = VMA.vm_next[vma]
    else:
        vma = max(mach.next_vma, 1)
        if vma >= cfg.nr_vmas:
            return 0
        mach.next_vma = vma + 1
    clear_vma(vma)
    VMA.vm_mm[vma] = mm
    VMA.priority[vma] = vma * 0x9E3779B1 & 0x7FFFFFFF
    return vma


def clear_vma(vma: int) -> int:
    """Zero the fields that do not place it in a tree."""
    VMA.vm_start[vma] = 0
    VMA.vm_end[vma] = 0
    VMA.vm_flags[vma] = 0
    VMA.vm_page_prot[vma] = 0
    VMA.vm_pgoff[vma] = 0
    VMA.vm_file[vma] = 0
    VMA.anon_vma[vma] = 0
    VMA.avc[vma] = 0
    VMA.vm_next[vma] = 0
    VMA.vm_prev[vma] = 0
    VMA.left[vma] = 0
    VMA.right[vma] = 0
    VMA.i_mmap_next[vma] = 0
    VMA.i_mmap_prev[vma] = 0
    return 0


def vm_area_dup(orig: int, mm: int) -> int:
    """A copy of `orig` for `mm`, in no tree, list or chain, or 0 (kernel/fork.c:vm_area_dup)."""
    vma = vm_area_alloc(mm)
    if vma:
        VMA.vm_start[vma] = VMA.vm_start[orig]
        VMA.vm_end[vma] = VMA.vm_end[orig]
        VMA.vm_flags[vma] = VMA.vm_flags[orig]
        VMA.vm_page_prot[vma] = VMA.vm_page_prot[orig]
        VMA.vm_pgoff[vma] = VMA.vm_pgoff[orig]
        VMA.vm_file[vma] = VMA.vm_file[orig]
        VMA.anon_vma[vma] = VMA.anon_vma[orig]
    return vma


def vm_area_free(vma: int) -> int:
    """Give the row back; it must be in no tree, list or chain any more."""
    VMA.vm_mm[vma] = 0
    VMA.vm_next[vma] = mach.free_vmas
    mach.free_vmas = vma
    return 0


# A link is where a subtree hangs: 0 the root of the mm, else 2 * vma for its left child, 2 * vma + 1 for its right.


def set_link(mm: int, link: int, vma: int) -> int:
    """Hang `vma` at `link`."""
    if link == 0:
        MM.mm_rb[mm] = vma
    elif link & 1:
        VMA.right[link >> 1] = vma
    else:
        VMA.left[link >> 1] = vma
    return 0


def tree_insert(mm: int, vma: int) -> int:
    """Insert by `vm_start`; no other VMA of `mm` may overlap it."""
    start = VMA.vm_start[vma]
    priority = VMA.priority[vma]
    link = 0
    node = MM.mm_rb[mm]
    while node and VMA.priority[node] > priority:
        if start < VMA.vm_start[node]:
            link = node * 2
            node = VMA.left[node]
        else:
            link = node * 2 + 1
            node = VMA.right[node]
    set_link(mm, link, vma)
    below = vma * 2
    above = vma * 2 + 1
    while node:
        if VMA.vm_start[node] < start:
            set_link(mm, below, node)
            below = node * 2 + 1
            node = VMA.right[node]
        else:
            set_link(mm, above, node)
            above = node * 2
            node = VMA.left[node]
    set_link(mm, below, 0)
    set_link(mm, above, 0)
    return 0


def tree_erase(mm: int, vma: int) -> int:
    """Take `vma` out of the tree."""
    start = VMA.vm_start[vma]
    link = 0
    node = MM.mm_rb[mm]
    while node != vma:
        if start < VMA.vm_start[node]:
            link = node * 2
            node = VMA.left[node]
        else:
            link = node * 2 + 1
            node = VMA.right[node]
    low = VMA.left[vma]
    high = VMA.right[vma]
    while low and high:
        if VMA.priority[low] > VMA.priority[high]:
            set_link(mm, link, low)
            link = low * 2 + 1
            low = VMA.right[low]
        else:
            set_link(mm, link, high)
            link = high * 2
            high = VMA.left[high]
    set_link(mm, link, low + high)
    return 0


def find_vma(mm: int, addr: int) -> int:
    """The first VMA that ends above `addr`, or 0 (mm/mmap.c:find_vma)."""
    cached = MM.mmap_cache[mm]
    if cached and VMA.vm_start[cached] <= addr < VMA.vm_end[cached]:
        return cached
    found = 0
    node = MM.mm_rb[mm]
    while node:
        if addr < VMA.vm_end[node]:
            found = node
            if VMA.vm_start[node] <= addr:
                break
            node = VMA.left[node]
        else:
            node = VMA.right[node]
    if found:
        MM.mmap_cache[mm] = found
    return found


def vma_lookup(mm: int, addr: int) -> int:
    """The VMA that contains `addr`, or 0 (include/linux/mm.h)."""
    vma = find_vma(mm, addr)
    if vma and VMA.vm_start[vma] > addr:
        return 0
    return vma


def find_vma_intersection(mm: int, start: int, end: int) -> int:
    """The first VMA that overlaps [start, end), or 0 (mm/mmap.c)."""
    vma = find_vma(mm, start)
    if vma and VMA.vm_start[vma] >= end:
        return 0
    return vma


def find_vma_prev(mm: int, addr: int) -> int:
    """The last VMA that begins below `addr`, or 0."""
    found = 0
    node = MM.mm_rb[mm]
    while node:
        if VMA.vm_start[node] < addr:
            found = node
            node = VMA.right[node]
        else:
            node = VMA.left[node]
    return found


def link_vma(mm: int, vma: int) -> int:
    """Put `vma` into tree and list."""
    prev = find_vma_prev(mm, VMA.vm_start[vma])
    after = VMA.vm_next[prev] if prev else MM.mmap[mm]
    VMA.vm_prev[vma] = prev
    VMA.vm_next[vma] = after
    if prev:
        VMA.vm_next[prev] = vma
    else:
        MM.mmap[mm] = vma
    if after:
        VMA.vm_prev[after] = vma
    tree_insert(mm, vma)
    MM.map_count[mm] += 1
    return log_vma(vma, VMA.vm_end[vma]) if cfg.log_ptes else 0


def unlink_vma(mm: int, vma: int) -> int:
    """Take `vma` out of tree and list."""
    prev = VMA.vm_prev[vma]
    after = VMA.vm_next[vma]
    if prev:
        VMA.vm_next[prev] = after
    else:
        MM.mmap[mm] = after
    if after:
        VMA.vm_prev[after] = prev
    VMA.vm_next[vma] = 0
    VMA.vm_prev[vma] = 0
    tree_erase(mm, vma)
    MM.mmap_cache[mm] = 0
    MM.map_count[mm] -= 1
    return log_vma(vma, 0) if cfg.log_ptes else 0


@cold
def log_vma(vma: int, end: int) -> int:
    """Where it is now and what it permits; `end` 0: it is gone."""
    place = vma | VMA.vm_mm[vma] << 24 | VMA.vm_file[vma] << 44
    return note(LOG_VMA, place, VMA.vm_start[vma], end, VMA.vm_flags[vma])
