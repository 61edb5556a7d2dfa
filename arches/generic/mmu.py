"""A table walker that sets accessed and dirty bits by itself."""

from __future__ import annotations

from arches.generic.pte import ACCESSED, DIRTY, EXEC, PRESENT, RW
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import ptes
from core_mm.uapi import ACCESS_EXEC, ACCESS_WRITE


@hookimpl
def mmu_access(mm: int, addr: int, ptep: int, level: int, access: int) -> int:
    pte = ptes[ptep]
    if not pte & PRESENT:
        return 0
    if access == ACCESS_EXEC and not pte & EXEC:
        return 0
    if access == ACCESS_WRITE:
        if not pte & RW:
            return 0
        pte |= DIRTY
    ptes[ptep] = pte | ACCESSED
    return 1
