"""The behaviour of RISC-V that differs between releases of Linux."""

from __future__ import annotations

from core_mm.feature import Features, behaviour


class arch_feature(Features):
    """arch/riscv of a release."""

    svinval_ranges: int = behaviour(
        "a flush of several pages uses SINVAL.VMA between two fences on harts with Svinval",
        since="7.2",
        source="arch/riscv/mm/tlbflush.c of 6.12 without it, of 7.3 with it; commit not identified",
    )
