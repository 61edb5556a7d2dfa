"""What arm64 does with a gather (arch/arm64/include/asm/tlb.h; Linux 6.12, 7.3)."""

from __future__ import annotations

from arches.arm64.tlbflush import TLBI_TTL_UNKNOWN, __flush_tlb_range
from core_mm import hookspecs as hook
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import GATHER
from core_mm.mmu_gather import tlb_get_unmap_size


def tlb_get_level(tlb: int) -> int:
    """The level of all recorded leaves, PTEs or PMDs, if it is one and no table was freed."""
    if GATHER.freed_tables[tlb]:
        return TLBI_TTL_UNKNOWN
    ptes, pmds = GATHER.cleared_ptes[tlb], GATHER.cleared_pmds[tlb]
    if ptes + pmds != 1:
        return TLBI_TTL_UNKNOWN
    return 3 * ptes + 2 * pmds


@hookimpl
def tlb_flush(tlb: int) -> int:
    """An mm that goes away needs none for its leaves: its ASID is not used again before a full flush."""
    last_level = not GATHER.freed_tables[tlb]
    if GATHER.fullmm[tlb]:
        return 0 if last_level else hook.flush_tlb_mm(GATHER.mm[tlb])
    return __flush_tlb_range(
        GATHER.mm[tlb], GATHER.start[tlb], GATHER.end[tlb], tlb_get_unmap_size(tlb), last_level,
        tlb_get_level(tlb),
    )  # fmt: skip
