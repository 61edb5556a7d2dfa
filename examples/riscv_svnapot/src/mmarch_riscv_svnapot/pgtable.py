"""Values of entries (arch/riscv/include/asm/pgtable.h, mm/init.c:protection_map; Linux 6.12, 7.3).

A value is what `ptep_get` returns or `set_ptes` takes: with the frame of its own slot. What
memory holds of a NAPOT block is the business of `napot.py`.
"""

from __future__ import annotations

from core_mm.hookspecs import hookimpl
from core_mm.mm_types import MM, VM_ACCESS_FLAGS, VM_EXEC, VM_READ, VM_SHARED, VM_WRITE

from mmarch_riscv_svnapot.cpufeature import cpu
from mmarch_riscv_svnapot.pgtable_bits import (
    NAPOT,
    PAGE_ACCESSED,
    PAGE_DIRTY,
    PAGE_EXECONLY,
    PAGE_NONE,
    PAGE_PRESENT,
    PAGE_PROT_NONE,
    PAGE_READ_EXEC,
    PAGE_READONLY,
    PAGE_SHARED,
    PAGE_SHARED_EXEC,
    PAGE_SPECIAL,
    PAGE_WRITE,
    PFN_MASK,
    PFN_SHIFT,
    PROT_MASK,
)


@hookimpl
def pte_none(pte: int) -> int:
    return pte == 0


@hookimpl
def pte_present(pte: int) -> int:
    return pte & (PAGE_PRESENT | PAGE_PROT_NONE) != 0


@hookimpl
def pte_valid(pte: int) -> int:
    return pte & PAGE_PRESENT


@hookimpl
def pte_young(pte: int) -> int:
    return pte & PAGE_ACCESSED != 0


@hookimpl
def pte_dirty(pte: int) -> int:
    return pte & PAGE_DIRTY != 0


@hookimpl
def pte_write(pte: int) -> int:
    return pte & PAGE_WRITE != 0


@hookimpl
def pte_special(pte: int) -> int:
    return pte & PAGE_SPECIAL != 0


@hookimpl
def pte_protnone(pte: int) -> int:
    return pte & (PAGE_PRESENT | PAGE_PROT_NONE) == PAGE_PROT_NONE


@hookimpl
def pte_pfn(pte: int) -> int:
    """Of an entry as memory holds it (N set): the first frame of its block, as the kernel's."""
    pfn = (pte & PFN_MASK) >> PFN_SHIFT
    return pfn & (pfn - 1) if pte & NAPOT else pfn


@hookimpl
def pfn_pte(pfn: int, prot: int) -> int:
    return (pfn << PFN_SHIFT) | prot


@hookimpl
def pte_mkyoung(pte: int) -> int:
    return pte | PAGE_ACCESSED


@hookimpl
def pte_mkold(pte: int) -> int:
    return pte & ~PAGE_ACCESSED


@hookimpl
def pte_mkdirty(pte: int) -> int:
    return pte | PAGE_DIRTY


@hookimpl
def pte_mkclean(pte: int) -> int:
    return pte & ~PAGE_DIRTY


@hookimpl
def pte_mkwrite(pte: int) -> int:
    return pte | PAGE_WRITE


@hookimpl
def pte_wrprotect(pte: int) -> int:
    return pte & ~PAGE_WRITE


@hookimpl
def pte_mkspecial(pte: int) -> int:
    return pte | PAGE_SPECIAL


@hookimpl
def pte_modify(pte: int, newprot: int) -> int:
    """The accessed flag stays as it was; the kernel's also takes it from `newprot`."""
    return (pte & ~PROT_MASK) | (newprot & PROT_MASK)


@hookimpl
def pte_advance_pfn(pte: int, nr: int) -> int:
    return pte + (nr << PFN_SHIFT)


@hookimpl
def pte_accessible(mm: int, pte: int) -> int:
    """PROT_NONE entries may be in a TLB while a flush is under way."""
    if pte & PAGE_PRESENT:
        return 1
    return pte & PAGE_PROT_NONE != 0 and MM.tlb_flush_pending[mm] != 0


@hookimpl
def vm_get_page_prot(vm_flags: int) -> int:
    if vm_flags & VM_ACCESS_FLAGS == 0:
        return PAGE_NONE
    if vm_flags & VM_WRITE and vm_flags & VM_SHARED:
        return PAGE_SHARED_EXEC if vm_flags & VM_EXEC else PAGE_SHARED
    if not vm_flags & VM_EXEC:
        return PAGE_READONLY
    return PAGE_READ_EXEC if vm_flags & (VM_READ | VM_WRITE) else PAGE_EXECONLY


@hookimpl
def arch_has_hw_pte_young() -> int:
    return cpu.svadu
