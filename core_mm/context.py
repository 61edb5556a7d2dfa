"""Address-space identifiers: handed out when an mm first runs, renewed by generations (arch/arm64/mm/context.c)."""

from __future__ import annotations

from core_mm.hookspecs import flush_tlb_all
from core_mm.mm_types import MM, cfg, mach
from core_mm.vmstat import LOG_ASID, note

ASID_BITS = 16


def check_and_switch_context(mm: int) -> int:
    """`mm` is about to run: give it an ASID of the current generation if it has none. Returns 0."""
    if MM.asid[mm] >> ASID_BITS == mach.asid_generation and mach.asid_generation:
        return 0
    return new_context(mm)


def new_context(mm: int) -> int:
    """The next ASID; when all are used, flush everything and begin a generation."""
    if mach.asid_generation == 0:
        mach.asid_generation = 1
    mach.next_asid += 1
    if mach.next_asid >> ASID_BITS:
        mach.asid_generation += 1
        mach.next_asid = 1
        flush_tlb_all()
    MM.asid[mm] = mach.asid_generation << ASID_BITS | mach.next_asid
    if cfg.log_ptes:
        note(LOG_ASID, mm, MM.asid[mm], 0, 0)
    return 0
