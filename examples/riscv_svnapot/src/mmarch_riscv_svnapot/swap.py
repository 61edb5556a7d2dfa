"""Entries that carry a swap slot (arch/riscv/include/asm/pgtable.h, __SWP_OFFSET_SHIFT; Linux 6.12)."""

from __future__ import annotations

from core_mm.hookspecs import hookimpl

from mmarch_riscv_svnapot.pgtable_bits import SWP_EXCLUSIVE, SWP_OFFSET_SHIFT, SWP_TYPE


@hookimpl
def swp_entry_to_pte(entry: int) -> int:
    return (entry << SWP_OFFSET_SHIFT) | SWP_TYPE


@hookimpl
def pte_to_swp_entry(pte: int) -> int:
    return pte >> SWP_OFFSET_SHIFT


@hookimpl
def pte_swp_mkexclusive(pte: int) -> int:
    return pte | SWP_EXCLUSIVE


@hookimpl
def pte_swp_exclusive(pte: int) -> int:
    return pte & SWP_EXCLUSIVE != 0


@hookimpl
def pte_swp_clear_exclusive(pte: int) -> int:
    return pte & ~SWP_EXCLUSIVE
