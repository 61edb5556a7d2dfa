"""PMD leaves (arch/arm64/include/asm/pgtable.h; Linux 6.12, 7.3)."""

from __future__ import annotations

from arches.arm64.fault import ACCESS_FLAGS, flush_stale
from arches.arm64.pgtable import pte_mkold, pte_needs_flush, pte_wrprotect, pte_young
from arches.arm64.pgtable_hwdef import PTE_RDONLY
from core_mm import hookspecs as hook
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import cfg
from core_mm.rwonce import PMD_READ_ONCE, PMD_WRITE_ONCE


@hookimpl
def pmdp_set_wrprotect(mm: int, addr: int, pmdp: int) -> int:
    return PMD_WRITE_ONCE(pmdp, pte_wrprotect(PMD_READ_ONCE(pmdp)))


@hookimpl
def pmdp_test_and_clear_young(vma: int, addr: int, pmdp: int) -> int:
    pmd = PMD_READ_ONCE(pmdp)
    PMD_WRITE_ONCE(pmdp, pte_mkold(pmd))
    return pte_young(pmd)


@hookimpl
def pmdp_set_access_flags(vma: int, address: int, pmdp: int, entry: int, dirty: int) -> int:
    """As for a PTE: the union of what the leaf and `entry` permit."""
    pmd = PMD_READ_ONCE(pmdp)
    if pmd == entry:
        return 0
    wanted = (entry & ACCESS_FLAGS) ^ PTE_RDONLY
    PMD_WRITE_ONCE(pmdp, ((pmd ^ PTE_RDONLY) | wanted) ^ PTE_RDONLY)
    if dirty:
        flush_stale(vma, address, 2)
    return 1


@hookimpl
def huge_pmd_needs_flush(oldpmd: int, newpmd: int) -> int:
    """As for a PTE (`__pte_flags_need_flush`)."""
    return pte_needs_flush(oldpmd, newpmd)


@hookimpl
def pmdp_clear_flush_young(vma: int, addr: int, pmdp: int) -> int:
    young = pmdp_test_and_clear_young(vma, addr, pmdp)
    if young:
        start = addr & -cfg.pmd_size
        hook.flush_pmd_tlb_range(vma, start, start + cfg.pmd_size)
    return young
