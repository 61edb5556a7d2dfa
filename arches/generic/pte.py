"""A plain PTE layout, for running the generic code as an architecture of its own.

| bit | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | from 12 |
| - | - | - | - | - | - | - | - | - | - | - | - |
| | present | writable | executable | PROT_NONE | accessed | dirty | special | huge | swap exclusive | swap | PFN |
"""

from __future__ import annotations

from core_mm.hookspecs import hookimpl
from core_mm.mm_types import VM_ACCESS_FLAGS, VM_EXEC, VM_SHARED, VM_WRITE

PRESENT, RW, EXEC, PROTNONE = 1, 2, 4, 8
ACCESSED, DIRTY, SPECIAL, HUGE = 16, 32, 64, 128
SWP_EXCLUSIVE, SWP = 256, 512
PFN_PTE_SHIFT = 12
PROT_MASK = PRESENT | RW | EXEC | PROTNONE


@hookimpl
def pte_none(pte: int) -> int:
    return pte == 0


@hookimpl
def pte_present(pte: int) -> int:
    return pte & (PRESENT | PROTNONE) != 0


@hookimpl
def pte_valid(pte: int) -> int:
    return pte & PRESENT


@hookimpl
def pte_young(pte: int) -> int:
    return pte & ACCESSED != 0


@hookimpl
def pte_dirty(pte: int) -> int:
    return pte & DIRTY != 0


@hookimpl
def pte_write(pte: int) -> int:
    return pte & RW != 0


@hookimpl
def pte_special(pte: int) -> int:
    return pte & SPECIAL != 0


@hookimpl
def pte_protnone(pte: int) -> int:
    return pte & (PRESENT | PROTNONE) == PROTNONE


@hookimpl
def pte_pfn(pte: int) -> int:
    return pte >> PFN_PTE_SHIFT


@hookimpl
def pfn_pte(pfn: int, prot: int) -> int:
    return (pfn << PFN_PTE_SHIFT) | prot


@hookimpl
def pte_mkyoung(pte: int) -> int:
    return pte | ACCESSED


@hookimpl
def pte_mkold(pte: int) -> int:
    return pte & ~ACCESSED


@hookimpl
def pte_mkdirty(pte: int) -> int:
    return pte | DIRTY


@hookimpl
def pte_mkclean(pte: int) -> int:
    return pte & ~DIRTY


@hookimpl
def pte_mkwrite(pte: int) -> int:
    return pte | RW


@hookimpl
def pte_wrprotect(pte: int) -> int:
    return pte & ~RW


@hookimpl
def pte_mkspecial(pte: int) -> int:
    return pte | SPECIAL


@hookimpl
def pte_modify(pte: int, newprot: int) -> int:
    return (pte & ~PROT_MASK) | (newprot & PROT_MASK)


@hookimpl
def vm_get_page_prot(vm_flags: int) -> int:
    """A private mapping starts read-only: its first write copies."""
    if vm_flags & VM_ACCESS_FLAGS == 0:
        return PROTNONE
    prot = PRESENT | ACCESSED
    if vm_flags & (VM_WRITE | VM_SHARED) == VM_WRITE | VM_SHARED:
        prot |= RW
    return prot | EXEC if vm_flags & VM_EXEC else prot


@hookimpl
def swp_entry_to_pte(entry: int) -> int:
    return (entry << PFN_PTE_SHIFT) | SWP


@hookimpl
def pte_to_swp_entry(pte: int) -> int:
    return pte >> PFN_PTE_SHIFT


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
    return pmd & HUGE != 0


@hookimpl
def pmd_mkhuge(pte: int) -> int:
    return pte | HUGE


@hookimpl
def pmd_pte(pmd: int) -> int:
    return pmd & ~HUGE


@hookimpl
def pmd_mkinvalid(pmd: int) -> int:
    """Not valid, still present; PROT_NONE serves, as on other plain layouts."""
    return (pmd & ~PRESENT) | PROTNONE


@hookimpl
def mk_table(slot: int) -> int:
    return (slot << PFN_PTE_SHIFT) | PRESENT


@hookimpl
def table_slot(entry: int) -> int:
    return entry >> PFN_PTE_SHIFT
