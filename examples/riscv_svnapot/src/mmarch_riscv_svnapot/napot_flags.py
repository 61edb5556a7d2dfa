"""Write permission, accessed and dirty state of entries and whole blocks.

Single entries: arch/riscv/include/asm/pgtable.h, mm/pgtable.c (Linux 6.12). Of a block, the state in any
entry is the state of all, so that bits are cleared in all.
"""

from __future__ import annotations

from core_mm import hookspecs as hook
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import VMA, cfg
from core_mm.rwonce import READ_ONCE, WRITE_ONCE

from mmarch_riscv_svnapot.cpufeature import cpu
from mmarch_riscv_svnapot.napot import block_size, try_unfold, try_unfold_partial
from mmarch_riscv_svnapot.pgtable_bits import ACCESS_FLAGS, IN_BLOCK, PAGE_ACCESSED, PAGE_DIRTY, PAGE_WRITE
from mmarch_riscv_svnapot.raw import atomic_and, atomic_or, clear_young, is_napot, slot
from mmarch_riscv_svnapot.tlbflush import flush_mm_range

CYDP_CLEAR_YOUNG, CYDP_CLEAR_DIRTY = 1, 2


# --- write permission ---


@hookimpl
def ptep_set_wrprotect(mm: int, addr: int, ptep: int) -> int:
    return wrprotect_ptes(mm, addr, ptep, 1)


@hookimpl
def wrprotect_ptes(mm: int, addr: int, ptep: int, nr: int) -> int:
    """A block that is write-protected whole stays one; its flush is fork's."""
    try_unfold_partial(mm, addr, ptep, nr)
    for i in range(nr):
        atomic_and(ptep + i, ~PAGE_WRITE)
    return 0


# --- accessed and dirty state ---


def widen(ptep: int, nr: int) -> tuple[int, int]:
    """The entries of [ptep, ptep + nr), rounded out to the blocks that its ends lie in."""
    first, end = ptep, ptep + nr
    if is_napot(READ_ONCE(end - 1)):
        end += cfg.cont_ptes - 1 - slot(end - 1)
    if is_napot(READ_ONCE(first)):
        first -= slot(first)
    return first, end - first


@hookimpl
def ptep_test_and_clear_young(vma: int, addr: int, ptep: int) -> int:
    return test_and_clear_young_ptes(vma, addr, ptep, 1)


@hookimpl
def test_and_clear_young_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    first, pages = widen(ptep, nr)
    young = 0
    for i in range(pages):
        young |= clear_young(first + i)
    return young


@hookimpl
def ptep_clear_flush_young(vma: int, addr: int, ptep: int) -> int:
    """No flush: a translation that outlives this only ages wrongly."""
    return test_and_clear_young_ptes(vma, addr, ptep, 1)


@hookimpl
def clear_flush_young_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    return test_and_clear_young_ptes(vma, addr, ptep, nr)


@hookimpl
def clear_young_dirty_ptes(vma: int, addr: int, ptep: int, nr: int, flags: int) -> int:
    """Dirty of the batch alone, as its flush is: a page beside it could be written without becoming dirty."""
    bits = 0
    if flags & CYDP_CLEAR_YOUNG:
        bits |= PAGE_ACCESSED
    if flags & CYDP_CLEAR_DIRTY:
        bits |= PAGE_DIRTY
        try_unfold_partial(VMA.vm_mm[vma], addr, ptep, nr)
    first, pages = widen(ptep, nr)
    for i in range(pages):
        atomic_and(first + i, ~bits)
    return 0


# --- more permissive ---


@hookimpl
def ptep_set_access_flags(vma: int, address: int, ptep: int, entry: int, dirty: int) -> int:
    """A block whose writability does not change takes the flags whole, else it is unfolded."""
    entry &= ~IN_BLOCK
    raw = READ_ONCE(ptep)
    if not is_napot(raw):
        return set_access_flags(vma, address, ptep, raw, entry)
    start = ptep - slot(ptep)
    if block_has_flags(start, entry):
        return not cpu.svvptc
    if (raw ^ entry) & PAGE_WRITE:
        try_unfold(VMA.vm_mm[vma], address, ptep)
        return set_access_flags(vma, address, ptep, READ_ONCE(ptep), entry)
    for i in range(cfg.cont_ptes):
        atomic_or(start + i, entry & ACCESS_FLAGS)
    if dirty:
        base = address & -block_size()
        flush_mm_range(VMA.vm_mm[vma], base, base + block_size(), cfg.page_size)
    return 1


def set_access_flags(vma: int, address: int, ptep: int, pte: int, entry: int) -> int:
    """One entry. Without Svvptc 1 in any case, so that the caller fences (`update_mmu_cache_range`)."""
    if pte != entry:
        WRITE_ONCE(ptep, entry)
        if cpu.svvptc:
            hook.flush_tlb_page(vma, address)
        return 1
    return not cpu.svvptc


def block_has_flags(start: int, entry: int) -> int:
    """Whether every single entry permits what `entry` does; the gathered value would hide a laggard."""
    for i in range(cfg.cont_ptes):
        if (READ_ONCE(start + i) ^ entry) & ACCESS_FLAGS:
            return 0
    return 1
