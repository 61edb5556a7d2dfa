"""The behaviour of x86 that differs between releases of Linux."""

from __future__ import annotations

from core_mm.feature import Features, behaviour


class arch_feature(Features):
    """arch/x86 of a release."""

    broadcast_flush: int = behaviour(
        "CPUs with INVLPGB flush all others without an interrupt",
        since="6.15",
        source='"x86/mm: enable broadcast TLB invalidation for multi-threaded processes"',
    )
