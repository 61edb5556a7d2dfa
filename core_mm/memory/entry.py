"""What several kinds of faults do with entries (mm/memory.c)."""

from __future__ import annotations

from core_mm.hookspecs import pte_mkwrite, pte_none, pte_same, ptep_get, ptep_get_lockless
from core_mm.mm_types import VM_WRITE, VMA


def maybe_mkwrite(pte: int, vma: int) -> int:
    """Writable if the VMA is."""
    return pte_mkwrite(pte) if VMA.vm_flags[vma] & VM_WRITE else pte


def pte_range_none(ptep: int, nr: int) -> int:
    """Whether `nr` entries are all none."""
    for i in range(nr):
        if not pte_none(ptep_get_lockless(ptep + i)):
            return 0
    return 1


def vmf_pte_changed(ptep: int, orig: int, valid: int) -> int:
    """Whether the entry is not what the fault began with: `orig` if that is `valid`, else none."""
    pte = ptep_get(ptep)
    return not pte_same(pte, orig) if valid else not pte_none(pte)
