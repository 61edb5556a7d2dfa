"""Entries that carry a swap slot (arch/x86/include/asm/pgtable_64.h, SWP_OFFSET_FIRST_BIT; Linux 6.12).

The offset is stored inverted, so that small ones point to no memory (L1TF); type 0.
"""

from __future__ import annotations

from core_mm.hookspecs import hookimpl

from mmarch_x86.pgtable_types import SWP_EXCLUSIVE, SWP_OFFSET_FIRST_BIT, SWP_OFFSET_MASK


@hookimpl
def swp_entry_to_pte(entry: int) -> int:
    return ~(entry << SWP_OFFSET_FIRST_BIT) & SWP_OFFSET_MASK


@hookimpl
def pte_to_swp_entry(pte: int) -> int:
    return (~pte & SWP_OFFSET_MASK) >> SWP_OFFSET_FIRST_BIT


@hookimpl
def pte_swp_mkexclusive(pte: int) -> int:
    return pte | SWP_EXCLUSIVE


@hookimpl
def pte_swp_exclusive(pte: int) -> int:
    return pte & SWP_EXCLUSIVE != 0


@hookimpl
def pte_swp_clear_exclusive(pte: int) -> int:
    return pte & ~SWP_EXCLUSIVE
