"""PTE values and raw accesses (arch/arm64/include/asm/pgtable.h; Linux 6.12.107, 7.3.4).

The functions with two leading underscores know nothing of contiguous blocks.
"""

from __future__ import annotations

from arches.arm64.features import arch_feature
from arches.arm64.cpufeature import cpu
from arches.arm64.lazy_mmu import __set_pte_complete
from arches.arm64.pgtable_hwdef import (
    PTE_ADDR_LOW,
    PAGE_NONE,
    PAGE_READONLY,
    PAGE_READONLY_EXEC,
    PAGE_SHARED,
    PAGE_SHARED_EXEC,
    PTE_AF,
    PTE_ATTRINDX_MASK,
    PTE_CONT,
    PTE_DBM,
    PTE_DIRTY,
    PTE_GP,
    PTE_PO_IDX_MASK,
    PTE_PRESENT_INVALID,
    PTE_PXN,
    PTE_RDONLY,
    PTE_SPECIAL,
    PTE_SWBITS_MASK,
    PTE_TABLE_BIT,
    PTE_TYPE_PAGE,
    PTE_USER,
    PTE_UXN,
    PTE_VALID,
    PTE_WRITE,
    SWP_EXCLUSIVE,
    SWP_OFFSET_SHIFT,
    SWP_TYPE,
)
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import MM, VM_ACCESS_FLAGS, VM_EXEC, VM_SHARED, VM_WRITE, cfg
from core_mm.rwonce import READ_ONCE, WRITE_ONCE, cmpxchg, xchg
from core_mm.swapops import MIGRATION, YOUNG

MODIFY_MASK = (
    PTE_USER | PTE_PXN | PTE_UXN | PTE_RDONLY | PTE_PRESENT_INVALID | PTE_VALID | PTE_WRITE | PTE_GP
    | PTE_ATTRINDX_MASK | PTE_PO_IDX_MASK
)  # fmt: skip


@hookimpl
def pte_none(pte: int) -> int:
    return pte == 0


@hookimpl
def pte_valid(pte: int) -> int:
    return pte & PTE_VALID


@hookimpl
def pte_present(pte: int) -> int:
    return pte & (PTE_VALID | PTE_PRESENT_INVALID) != 0


def pte_valid_cont(pte: int) -> int:
    """Valid and part of a contiguous block."""
    return pte & (PTE_VALID | PTE_CONT) == PTE_VALID | PTE_CONT


@hookimpl
def pte_young(pte: int) -> int:
    return pte & PTE_AF != 0


def pte_hw_dirty(pte: int) -> int:
    """Writable and not read-only: hardware has cleared, or need not clear, RDONLY."""
    return pte & (PTE_DBM | PTE_RDONLY) == PTE_DBM


@hookimpl
def pte_dirty(pte: int) -> int:
    return (pte & PTE_DIRTY != 0) | (pte & (PTE_DBM | PTE_RDONLY) == PTE_DBM)


@hookimpl
def pte_write(pte: int) -> int:
    return pte & PTE_WRITE != 0


@hookimpl
def pte_special(pte: int) -> int:
    return pte & PTE_SPECIAL != 0


@hookimpl
def pte_protnone(pte: int) -> int:
    return pte & (PTE_VALID | PTE_PRESENT_INVALID | PTE_USER | PTE_UXN) == PTE_PRESENT_INVALID | PTE_UXN


@hookimpl
def pte_pfn(pte: int) -> int:
    return (pte & PTE_ADDR_LOW) >> cfg.page_shift


@hookimpl
def pfn_pte(pfn: int, prot: int) -> int:
    return (pfn << cfg.page_shift) | prot


@hookimpl
def pte_mkyoung(pte: int) -> int:
    return pte | PTE_AF


@hookimpl
def pte_mkold(pte: int) -> int:
    return pte & ~PTE_AF


@hookimpl
def pte_mkdirty(pte: int) -> int:
    pte |= PTE_DIRTY
    return pte & ~PTE_RDONLY if pte & PTE_WRITE else pte


