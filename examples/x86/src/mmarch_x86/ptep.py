"""Operations on entries (arch/x86/include/asm/pgtable.h, pgtable_64.h, mm/pgtable.c; Linux 6.12).

Batches are the generic loops over these.
"""

from __future__ import annotations

from core_mm import hookspecs as hook
from core_mm.hookspecs import hookimpl
from core_mm.rwonce import READ_ONCE, WRITE_ONCE, cmpxchg, xchg

from mmarch_x86.pgtable import pte_wrprotect
from mmarch_x86.pgtable_types import PAGE_ACCESSED


@hookimpl
def ptep_get_and_clear(mm: int, addr: int, ptep: int) -> int:
    return xchg(ptep, 0)


@hookimpl
def ptep_get_and_clear_full(mm: int, addr: int, ptep: int, full: int) -> int:
    """Nobody uses an mm that goes away: the atomic exchange can be saved."""
    if not full:
        return hook.ptep_get_and_clear(mm, addr, ptep)
    pte = READ_ONCE(ptep)
    WRITE_ONCE(ptep, 0)
    return pte


@hookimpl
def ptep_set_wrprotect(mm: int, addr: int, ptep: int) -> int:
    """The dirty bit moves as well, so that a single locked AND will not do."""
    pte = READ_ONCE(ptep)
    while True:
        old = pte
        pte = cmpxchg(ptep, old, pte_wrprotect(old))
        if pte == old:
            return 0


def test_and_clear_accessed(ptep: int, pte: int) -> int:
    """A locked bit operation, only if the entry read as young."""
    if not pte & PAGE_ACCESSED:
        return 0
    while True:
        old = pte
        pte = cmpxchg(ptep, old, old & ~PAGE_ACCESSED)
        if pte == old:
            return old & PAGE_ACCESSED != 0


@hookimpl
def ptep_test_and_clear_young(vma: int, addr: int, ptep: int) -> int:
    return test_and_clear_accessed(ptep, READ_ONCE(ptep))


@hookimpl
def ptep_clear_flush_young(vma: int, addr: int, ptep: int) -> int:
    """No flush: a translation that outlives this only ages wrongly."""
    return test_and_clear_accessed(ptep, READ_ONCE(ptep))


@hookimpl
def ptep_set_access_flags(vma: int, address: int, ptep: int, entry: int, dirty: int) -> int:
    """The hardware sets A and D itself; only a write fault that makes the entry writable needs the store.

    No flush: the fault has dropped the stale translation here, other CPUs take a spurious fault.
    """
    changed = READ_ONCE(ptep) != entry
    if changed and dirty:
        WRITE_ONCE(ptep, entry)
    return changed
