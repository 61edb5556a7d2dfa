"""PMD leaves, table pointers (arch/riscv/include/asm/pgtable.h, pgtable-64.h, mm/pgtable.c; Linux 6.12)."""

from __future__ import annotations

from core_mm import hookspecs as hook
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import VMA
from core_mm.rwonce import PMD_READ_ONCE, PMD_WRITE_ONCE, PMD_xchg

from mmarch_riscv_svnapot.cpufeature import cpu
from mmarch_riscv_svnapot.pgtable_bits import (
    IN_BLOCK,
    PAGE_ACCESSED,
    PAGE_LEAF,
    PAGE_PRESENT,
    PAGE_PROT_NONE,
    PAGE_WRITE,
    PFN_MASK,
    PFN_SHIFT,
)


@hookimpl
def pmd_none(pmd: int) -> int:
    return pmd == 0


@hookimpl
def pmd_leaf(pmd: int) -> int:
    """Any of R, W, X tells a leaf from a pointer, of an invalidated leaf too."""
    return pmd & PAGE_LEAF != 0


@hookimpl
def pmd_mkhuge(pte: int) -> int:
    return pte & ~IN_BLOCK


@hookimpl
def pmd_pte(pmd: int) -> int:
    """An invalidated leaf is present (`pmd_present`); as an entry that is PROT_NONE."""
    return pmd if pmd & (PAGE_PRESENT | PAGE_PROT_NONE) else pmd | PAGE_PROT_NONE


@hookimpl
def pmd_mkinvalid(pmd: int) -> int:
    return pmd & ~(PAGE_PRESENT | PAGE_PROT_NONE)


@hookimpl
def mk_table(slot: int) -> int:
    return (slot << PFN_SHIFT) | PAGE_PRESENT


@hookimpl
def table_slot(entry: int) -> int:
    return (entry & PFN_MASK) >> PFN_SHIFT


@hookimpl
def pmdp_set_wrprotect(mm: int, addr: int, pmdp: int) -> int:
    return PMD_WRITE_ONCE(pmdp, PMD_READ_ONCE(pmdp) & ~PAGE_WRITE)


@hookimpl
def pmdp_test_and_clear_young(vma: int, addr: int, pmdp: int) -> int:
    pmd = PMD_READ_ONCE(pmdp)
    if not pmd & PAGE_ACCESSED:
        return 0
    PMD_WRITE_ONCE(pmdp, pmd & ~PAGE_ACCESSED)
    return 1


@hookimpl
def pmdp_set_access_flags(vma: int, address: int, pmdp: int, entry: int, dirty: int) -> int:
    """As of a PTE, with the fence of `update_mmu_cache_pmd`, a hook that core-mm here does not have."""
    changed = int(PMD_READ_ONCE(pmdp) != entry)
    if changed:
        PMD_WRITE_ONCE(pmdp, entry)
    if not cpu.svvptc:
        hook.update_mmu_cache_range(0, vma, address, pmdp, 1)
        return 1
    if changed:
        hook.flush_tlb_page(vma, address)
    return changed


@hookimpl
def pmdp_collapse_flush(vma: int, address: int, pmdp: int) -> int:
    """A fence with an address reaches leaves only, and this was a pointer: fence the whole address space."""
    old = PMD_xchg(pmdp, 0)
    hook.flush_tlb_mm(VMA.vm_mm[vma])
    return old
