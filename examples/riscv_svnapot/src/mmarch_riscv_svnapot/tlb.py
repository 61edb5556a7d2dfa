"""What RISC-V does with a gather (arch/riscv/include/asm/tlb.h:tlb_flush; Linux 6.12)."""

from __future__ import annotations

from core_mm import hookspecs as hook
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import GATHER
from core_mm.mmu_gather import tlb_get_unmap_size

from mmarch_riscv_svnapot.tlbflush import flush_mm_range


@hookimpl
def tlb_flush(tlb: int) -> int:
    """Freed tables and an mm that goes away need the whole address space flushed, else the range does."""
    mm = GATHER.mm[tlb]
    if GATHER.fullmm[tlb] or GATHER.need_flush_all[tlb] or GATHER.freed_tables[tlb]:
        return hook.flush_tlb_mm(mm)
    return flush_mm_range(mm, GATHER.start[tlb], GATHER.end[tlb], tlb_get_unmap_size(tlb))
