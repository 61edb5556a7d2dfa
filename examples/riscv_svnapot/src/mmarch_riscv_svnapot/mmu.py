"""The table walker (RISC-V privileged architecture, "Virtual Address Translation Process"; Svade, Svadu)."""

from __future__ import annotations

from core_mm.hookspecs import hookimpl
from core_mm.mm_types import ptes
from core_mm.uapi import ACCESS_EXEC, ACCESS_WRITE

from mmarch_riscv_svnapot.cpufeature import cpu
from mmarch_riscv_svnapot.pgtable_bits import (
    PAGE_ACCESSED,
    PAGE_DIRTY,
    PAGE_EXEC,
    PAGE_PRESENT,
    PAGE_READ,
    PAGE_USER,
    PAGE_WRITE,
)


@hookimpl
def mmu_access(mm: int, addr: int, ptep: int, level: int, access: int) -> int:
    """Of a NAPOT block only the entry that was walked changes. Without Svadu the access faults."""
    raw = ptes[ptep]
    needs, sets = PAGE_READ, PAGE_ACCESSED
    if access == ACCESS_EXEC:
        needs = PAGE_EXEC
    if access == ACCESS_WRITE:
        needs, sets = PAGE_WRITE, PAGE_ACCESSED | PAGE_DIRTY
    needs |= PAGE_PRESENT | PAGE_USER
    if raw & needs != needs:
        return 0
    if raw & sets != sets:
        if not cpu.svadu:
            return 0
        ptes[ptep] = raw | sets
    return 1