@hookimpl
def pte_mkclean(pte: int) -> int:
    return (pte & ~PTE_DIRTY) | PTE_RDONLY


@hookimpl
def pte_mkwrite(pte: int) -> int:
    """`pte_mkwrite_novma`: a clean entry keeps RDONLY, so that the first write is seen; not so before 6.18."""
    pte |= PTE_WRITE
    return pte & ~PTE_RDONLY if pte & PTE_DIRTY or not arch_feature.pte_mkwrite_keeps_clean else pte


@hookimpl
def pte_wrprotect(pte: int) -> int:
    if pte_hw_dirty(pte):
        pte |= PTE_DIRTY
    return (pte & ~PTE_WRITE) | PTE_RDONLY


@hookimpl
def pte_mkspecial(pte: int) -> int:
    return pte | PTE_SPECIAL


@hookimpl
def pte_modify(pte: int, newprot: int) -> int:
    if pte_hw_dirty(pte):
        pte |= PTE_DIRTY
    pte = (pte & ~MODIFY_MASK) | (newprot & MODIFY_MASK)
    if pte & PTE_DIRTY:
        pte = pte_mkdirty(pte)
    return pte


@hookimpl
def pte_advance_pfn(pte: int, nr: int) -> int:
    return pte + (nr << cfg.page_shift)


def pte_mkcont(pte: int) -> int:
    """The type bits too, once, which makes a PROT_NONE entry valid."""
    return pte | PTE_CONT if arch_feature.pte_mkcont_keeps_type else pte | PTE_CONT | PTE_TYPE_PAGE


def pte_mknoncont(pte: int) -> int:
    """Not part of a block."""
    return pte & ~PTE_CONT


def pte_pgprot(pte: int) -> int:
    """Everything but the address."""
    return pte & ~(PTE_ADDR_LOW & -cfg.page_size)


@hookimpl
def pte_accessible(mm: int, pte: int) -> int:
    """While another flush is pending, an entry made invalid may still be cached."""
    return pte_present(pte) if MM.tlb_flush_pending[mm] > 0 else pte_valid(pte)


@hookimpl
def pte_needs_flush(oldpte: int, newpte: int) -> int:
    """Not from an invalid entry, not for software bits alone (Linux 6.19)."""
    if not arch_feature.needless_flush_elided:
        return 1
    if not pte_valid(oldpte):
        return 0
    return (oldpte ^ newpte) & ~PTE_SWBITS_MASK != 0


@hookimpl
def vm_get_page_prot(vm_flags: int) -> int:
    if vm_flags & VM_ACCESS_FLAGS == 0:
        return PAGE_NONE
    executable = vm_flags & VM_EXEC
    if vm_flags & VM_SHARED and vm_flags & VM_WRITE:
        return PAGE_SHARED_EXEC if executable else PAGE_SHARED
    return PAGE_READONLY_EXEC if executable else PAGE_READONLY


@hookimpl
def swp_entry_to_pte(entry: int) -> int:
    """With LPA2 and 4K pages a migration entry says young in the bit that contpte's `set_ptes` clears."""
    if cpu.lpa2 and cpu.contpte and cfg.page_shift == 12 and entry & MIGRATION:
        entry &= ~YOUNG
    return (entry << SWP_OFFSET_SHIFT) | SWP_TYPE


@hookimpl
def pte_to_swp_entry(pte: int) -> int:
    return pte >> SWP_OFFSET_SHIFT


@hookimpl
def pte_swp_mkexclusive(pte: int) -> int:
    return pte | SWP_EXCLUSIVE


@hookimpl
def pte_swp_exclusive(pte: int) -> int:
    return pte & SWP_EXCLUSIVE != 0


@hookimpl
def pte_swp_clear_exclusive(pte: int) -> int:
    return pte & ~SWP_EXCLUSIVE


@hookimpl
def pmd_none(pmd: int) -> int:
    return pmd == 0


@hookimpl
def pmd_leaf(pmd: int) -> int:
    """`pmd_present() && !pmd_table()`; bit 1 tells a table."""
    return pmd & PTE_TABLE_BIT == 0 and pmd & (PTE_VALID | PTE_PRESENT_INVALID) != 0


