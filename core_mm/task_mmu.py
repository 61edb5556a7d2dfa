"""/proc/PID/clear_refs (fs/proc/task_mmu.c:clear_refs_write)."""

from __future__ import annotations

from core_mm.features import feature
from core_mm.folio import folio_clear_flag, page_folio
from core_mm.hookspecs import (
    flush_tlb_mm, pmd_leaf, pmd_none, pmd_pte, pmdp_test_and_clear_young, pte_none, pte_pfn, pte_present, pte_special,
    ptep_get, ptep_test_and_clear_young, test_and_clear_young_ptes,
)  # fmt: skip
from core_mm.mm_types import EINVAL, MM, PG_REFERENCED, VM_PFNMAP, VMA, cfg, ptes
from core_mm.pgtable import pmd_addr_end, pmd_hole_end, pmd_off, pte_offset_map

CLEAR_REFS_ALL, CLEAR_REFS_ANON, CLEAR_REFS_MAPPED, CLEAR_REFS_SOFT_DIRTY, CLEAR_REFS_MM_HIWATER_RSS = 1, 2, 3, 4, 5


def clear_refs(mm: int, what: int) -> int:
    """Write `what` into clear_refs: clear accessed flags, without a flush. Returns 0 or -EINVAL."""
    if what < CLEAR_REFS_ALL or what > CLEAR_REFS_MM_HIWATER_RSS:
        return -EINVAL
    if what == CLEAR_REFS_MM_HIWATER_RSS:
        return 0
    if what == CLEAR_REFS_SOFT_DIRTY:
        return flush_tlb_mm(mm)
    vma = MM.mmap[mm]
    while vma:
        if not clear_refs_test_walk(vma, what):
            clear_refs_vma(vma)
        vma = VMA.vm_next[vma]
    return 0


def clear_refs_test_walk(vma: int, what: int) -> int:
    """Whether a VMA is left out."""
    if VMA.vm_flags[vma] & VM_PFNMAP:
        return 1
    if what == CLEAR_REFS_ANON:
        return int(VMA.vm_file[vma] != 0)
    return int(what == CLEAR_REFS_MAPPED and VMA.vm_file[vma] == 0)


def clear_refs_vma(vma: int) -> int:
    """Every entry of one VMA."""
    addr = VMA.vm_start[vma]
    end = VMA.vm_end[vma]
    while addr < end:
        pmdp = pmd_off(VMA.vm_mm[vma], addr)
        after = pmd_addr_end(addr, end) if pmdp else pmd_hole_end(VMA.vm_mm[vma], addr, end)
        if pmdp and not pmd_none(ptes[pmdp]):
            if pmd_leaf(ptes[pmdp]):
                clear_refs_pmd(vma, addr, pmdp)
            else:
                clear_refs_pte_range(vma, pmdp, addr, after)
        addr = after
    return 0


def clear_refs_pmd(vma: int, addr: int, pmdp: int) -> int:
    """A huge page."""
    pte = pmd_pte(ptes[pmdp])
    if not pte_special(pte):
        pmdp_test_and_clear_young(vma, addr, pmdp)
        folio_clear_flag(page_folio(pte_pfn(pte)), PG_REFERENCED)
    return 0


def clear_refs_pte_range(vma: int, pmdp: int, addr: int, end: int) -> int:
    """The PTEs of one table, one by one."""
    ptep = pte_offset_map(pmdp, addr)
    while addr < end:
        pte = ptep_get(ptep)
        if not pte_none(pte) and pte_present(pte) and not pte_special(pte):
            if feature.young_batch:
                test_and_clear_young_ptes(vma, addr, ptep, 1)
            else:
                ptep_test_and_clear_young(vma, addr, ptep)
            folio_clear_flag(page_folio(pte_pfn(pte)), PG_REFERENCED)
        ptep += 1
        addr += cfg.page_size
    return 0
