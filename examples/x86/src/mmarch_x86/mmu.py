"""The table walker (Intel SDM volume 3, 4.6 "Access Rights", 4.8 "Accessed and Dirty Flags")."""

from __future__ import annotations

from core_mm.hookspecs import hookimpl
from core_mm.mm_types import ptes
from core_mm.pgtable import pmd_off
from core_mm.uapi import ACCESS_EXEC, ACCESS_WRITE

from mmarch_x86.pgtable_types import PAGE_ACCESSED, PAGE_DIRTY, PAGE_NX, PAGE_PRESENT, PAGE_RW, PAGE_USER


@hookimpl
def mmu_access(mm: int, addr: int, ptep: int, level: int, access: int) -> int:
    """Accessed and dirty are always the hardware's."""
    pte = ptes[ptep]
    if pte & (PAGE_PRESENT | PAGE_USER) != PAGE_PRESENT | PAGE_USER:
        return 0
    if access == ACCESS_EXEC and pte & PAGE_NX:
        return 0
    if access == ACCESS_WRITE:
        if not pte & PAGE_RW:
            return 0
        pte |= PAGE_DIRTY
    ptes[ptep] = pte | PAGE_ACCESSED
    if level == 3:
        ptes[pmd_off(mm, addr)] |= PAGE_ACCESSED
    return 1
