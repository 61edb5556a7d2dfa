"""Defaults of the page-table hooks (include/linux/pgtable.h, mm/pgtable-generic.c; Linux 6.12, 7.3).

Batches are written in terms of the single-entry hooks, so that an architecture
that overrides only a single-entry hook changes its batch as well.
"""

from __future__ import annotations

from core_mm import hookspecs as hook
from core_mm.decl import always_inline
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import VMA, cfg
from core_mm.rwonce import READ_ONCE, WRITE_ONCE

CYDP_CLEAR_YOUNG, CYDP_CLEAR_DIRTY = 1, 2
PFN_PTE_SHIFT = 12


@hookimpl
def pte_advance_pfn(pte: int, nr: int) -> int:
    return pte + (nr << PFN_PTE_SHIFT)


@hookimpl
def pte_same(pte_a: int, pte_b: int) -> int:
    return pte_a == pte_b


@hookimpl
def pte_accessible(mm: int, pte: int) -> int:
    return hook.pte_present(pte)


@hookimpl
def pte_needs_flush(oldpte: int, newpte: int) -> int:
    return 1


@hookimpl
def ptep_get(ptep: int) -> int:
    return READ_ONCE(ptep)


@hookimpl
def ptep_get_lockless(ptep: int) -> int:
    return hook.ptep_get(ptep)


@hookimpl
def pte_batch_hint(ptep: int, pte: int) -> int:
    return 1


@hookimpl
def set_pte(ptep: int, pte: int) -> int:
    return WRITE_ONCE(ptep, pte)


@hookimpl
def set_ptes(mm: int, addr: int, ptep: int, pte: int, nr: int) -> int:
    for i in range(nr):
        hook.set_pte(ptep + i, pte)
        pte = hook.pte_advance_pfn(pte, 1)
    return 0


@hookimpl
def pte_clear(mm: int, addr: int, ptep: int) -> int:
    return hook.set_pte(ptep, 0)


@hookimpl
def ptep_get_and_clear(mm: int, addr: int, ptep: int) -> int:
    pte = hook.ptep_get(ptep)
    hook.pte_clear(mm, addr, ptep)
    return pte


@hookimpl
def ptep_get_and_clear_full(mm: int, addr: int, ptep: int, full: int) -> int:
    return hook.ptep_get_and_clear(mm, addr, ptep)


def merge_young_dirty(pte: int, other: int) -> int:
    """`pte` with the accessed and dirty state of `other` added."""
    if hook.pte_dirty(other):
        pte = hook.pte_mkdirty(pte)
    if hook.pte_young(other):
        pte = hook.pte_mkyoung(pte)
    return pte


@hookimpl
def clear_ptes(mm: int, addr: int, ptep: int, nr: int, full: int) -> int:
    pte = hook.ptep_get_and_clear_full(mm, addr, ptep, full)
    for i in range(1, nr):
        other = hook.ptep_get_and_clear_full(mm, addr + i * cfg.page_size, ptep + i, full)
        pte = merge_young_dirty(pte, other)
    return pte


@hookimpl
def clear_full_ptes(mm: int, addr: int, ptep: int, nr: int, full: int) -> int:
    hook.clear_ptes(mm, addr, ptep, nr, full)
    return 0


@hookimpl
def clear_not_present_full_ptes(mm: int, addr: int, ptep: int, nr: int, full: int) -> int:
    for i in range(nr):
        hook.pte_clear(mm, addr + i * cfg.page_size, ptep + i)
    return 0


@hookimpl
def ptep_set_wrprotect(mm: int, addr: int, ptep: int) -> int:
    return hook.set_ptes(mm, addr, ptep, hook.pte_wrprotect(hook.ptep_get(ptep)), 1)


@hookimpl
def wrprotect_ptes(mm: int, addr: int, ptep: int, nr: int) -> int:
    for i in range(nr):
        hook.ptep_set_wrprotect(mm, addr + i * cfg.page_size, ptep + i)
    return 0


@hookimpl
def ptep_test_and_clear_young(vma: int, addr: int, ptep: int) -> int:
    pte = hook.ptep_get(ptep)
    if not hook.pte_young(pte):
        return 0
    hook.set_ptes(VMA.vm_mm[vma], addr, ptep, hook.pte_mkold(pte), 1)
    return 1


