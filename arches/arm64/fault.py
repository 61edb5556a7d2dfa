"""Access flags of one entry (arch/arm64/mm/fault.c:__ptep_set_access_flags; Linux 6.12, 7.3)."""

from __future__ import annotations

from arches.arm64.features import arch_feature
from arches.arm64.pgtable_hwdef import PTE_AF, PTE_DIRTY, PTE_RDONLY, PTE_WRITE
from arches.arm64.tlbflush import local_flush_tlb_range
from core_mm import hookspecs as hook
from core_mm.mm_types import VMA, cfg
from core_mm.rwonce import READ_ONCE, cmpxchg

ACCESS_FLAGS = PTE_RDONLY | PTE_AF | PTE_WRITE | PTE_DIRTY


def __ptep_set_access_flags(vma: int, address: int, ptep: int, entry: int, dirty: int, level: int) -> int:
    """The union of what the entry and `entry` permit; a write fault drops the stale translation."""
    pte = READ_ONCE(ptep)
    if pte == entry:
        return 0
    wanted = (entry & ACCESS_FLAGS) ^ PTE_RDONLY
    while True:
        old = pte
        new = (old ^ PTE_RDONLY) | wanted
        pte = cmpxchg(ptep, old, new ^ PTE_RDONLY)
        if pte == old:
            break
    if dirty:
        flush_stale(vma, address, level)
    return 1


def flush_stale(vma: int, address: int, level: int) -> int:
    """Every CPU, or this one, and the others take a spurious fault."""
    if not arch_feature.local_fault_flush:
        return hook.flush_tlb_page(vma, address)
    size = cfg.pmd_size if level == 2 else cfg.page_size
    start = address & -size
    return local_flush_tlb_range(VMA.vm_mm[vma], start, start + size, size, level)
