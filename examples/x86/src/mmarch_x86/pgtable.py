"""Values of entries (arch/x86/include/asm/pgtable.h, pgtable-invert.h, mm/pgprot.c; Linux 6.12).

Shadow stacks are not modelled: Write=0, Dirty=1 never means one, but as in the kernel it never
occurs either; what is dirty moves to a software bit when the entry becomes read-only. Soft-dirty
tracking and userfaultfd bits are not modelled.
"""

from __future__ import annotations

from core_mm.hookspecs import hookimpl
from core_mm.mm_types import MM, VM_ACCESS_FLAGS, VM_EXEC, VM_SHARED, VM_WRITE

from mmarch_x86.pgtable_types import (
    PAGE_ACCESSED,
    PAGE_CHG_MASK,
    PAGE_DIRTY,
    PAGE_NONE,
    PAGE_PRESENT,
    PAGE_PROTNONE,
    PAGE_READONLY,
    PAGE_READONLY_EXEC,
    PAGE_RW,
    PAGE_SAVED_DIRTY,
    PAGE_SHARED,
    PAGE_SHARED_EXEC,
    PAGE_SPECIAL,
    PFN_MASK,
    PFN_SHIFT,
)


def needs_invert(pte: int) -> int:
    """Entries that are not present hold the frame inverted, so that the L1 cache has nothing of it (L1TF)."""
    return pte != 0 and pte & PAGE_PRESENT == 0


def protnone_mask(pte: int) -> int:
    """What a frame is XORed with."""
    return -1 if needs_invert(pte) else 0


@hookimpl
def pte_none(pte: int) -> int:
    """Accessed and dirty do not count: an erratum of Knights Landing may set them in an empty entry."""
    return pte & ~(PAGE_DIRTY | PAGE_ACCESSED) == 0


@hookimpl
def pte_present(pte: int) -> int:
    return pte & (PAGE_PRESENT | PAGE_PROTNONE) != 0


@hookimpl
def pte_valid(pte: int) -> int:
    return pte & PAGE_PRESENT


@hookimpl
def pte_young(pte: int) -> int:
    return pte & PAGE_ACCESSED != 0


@hookimpl
def pte_dirty(pte: int) -> int:
    return pte & (PAGE_DIRTY | PAGE_SAVED_DIRTY) != 0


@hookimpl
def pte_write(pte: int) -> int:
    return pte & PAGE_RW != 0


@hookimpl
def pte_special(pte: int) -> int:
    return pte & PAGE_SPECIAL != 0


@hookimpl
def pte_protnone(pte: int) -> int:
    return pte & (PAGE_PRESENT | PAGE_PROTNONE) == PAGE_PROTNONE


@hookimpl
def pte_pfn(pte: int) -> int:
    return ((pte ^ protnone_mask(pte)) & PFN_MASK) >> PFN_SHIFT


@hookimpl
def pfn_pte(pfn: int, prot: int) -> int:
    return (((pfn << PFN_SHIFT) ^ protnone_mask(prot)) & PFN_MASK) | prot


@hookimpl
def pte_advance_pfn(pte: int, nr: int) -> int:
    """An inverted frame counts down."""
    return pte - (nr << PFN_SHIFT) if needs_invert(pte) else pte + (nr << PFN_SHIFT)


def mksaveddirty(pte: int) -> int:
    """A read-only entry keeps its dirty state in software."""
    if pte & (PAGE_RW | PAGE_DIRTY) == PAGE_DIRTY:
        pte ^= PAGE_DIRTY | PAGE_SAVED_DIRTY
    return pte


def clear_saveddirty(pte: int) -> int:
    """A writable one keeps it in hardware."""
    if pte & PAGE_RW and pte & PAGE_SAVED_DIRTY:
        pte = (pte & ~PAGE_SAVED_DIRTY) | PAGE_DIRTY
    return pte


@hookimpl
def pte_mkyoung(pte: int) -> int:
    return pte | PAGE_ACCESSED


@hookimpl
def pte_mkold(pte: int) -> int:
    return pte & ~PAGE_ACCESSED


@hookimpl
def pte_mkdirty(pte: int) -> int:
    return pte | PAGE_DIRTY if pte & PAGE_RW else pte | PAGE_SAVED_DIRTY


@hookimpl
def pte_mkclean(pte: int) -> int:
    return pte & ~(PAGE_DIRTY | PAGE_SAVED_DIRTY)


@hookimpl
def pte_mkwrite(pte: int) -> int:
    """`pte_mkwrite` of a VMA that is no shadow stack."""
    return clear_saveddirty(pte | PAGE_RW)


@hookimpl
def pte_wrprotect(pte: int) -> int:
    return mksaveddirty(pte & ~PAGE_RW)


@hookimpl
def pte_mkspecial(pte: int) -> int:
    return pte | PAGE_SPECIAL


@hookimpl
def pte_modify(pte: int, newprot: int) -> int:
    """Between present and PROT_NONE the frame is inverted (`flip_protnone_guard`)."""
    new = (pte & PAGE_CHG_MASK) | (newprot & ~PAGE_CHG_MASK)
    if needs_invert(pte) != needs_invert(new):
        new ^= PFN_MASK
    return mksaveddirty(new) if pte & PAGE_RW else clear_saveddirty(new)


@hookimpl
def pte_accessible(mm: int, pte: int) -> int:
    """PROT_NONE entries may be in a TLB while a flush is under way."""
    if pte & PAGE_PRESENT:
        return 1
    return pte & PAGE_PROTNONE != 0 and MM.tlb_flush_pending[mm] != 0


@hookimpl
def vm_get_page_prot(vm_flags: int) -> int:
    if vm_flags & VM_ACCESS_FLAGS == 0:
        return PAGE_NONE
    if vm_flags & VM_WRITE and vm_flags & VM_SHARED:
        return PAGE_SHARED_EXEC if vm_flags & VM_EXEC else PAGE_SHARED
    return PAGE_READONLY_EXEC if vm_flags & VM_EXEC else PAGE_READONLY


@hookimpl
def arch_has_hw_pte_young() -> int:
    return 1


@hookimpl
def arch_has_hw_nonleaf_pmd_young() -> int:
    return 1
