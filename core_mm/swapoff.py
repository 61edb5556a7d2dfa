"""swapoff(2): everything comes back from swap, then the area goes (mm/swapfile.c:try_to_unuse; Linux 6.12, 7.3).

Reduced: entries are brought in one by one as a read fault would, once over every mm; the kernel tries until it is done.
"""

from __future__ import annotations

from core_mm.folio import page_folio
from core_mm.hookspecs import arch_swap_invalidate_area, pmd_leaf, pmd_none, pte_none, pte_present, ptep_get
from core_mm.memory.swap_fault import do_swap_page
from core_mm.mm_types import EINVAL, ENOMEM, INODE, MM, VMA, cfg, mach, ptes, swap_cache
from core_mm.page_cache import filemap_get_swap
from core_mm.pgtable import pmd_addr_end, pmd_hole_end, pmd_off, pte_offset_map
from core_mm.shmem import shmem_swapin_folio
from core_mm.swap_state import folio_free_swap
from core_mm.uapi import ACCESS_READ


def swapoff() -> int:
    """Give the swap area up. Returns 0, -EINVAL if there is none, -ENOMEM (the area stays) if memory is out."""
    if cfg.swap_slots == 0 or mach.swap_off:
        return -EINVAL
    mach.swap_off = 1
    if try_to_unuse():
        mach.swap_off = 0
        return -ENOMEM
    return arch_swap_invalidate_area(0)


def try_to_unuse() -> int:
    """Bring in what shared memory and every mm have there, and empty the swap cache. Returns 0 or -ENOMEM."""
    for inode in range(1, mach.next_inode):
        if shmem_unuse(inode):
            return -ENOMEM
    for mm in range(2, mach.next_mm):
        if MM.mm_users[mm] and MM.rss_swap[mm] and unuse_mm(mm):
            return -ENOMEM
    for slot in range(1, cfg.swap_slots):
        if swap_cache[slot]:
            folio_free_swap(page_folio(swap_cache[slot]))
    return -ENOMEM if mach.swap_used else 0


def shmem_unuse(inode: int) -> int:
    """The pages of one file of shared memory."""
    for index in range(INODE.pages[inode] if INODE.swapped[inode] else 0):
        slot = filemap_get_swap(inode, index)
        if slot and not shmem_swapin_folio(inode, index, slot):
            return -ENOMEM
    return 0


def unuse_mm(mm: int) -> int:
    """The entries of one mm."""
    vma = MM.mmap[mm]
    while vma:
        addr, end = VMA.vm_start[vma], VMA.vm_end[vma]
        while addr < end:
            pmdp = pmd_off(mm, addr)
            after = pmd_addr_end(addr, end) if pmdp else pmd_hole_end(mm, addr, end)
            if pmdp and not pmd_none(ptes[pmdp]) and not pmd_leaf(ptes[pmdp]):
                if unuse_pte_range(vma, pmdp, addr, after):
                    return -ENOMEM
            addr = after
        vma = VMA.vm_next[vma]
    return 0


def unuse_pte_range(vma: int, pmdp: int, addr: int, end: int) -> int:
    """The entries of one table."""
    while addr < end:
        ptep = pte_offset_map(pmdp, addr)
        pte = ptep_get(ptep)
        if (
            not pte_none(pte)
            and not pte_present(pte)
            and do_swap_page(vma, addr, pmdp, ptep, pte, ACCESS_READ)
        ):
            return -ENOMEM
        addr += cfg.page_size
    return 0
