"""Flushes that reclaim puts off and completes once for many pages (mm/rmap.c; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.hookspecs import (
    arch_flush_tlb_batched_pending,
    arch_tlbbatch_add_pending,
    arch_tlbbatch_flush,
    arch_tlbbatch_should_defer,
    pte_accessible,
    pte_dirty,
)
from core_mm.mm_types import MM, mach

FLUSH_REQUIRED, WRITABLE = 1, 2


def flush_tlb_batched_pending(mm: int) -> int:
    """Before entries are examined: complete what reclaim left unflushed in this mm."""
    if MM.tlb_flush_batched[mm]:
        arch_flush_tlb_batched_pending(mm)
        MM.tlb_flush_batched[mm] = 0
    return 0


def should_defer_flush(mm: int) -> int:
    """Whether who unmaps puts flushes off, and the architecture gains by it."""
    return 0 if mach.ttu_at_once else arch_tlbbatch_should_defer(mm)


def set_tlb_ubc_flush_pending(mm: int, pte: int, start: int, end: int) -> int:
    """Entries of [start, end) were cleared, `pte` among them; their flush may wait."""
    if not pte_accessible(mm, pte):
        return 0
    arch_tlbbatch_add_pending(mm, start, end)
    mach.tlb_ubc |= FLUSH_REQUIRED
    MM.tlb_flush_batched[mm] = 1
    if pte_dirty(pte):
        mach.tlb_ubc |= WRITABLE
    return 0


def try_to_unmap_flush() -> int:
    """Complete the deferred flushes."""
    if mach.tlb_ubc:
        arch_tlbbatch_flush()
        mach.tlb_ubc = 0
    return 0


def try_to_unmap_flush_dirty() -> int:
    """Before a page is written out nobody may write to it: complete them if one was of a dirty entry."""
    if mach.tlb_ubc & WRITABLE:
        try_to_unmap_flush()
    return 0