@hookimpl
def ptep_clear_flush_young(vma: int, addr: int, ptep: int) -> int:
    young = hook.ptep_test_and_clear_young(vma, addr, ptep)
    if young:
        hook.flush_tlb_page(vma, addr)
    return young


@hookimpl
def test_and_clear_young_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    young = 0
    for i in range(nr):
        young |= hook.ptep_test_and_clear_young(vma, addr + i * cfg.page_size, ptep + i)
    return young


@hookimpl
def clear_flush_young_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    young = 0
    for i in range(nr):
        young |= hook.ptep_clear_flush_young(vma, addr + i * cfg.page_size, ptep + i)
    return young


@hookimpl
def clear_young_dirty_ptes(vma: int, addr: int, ptep: int, nr: int, flags: int) -> int:
    mm = VMA.vm_mm[vma]
    for i in range(nr):
        at = addr + i * cfg.page_size
        if flags == CYDP_CLEAR_YOUNG:
            hook.ptep_test_and_clear_young(vma, at, ptep + i)
        else:
            pte = hook.ptep_get_and_clear(mm, at, ptep + i)
            if flags & CYDP_CLEAR_YOUNG:
                pte = hook.pte_mkold(pte)
            if flags & CYDP_CLEAR_DIRTY:
                pte = hook.pte_mkclean(pte)
            hook.set_ptes(mm, at, ptep + i, pte, 1)
    return 0


@hookimpl
def ptep_set_access_flags(vma: int, address: int, ptep: int, entry: int, dirty: int) -> int:
    changed = not hook.pte_same(hook.ptep_get(ptep), entry)
    if changed:
        hook.set_ptes(VMA.vm_mm[vma], address, ptep, entry, 1)
        hook.flush_tlb_fix_spurious_fault(vma, address, ptep)
    return changed


@hookimpl
def ptep_clear_flush(vma: int, address: int, ptep: int) -> int:
    mm = VMA.vm_mm[vma]
    pte = hook.ptep_get_and_clear(mm, address, ptep)
    if hook.pte_accessible(mm, pte):
        hook.flush_tlb_page(vma, address)
    return pte


@hookimpl
def ptep_modify_prot_start(vma: int, addr: int, ptep: int) -> int:
    return hook.ptep_get_and_clear(VMA.vm_mm[vma], addr, ptep)


@hookimpl
@always_inline
def ptep_modify_prot_commit(vma: int, addr: int, ptep: int, old_pte: int, pte: int) -> int:
    return hook.set_ptes(VMA.vm_mm[vma], addr, ptep, pte, 1)


@hookimpl
def modify_prot_start_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    pte = hook.ptep_modify_prot_start(vma, addr, ptep)
    for i in range(1, nr):
        other = hook.ptep_modify_prot_start(vma, addr + i * cfg.page_size, ptep + i)
        pte = merge_young_dirty(pte, other)
    return pte


@hookimpl
def modify_prot_commit_ptes(vma: int, addr: int, ptep: int, old_pte: int, pte: int, nr: int) -> int:
    for i in range(nr):
        hook.ptep_modify_prot_commit(vma, addr + i * cfg.page_size, ptep + i, old_pte, pte)
        old_pte = hook.pte_advance_pfn(old_pte, 1)
        pte = hook.pte_advance_pfn(pte, 1)
    return 0


@hookimpl
def arch_check_zapped_pte(vma: int, pte: int) -> int:
    return 0


@hookimpl
def arch_unmap_one(mm: int, vma: int, addr: int, orig_pte: int) -> int:
    return 0


@hookimpl
def arch_prepare_to_swap(folio: int) -> int:
    return 0


@hookimpl
def arch_swap_restore(entry: int, folio: int) -> int:
    return 0


@hookimpl
def arch_swap_invalidate_page(type: int, offset: int) -> int:
    return 0


@hookimpl
def arch_swap_invalidate_area(type: int) -> int:
    return 0


@hookimpl
def arch_enter_lazy_mmu_mode() -> int:
    return 0


@hookimpl
def arch_leave_lazy_mmu_mode() -> int:
    return 0


@hookimpl
def arch_flush_lazy_mmu_mode() -> int:
    return 0


@hookimpl
def arch_wants_old_prefaulted_pte() -> int:
    return 0


@hookimpl
def arch_has_hw_pte_young() -> int:
    return 0


@hookimpl
def arch_has_hw_nonleaf_pmd_young() -> int:
    return 0


@hookimpl
def exec_folio_order() -> int:
    return -1