@hookimpl
def pmd_mkhuge(pte: int) -> int:
    return pte & ~PTE_TABLE_BIT


@hookimpl
def pmd_pte(pmd: int) -> int:
    return pmd | PTE_TABLE_BIT


@hookimpl
def pmd_mkinvalid(pmd: int) -> int:
    return (pmd | PTE_PRESENT_INVALID) & ~PTE_VALID


@hookimpl
def mk_table(slot: int) -> int:
    """Born young since 6.13: hardware ignores the flag of tables unless it sets it (PMD_TABLE_AF)."""
    entry = (slot << 12) | PTE_TABLE_BIT | PTE_VALID
    return entry | PTE_AF if arch_feature.table_access_flag else entry


@hookimpl
def table_slot(entry: int) -> int:
    return entry >> 12


@hookimpl
def set_pte(ptep: int, pte: int) -> int:
    return __set_pte(ptep, pte)


@hookimpl
def arch_wants_old_prefaulted_pte() -> int:
    return cpu.hw_af


@hookimpl
def arch_has_hw_pte_young() -> int:
    return cpu.hw_af


@hookimpl
def arch_has_hw_nonleaf_pmd_young() -> int:
    return arch_feature.table_access_flag and cpu.haft


@hookimpl
def exec_folio_order() -> int:
    """64 KiB of text in one folio."""
    return 16 - cfg.page_shift


# --- raw accesses ---


def __set_pte(ptep: int, pte: int) -> int:
    WRITE_ONCE(ptep, pte)
    return __set_pte_complete(pte, 1)


def __set_ptes(ptep: int, pte: int, nr: int) -> int:
    for i in range(nr):
        WRITE_ONCE(ptep + i, pte)
        pte += cfg.page_size
    return __set_pte_complete(pte, nr)


def __ptep_get_and_clear(ptep: int) -> int:
    return xchg(ptep, 0)


def __get_and_clear_full_ptes(ptep: int, nr: int) -> int:
    """Clear `nr` entries; the first one's old value with accessed and dirty of all."""
    pte = xchg(ptep, 0)
    for i in range(1, nr):
        old = xchg(ptep + i, 0)
        if pte_dirty(old):
            pte = pte_mkdirty(pte)
        if pte_young(old):
            pte = pte_mkyoung(pte)
    return pte


def __clear_full_ptes(ptep: int, nr: int) -> int:
    for i in range(nr):
        xchg(ptep + i, 0)
    return 0


def ___ptep_set_wrprotect(ptep: int, pte: int) -> int:
    """Write-protect, starting from the value `pte` that was read."""
    while True:
        old = pte
        pte = cmpxchg(ptep, old, pte_wrprotect(old))
        if pte == old:
            return 0


def __wrprotect_ptes(ptep: int, nr: int) -> int:
    for i in range(nr):
        ___ptep_set_wrprotect(ptep + i, READ_ONCE(ptep + i))
    return 0


def __ptep_test_and_clear_young(ptep: int) -> int:
    pte = READ_ONCE(ptep)
    while True:
        old = pte
        pte = cmpxchg(ptep, old, pte_mkold(old))
        if pte == old:
            return pte_young(pte)


def __clear_young_dirty_pte(ptep: int, flags: int) -> int:
    pte = READ_ONCE(ptep)
    while True:
        old = pte
        new = pte
        if flags & 1:
            new = pte_mkold(new)
        if flags & 2:
            new = pte_mkclean(new)
        pte = cmpxchg(ptep, old, new)
        if pte == old:
            return 0


def __clear_young_dirty_ptes(ptep: int, nr: int, flags: int) -> int:
    """Both flags together are stored plainly: the lost update would only have set them again."""
    for i in range(nr):
        if flags == 3:
            __set_pte(ptep + i, pte_mkclean(pte_mkold(READ_ONCE(ptep + i))))
        else:
            __clear_young_dirty_pte(ptep + i, flags)
    return 0
