"""The table walker: what the hardware does with access flag and dirty state (Arm ARM D8.4)."""

from __future__ import annotations

from arches.arm64.cpufeature import cpu
from arches.arm64.features import arch_feature
from arches.arm64.pgtable_hwdef import PTE_AF, PTE_DBM, PTE_RDONLY, PTE_USER, PTE_UXN, PTE_VALID
from arches.arm64.tlb_cache import tlb_fill, tlb_holds
from core_mm.hookspecs import hookimpl
from core_mm.mm_types import cfg, ptes
from core_mm.pgtable import pmd_off
from core_mm.uapi import ACCESS_EXEC, ACCESS_WRITE


@hookimpl
def mmu_access(mm: int, addr: int, ptep: int, level: int, access: int) -> int:
    """Of a contiguous block only the descriptor that was walked changes."""
    if cfg.tlb_entries and access != ACCESS_EXEC and tlb_holds(mm, addr, access == ACCESS_WRITE):
        return 1
    pte = ptes[ptep]
    if pte & (PTE_VALID | PTE_USER) != PTE_VALID | PTE_USER:
        return 0
    if access == ACCESS_EXEC and pte & PTE_UXN:
        return 0
    if not pte & PTE_AF:
        if not cpu.hw_af:
            return 0
        pte |= PTE_AF
    if access == ACCESS_WRITE and pte & PTE_RDONLY:
        if not (cpu.hw_dbm and pte & PTE_DBM):
            return 0
        pte &= ~PTE_RDONLY
    ptes[ptep] = pte
    if cpu.haft and level == 3 and arch_feature.table_access_flag:
        ptes[pmd_off(mm, addr)] |= PTE_AF
    if cfg.tlb_entries:
        tlb_fill(mm, addr, not pte & PTE_RDONLY, level == 2)
    return 1
