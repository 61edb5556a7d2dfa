"""A lazy MMU section that is told what it is about: the address space, the range, its entries.

Posted for s390 in 2026, which would invalidate the entries of a section with few instructions at its end;
written anew from what the letters say. Core-mm's loops over a table tell the architecture before they begin.
"""

from __future__ import annotations

from core_mm import huge_memory
from core_mm.decl import noinline
from core_mm.features import feature
from core_mm.hookspecs import flush_tlb_range, pmd_leaf, pte_none, pte_present, ptep_get
from core_mm.lazy_mmu import lazy_mmu_mode_disable, lazy_mmu_mode_enable
from core_mm.memory.copy import copy_nonpresent_pte, copy_present_ptes
from core_mm.memory.zap import FORCE_BREAK, zap_nonpresent_ptes, zap_present_ptes
from core_mm.mm_types import VMA, cfg, mach, ptes
from core_mm.move_page_tables import move_batch
from core_mm.mprotect import change_pte_batches, change_ptes
from core_mm.pgtable import pte_offset_map
from core_mm.series import Events, Series, hookspec, implements, replaces
from core_mm.tlb_batched import flush_tlb_batched_pending
from core_mm.vmstat import count

RANGE = 256  # entries that one instruction of s390 invalidates at most


class lazy_mmu_event(Events):
    """What sections are told: how many, their entries, and instructions that invalidate all of these."""

    lazy_sections: int
    lazy_entries: int
    lazy_ranges: int


series = Series(
    name="lazy_mmu_with_ptes",
    title="mm: tell lazy MMU sections the range of their entries",
    releases=("7.3",),
    requires=("lazy_mmu_nesting",),
    events=lazy_mmu_event,
)


@hookspec
def arch_enter_lazy_mmu_mode_with_ptes(mm: int, addr: int, end: int, ptep: int) -> int:
    """A section begins that changes no entries of `mm` but those of [addr, end), which lie from `ptep` on.

    Called once a section, before `arch_enter_lazy_mmu_mode`, where the mode is neither on nor paused. They
    lie in one table, whose lock the caller holds, and are at least one. Nothing is returned.
    Default: nothing, so that the mode is what it is without it.
    """
    return 0


@implements("arch_enter_lazy_mmu_mode_with_ptes", "arm64", "generic")
def count_section(mm: int, addr: int, end: int, ptep: int) -> int:
    """Count what an architecture with range invalidations would make of it."""
    entries = (end - addr) >> cfg.page_shift
    count(lazy_mmu_event.lazy_sections, 1)
    count(lazy_mmu_event.lazy_entries, entries)
    return count(lazy_mmu_event.lazy_ranges, (entries + RANGE - 1) // RANGE)


def lazy_mmu_mode_enable_with_ptes(mm: int, addr: int, end: int, ptep: int) -> int:
    """`lazy_mmu_mode_enable`, with what the section is about."""
    if mach.lazy_enabled == 0 and mach.lazy_paused == 0:
        arch_enter_lazy_mmu_mode_with_ptes(mm, addr, end, ptep)
    return lazy_mmu_mode_enable()


@replaces("core_mm.memory.zap.zap_ptes", digest="1345affa3c76")
def zap_ptes(tlb: int, vma: int, ptep: int, addr: int, end: int, details: int) -> tuple[int, int]:
    """Zap PTEs until the gather is full; where it stopped, and what the caller must do."""
    lazy_mmu_mode_enable_with_ptes(VMA.vm_mm[vma], addr, end, ptep)
    state = 0
    while addr < end and not state & FORCE_BREAK:
        pte = ptep_get(ptep)
        nr = 1
        if not pte_none(pte):
            limit = (end - addr) >> cfg.page_shift
            if pte_present(pte):
                nr, seen = zap_present_ptes(tlb, vma, ptep, pte, addr, limit, details)
            else:
                nr, seen = zap_nonpresent_ptes(tlb, vma, ptep, pte, addr, limit, details)
            state |= seen
        ptep += nr
        addr += nr << cfg.page_shift
    lazy_mmu_mode_disable()
    return addr, state


@replaces("core_mm.memory.copy.copy_pte_range", digest="84baef9fa4c2")
@noinline
def copy_pte_range(dst_vma: int, src_vma: int, dst_ptep: int, src_ptep: int, addr: int, end: int) -> int:
    """Copy the PTEs of one table, by batches of one folio."""
    lazy_mmu_mode_enable_with_ptes(VMA.vm_mm[src_vma], addr, end, src_ptep)
    while addr < end:
        pte = ptep_get(src_ptep)
        nr = 1
        if not pte_none(pte):
            if pte_present(pte):
                limit = (end - addr) >> cfg.page_shift
                nr = copy_present_ptes(dst_vma, src_vma, dst_ptep, src_ptep, pte, addr, limit)
            else:
                copy_nonpresent_pte(dst_vma, src_vma, dst_ptep, src_ptep, pte, addr)
        dst_ptep += nr
        src_ptep += nr
        addr += nr << cfg.page_shift
    return lazy_mmu_mode_disable()


@replaces("core_mm.mprotect.change_pmd", digest="8c4efc4beb28")
def change_pmd(tlb: int, vma: int, pmdp: int, addr: int, end: int, cp_flags: int) -> int:
    """What lies under one PMD; a huge page that is changed in part is split."""
    newprot = VMA.vm_page_prot[vma]
    if pmd_leaf(ptes[pmdp]):
        if end - addr == cfg.pmd_size:
            if huge_memory.change_huge_pmd(tlb, vma, pmdp, addr, newprot, cp_flags):
                return 0
        else:
            huge_memory.split_huge_pmd(vma, pmdp, addr)
    ptep = pte_offset_map(pmdp, addr)
    if ptep == 0:
        return 0
    flush_tlb_batched_pending(VMA.vm_mm[vma])
    lazy_mmu_mode_enable_with_ptes(VMA.vm_mm[vma], addr, end, ptep)
    if feature.mprotect_batch:
        change_pte_batches(tlb, vma, ptep, addr, end, newprot, cp_flags)
    else:
        change_ptes(tlb, vma, ptep, addr, end, newprot, cp_flags)
    return lazy_mmu_mode_disable()


@replaces("core_mm.move_page_tables.move_ptes", digest="f298e6ef9f91")
def move_ptes(vma: int, old_pmdp: int, old_addr: int, old_end: int, new_pmdp: int, new_addr: int) -> int:
    """Move the PTEs of a range within one table on either side; one flush before the PTLs are dropped."""
    start = old_addr
    old_ptep = pte_offset_map(old_pmdp, old_addr)
    new_ptep = pte_offset_map(new_pmdp, new_addr)
    flush_tlb_batched_pending(VMA.vm_mm[vma])
    lazy_mmu_mode_enable_with_ptes(VMA.vm_mm[vma], old_addr, old_end, old_ptep)
    force_flush = 0
    while old_addr < old_end:
        pte = ptep_get(old_ptep)
        nr = 1
        if not pte_none(pte):
            force_flush |= pte_present(pte)
            nr = move_batch(
                vma, old_ptep, old_addr, pte, (old_end - old_addr) >> cfg.page_shift, new_ptep, new_addr
            )
        old_ptep += nr
        new_ptep += nr
        old_addr += nr << cfg.page_shift
        new_addr += nr << cfg.page_shift
    lazy_mmu_mode_disable()
    if force_flush:
        flush_tlb_range(vma, start, old_end)
    return 0
