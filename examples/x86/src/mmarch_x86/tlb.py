"""What x86 does with a gather (arch/x86/include/asm/tlb.h; MMU_GATHER_MERGE_VMAS; Linux 6.12)."""

from __future__ import annotations

from core_mm.hookspecs import hookimpl
from core_mm.mm_types import GATHER, cfg
from core_mm.mmu_gather import tlb_get_unmap_size

from mmarch_x86.tlbflush import flush_tlb_mm_range


@hookimpl
def tlb_flush(tlb: int) -> int:
    """A range, unless the mm goes away. INVLPG drops walk caches too, so that freed tables need no more."""
    mm = GATHER.mm[tlb]
    if GATHER.fullmm[tlb] or GATHER.need_flush_all[tlb]:
        return flush_tlb_mm_range(mm, 0, 0, cfg.page_size)
    return flush_tlb_mm_range(mm, GATHER.start[tlb], GATHER.end[tlb], tlb_get_unmap_size(tlb))


@hookimpl
def tlb_merge_vmas() -> int:
    return 1
