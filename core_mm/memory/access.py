"""Accesses of a program: the hardware's walk, the fault it may take, the retry (arch/*/mm/fault.c)."""

from __future__ import annotations

from core_mm import content, mmap
from core_mm.decl import cold
from core_mm.hookspecs import mmu_access, pmd_leaf, pmd_none, pmd_pte, pte_pfn, pte_present, table_slot
from core_mm.memory.fault import handle_mm_fault
from core_mm.mm_types import (
    EFAULT,
    ENOMEM,
    PAGE,
    SIGBUS,
    SIGSEGV,
    VM_ACCESS_FLAGS,
    VM_EXEC,
    VM_WRITE,
    VMA,
    cfg,
    ptes,
)
from core_mm.pgtable import entry_at, pmd_addr_end, pmd_off
from core_mm.uapi import ACCESS_EXEC, ACCESS_WRITE
from core_mm.vm_fault import VM_FAULT_OOM, VM_FAULT_SIGBUS, VM_FAULT_SIGSEGV
from core_mm.vma_tree import find_vma
from core_mm.vmstat import FAULT, FAULT_STACK, LOG_FAULT, LOG_HW, W_FAULT_LOOP, WARN, count, note, write_log

ADDRESS_SPACE = 1 << 52  # bytes; more pages than that end in a fault all the same
MAX_FAULTS = 8  # of one access; a copy after a swap-in or after a split takes two or three


def access_range(mm: int, addr: int, pages: int, access: int) -> int:
    """One access to each of `pages` pages from `addr` on, ascending; stops at the first error."""
    end = addr + (min(pages, ADDRESS_SPACE >> cfg.page_shift) << cfg.page_shift)
    while addr < end:
        stop = pmd_addr_end(addr, end)
        error = access_pmd(mm, addr, stop, access)
        if error:
            return error
        addr += (stop - addr + cfg.page_size - 1) & -cfg.page_size
    return 0


def access_pmd(mm: int, addr: int, end: int, access: int) -> int:
    """The accesses that go through one PMD entry; 0 or the first error."""
    pmdp = pmd_off(mm, addr)
    faults = 0
    while addr < end:
        if pmdp and hardware_access(mm, addr, pmdp, access):
            if access == ACCESS_WRITE and cfg.anon_orders | cfg.content:
                note_written(addr, ptes[pmdp])
            addr += cfg.page_size
            faults = 0
        else:
            error = do_page_fault(mm, addr, access)
            if error:
                return error
            pmdp = pmdp if pmdp else pmd_off(mm, addr)
            faults += 1
            if faults > MAX_FAULTS:
                WARN(W_FAULT_LOOP, addr)
                return -EFAULT
    return 0


def hardware_access(mm: int, addr: int, pmdp: int, access: int) -> int:
    """Whether the walk finds a leaf, under this PMD entry, that lets the access through."""
    pmd = ptes[pmdp]
    if pmd_none(pmd):
        return 0
    if pmd_leaf(pmd):
        return walk(mm, addr, pmdp, 2, access)
    return walk(mm, addr, entry_at(table_slot(pmd), addr, 0), 3, access)


def walk(mm: int, addr: int, ptep: int, level: int, access: int) -> int:
    """The architecture's walker on a leaf."""
    if cfg.log_ptes:
        return logged_walk(mm, addr, ptep, level, access)
    return mmu_access(mm, addr, ptep, level, access)


@cold
def logged_walk(mm: int, addr: int, ptep: int, level: int, access: int) -> int:
    """The same; the log sees what it does to the entry."""
    before = ptes[ptep]
    done = mmu_access(mm, addr, ptep, level, access)
    if ptes[ptep] != before:
        note(LOG_HW, ptep, before, ptes[ptep], 0)
    return done


def note_written(addr: int, pmd: int) -> int:
    """Remember which page of a folio has contents: folio_split.remap_page() wants to know."""
    if pmd_leaf(pmd):
        page = pte_pfn(pmd_pte(pmd)) + ((addr & (cfg.pmd_size - 1)) >> cfg.page_shift)
    else:
        page = frame_at(entry_at(table_slot(pmd), addr, 0))
    PAGE.written[page] = 1
    return content.program_write(page, addr) if cfg.content else 0


def frame_at(ptep: int) -> int:
    """The frame that an entry maps, read past the counters; every entry of a block may hold the block's first."""
    page = pte_pfn(ptes[ptep])
    first = ptep & -cfg.cont_ptes
    for other in range(first, first + cfg.cont_ptes):
        if not pte_present(ptes[other]) or pte_pfn(ptes[other]) != page:
            return page
    return page + ptep - first


def do_page_fault(mm: int, addr: int, access: int) -> int:
    """Find the VMA, check what it permits, handle the fault; 0 or a negated signal or error."""
    count(FAULT, 1)
    if cfg.log_ptes:
        write_log(LOG_FAULT, addr, access, mm, 0)
    vma = find_vma(mm, addr)
    if not vma:
        return -SIGSEGV
    if VMA.vm_start[vma] > addr:
        vma = mmap.expand_stack(mm, addr)
        if not vma:
            return -SIGSEGV
        count(FAULT_STACK, 1)
    if access_error(vma, access):
        return -SIGSEGV
    return fault_error(handle_mm_fault(vma, addr, access))


def access_error(vma: int, access: int) -> int:
    """Whether the VMA forbids the access; what can be written or executed can be read."""
    flags = VMA.vm_flags[vma]
    if access == ACCESS_WRITE:
        return not flags & VM_WRITE
    if access == ACCESS_EXEC:
        return not flags & VM_EXEC
    return not flags & VM_ACCESS_FLAGS


def fault_error(result: int) -> int:
    """What a fault's result means for the task."""
    if result & VM_FAULT_OOM:
        return -ENOMEM
    if result & VM_FAULT_SIGBUS:
        return -SIGBUS
    return -SIGSEGV if result & VM_FAULT_SIGSEGV else 0
