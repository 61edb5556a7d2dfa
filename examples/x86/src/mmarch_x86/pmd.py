"""PMD leaves and table pointers (arch/x86/include/asm/pgtable.h, mm/pgtable.c; Linux 6.12)."""

from __future__ import annotations

from core_mm.hookspecs import hookimpl
from core_mm.rwonce import PMD_READ_ONCE, PMD_WRITE_ONCE, PMD_xchg

from mmarch_x86.pgtable import needs_invert, pte_wrprotect
from mmarch_x86.pgtable_types import (
    KERNPG_TABLE,
    PAGE_ACCESSED,
    PAGE_PRESENT,
    PAGE_PROTNONE,
    PAGE_PSE,
    PFN_MASK,
    PFN_SHIFT,
)


@hookimpl
def pmd_none(pmd: int) -> int:
    return pmd == 0


@hookimpl
def pmd_leaf(pmd: int) -> int:
    return pmd & PAGE_PSE != 0


@hookimpl
def pmd_mkhuge(pte: int) -> int:
    return pte | PAGE_PSE


@hookimpl
def pmd_pte(pmd: int) -> int:
    """An invalidated leaf is present (`pmd_present`); as an entry that is PROT_NONE."""
    pte = pmd & ~PAGE_PSE
    return pte if pmd & (PAGE_PRESENT | PAGE_PROTNONE) else pte | PAGE_PROTNONE


@hookimpl
def pmd_mkinvalid(pmd: int) -> int:
    """Neither present nor PROT_NONE; PSE tells that it is still a leaf, and its frame is inverted."""
    new = pmd & ~(PAGE_PRESENT | PAGE_PROTNONE)
    return new ^ PFN_MASK if needs_invert(new) != needs_invert(pmd) else new


@hookimpl
def mk_table(slot: int) -> int:
    return (slot << PFN_SHIFT) | KERNPG_TABLE


@hookimpl
def table_slot(entry: int) -> int:
    return (entry & PFN_MASK) >> PFN_SHIFT


@hookimpl
def pmdp_set_wrprotect(mm: int, addr: int, pmdp: int) -> int:
    return PMD_WRITE_ONCE(pmdp, pte_wrprotect(PMD_READ_ONCE(pmdp)))


@hookimpl
def pmdp_set_access_flags(vma: int, address: int, pmdp: int, entry: int, dirty: int) -> int:
    changed = PMD_READ_ONCE(pmdp) != entry
    if changed and dirty:
        PMD_WRITE_ONCE(pmdp, entry)
    return changed


@hookimpl
def pmdp_invalidate_ad(vma: int, address: int, pmdp: int) -> int:
    """No flush: of a leaf that is not present the hardware sets neither bit; the gather flushes."""
    return PMD_xchg(pmdp, pmd_mkinvalid(PMD_READ_ONCE(pmdp)))


@hookimpl
def pmdp_test_and_clear_young(vma: int, addr: int, pmdp: int) -> int:
    pmd = PMD_READ_ONCE(pmdp)
    if not pmd & PAGE_ACCESSED:
        return 0
    PMD_WRITE_ONCE(pmdp, pmd & ~PAGE_ACCESSED)
    return 1
