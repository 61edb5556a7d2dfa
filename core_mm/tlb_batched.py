"""Flushes that reclaim put off (mm/rmap.c:flush_tlb_batched_pending)."""

from __future__ import annotations

from core_mm.hookspecs import arch_flush_tlb_batched_pending
from core_mm.mm_types import MM


def flush_tlb_batched_pending(mm: int) -> int:
    """Before entries are examined: complete what reclaim left unflushed in this mm."""
    if MM.tlb_flush_batched[mm]:
        arch_flush_tlb_batched_pending(mm)
        MM.tlb_flush_batched[mm] = 0
    return 0
