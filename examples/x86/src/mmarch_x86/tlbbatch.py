"""Flushes that reclaim defers (arch/x86/mm/tlb.c:arch_tlbbatch_flush, asm/tlbflush.h; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.hookspecs import hookimpl
from core_mm.vmstat import LOG_TLBI, count, write_log

from mmarch_x86.cpufeature import cpu
from mmarch_x86.features import arch_feature
from mmarch_x86.tlbflush import (
    CR3_WRITE_LOADED,
    USER_PCID_FLUSH,
    flush_everything,
    send_ipis,
    tlb_gen_behind,
    tlbstate,
)


@hookimpl
def arch_tlbbatch_should_defer(mm: int) -> int:
    """Only where IPIs can be saved."""
    return cpu.cpus > 1


@hookimpl
def arch_tlbbatch_add_pending(mm: int, start: int, end: int) -> int:
    """Remember that the CPUs are one generation behind."""
    tlb_gen_behind[mm] = tlbstate.rounds + 1
    return 0


@hookimpl
def arch_tlbbatch_flush() -> int:
    """Everything that the CPUs have loaded, whatever it is; no CPU is behind afterwards."""
    tlbstate.rounds += 1
    if arch_feature.broadcast_flush and cpu.invlpgb:
        return flush_everything()
    cpus = send_ipis()
    if cpu.pti:
        count(USER_PCID_FLUSH, cpus)
    count(CR3_WRITE_LOADED, cpus)
    return write_log(LOG_TLBI, CR3_WRITE_LOADED, 0, 0, 0)
