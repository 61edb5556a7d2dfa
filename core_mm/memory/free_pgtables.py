"""Freeing page tables that a range no longer needs (mm/memory.c:free_pgtables, free_pgd_range)."""

from __future__ import annotations

from core_mm.hookspecs import pmd_leaf, table_slot
from core_mm.mm_types import MM, VMA, GATHER, cfg, ptes
from core_mm.mmu_gather import UNBOUNDED, pte_free_tlb, table_free_tlb
from core_mm.pgtable import entry_at, level_addr_end, level_shift
from core_mm.rwonce import store


def free_pgtables(tlb: int, vma: int, floor: int, ceiling: int) -> int:
    """Free the tables of a list of VMAs that lie between `floor` and `ceiling` (0: no bound).

    VMAs no more than a PMD apart are done in one go. The caller has unlinked
    them from their anon_vmas and files.
    """
    bound = ceiling if ceiling else UNBOUNDED
    while vma:
        addr = VMA.vm_start[vma]
        end = VMA.vm_end[vma]
        vma = VMA.vm_next[vma]
        while vma and VMA.vm_start[vma] <= end + cfg.pmd_size:
            end = VMA.vm_end[vma]
            vma = VMA.vm_next[vma]
        free_pgd_range(tlb, addr, end, floor, VMA.vm_start[vma] if vma else bound)
    return 0


def free_pgd_range(tlb: int, addr: int, end: int, floor: int, ceiling: int) -> int:
    """Free the tables that span nothing but [floor, ceiling)."""
    addr &= -cfg.pmd_size
    if addr < floor:
        addr += cfg.pmd_size
    ceiling &= -cfg.pmd_size
    if end > ceiling:
        end -= cfg.pmd_size
    if addr >= end:
        return 0
    top = cfg.levels - 1
    return free_tables_under(tlb, MM.pgd[GATHER.mm[tlb]], top, addr, end, floor, ceiling)


def free_tables_under(tlb: int, slot: int, level: int, addr: int, end: int, floor: int, ceiling: int) -> int:
    """Free the tables that entries of table `slot` for [addr, end) point to, deepest first."""
    while addr < end:
        after = level_addr_end(addr, end, level)
        at = entry_at(slot, addr, level)
        entry = ptes[at]
        if entry != 0 and not (level == 1 and pmd_leaf(entry)):
            child = table_slot(entry)
            if level == 1:
                store(at, 0)
                pte_free_tlb(tlb, child, addr)
            else:
                free_tables_under(tlb, child, level - 1, addr, after, floor, ceiling)
                free_if_unused(tlb, at, child, level, addr, after, floor, ceiling)
        addr = after
    return 0


def free_if_unused(
    tlb: int, at: int, child: int, level: int, addr: int, end: int, floor: int, ceiling: int
) -> int:
    """Free the table `child` that entry `at` points to, if no neighbour can need it."""
    span = 1 << level_shift(level)
    start = addr & -span
    if start < floor or end > ceiling & -span:
        return 0
    store(at, 0)
    return table_free_tlb(tlb, child, start, level - 1)
