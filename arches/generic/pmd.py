"""Defaults of the PMD hooks (mm/pgtable-generic.c, include/linux/pgtable.h)."""

from __future__ import annotations

from core_mm import hookspecs as hook
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import VMA, cfg
from core_mm.rwonce import PMD_READ_ONCE, PMD_WRITE_ONCE, PMD_xchg


@hookimpl
def set_pmd_at(mm: int, addr: int, pmdp: int, pmd: int) -> int:
    return PMD_WRITE_ONCE(pmdp, pmd)


@hookimpl
def pmdp_huge_get_and_clear(mm: int, addr: int, pmdp: int) -> int:
    return PMD_xchg(pmdp, 0)


@hookimpl
def pmdp_huge_get_and_clear_full(vma: int, addr: int, pmdp: int, full: int) -> int:
    return hook.pmdp_huge_get_and_clear(VMA.vm_mm[vma], addr, pmdp)


@hookimpl
def pmdp_set_wrprotect(mm: int, addr: int, pmdp: int) -> int:
    pte = hook.pmd_pte(PMD_READ_ONCE(pmdp))
    return hook.set_pmd_at(mm, addr, pmdp, hook.pmd_mkhuge(hook.pte_wrprotect(pte)))


@hookimpl
def pmdp_set_access_flags(vma: int, address: int, pmdp: int, entry: int, dirty: int) -> int:
    changed = PMD_READ_ONCE(pmdp) != entry
    if changed:
        hook.set_pmd_at(VMA.vm_mm[vma], address, pmdp, entry)
        hook.flush_pmd_tlb_range(vma, address, address + cfg.pmd_size)
    return changed


@hookimpl
def pmdp_test_and_clear_young(vma: int, addr: int, pmdp: int) -> int:
    pte = hook.pmd_pte(PMD_READ_ONCE(pmdp))
    if not hook.pte_young(pte):
        return 0
    hook.set_pmd_at(VMA.vm_mm[vma], addr, pmdp, hook.pmd_mkhuge(hook.pte_mkold(pte)))
    return 1


@hookimpl
def pmdp_clear_flush_young(vma: int, addr: int, pmdp: int) -> int:
    young = hook.pmdp_test_and_clear_young(vma, addr, pmdp)
    if young:
        hook.flush_pmd_tlb_range(vma, addr, addr + cfg.pmd_size)
    return young


@hookimpl
def pmdp_invalidate(vma: int, address: int, pmdp: int) -> int:
    old = PMD_xchg(pmdp, hook.pmd_mkinvalid(PMD_READ_ONCE(pmdp)))
    hook.flush_pmd_tlb_range(vma, address, address + cfg.pmd_size)
    return old


@hookimpl
def pmdp_invalidate_ad(vma: int, address: int, pmdp: int) -> int:
    return hook.pmdp_invalidate(vma, address, pmdp)


@hookimpl
def huge_pmd_needs_flush(oldpmd: int, newpmd: int) -> int:
    return 1


@hookimpl
def pmdp_collapse_flush(vma: int, address: int, pmdp: int) -> int:
    """The entry points to a table, so the flush reaches the pages under it."""
    old = hook.pmdp_huge_get_and_clear(VMA.vm_mm[vma], address, pmdp)
    hook.flush_tlb_range(vma, address, address + cfg.pmd_size)
    return old
