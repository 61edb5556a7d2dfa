"""What the CPU can do and which errata it has (arch/arm64/kernel/cpufeature.c, cpu_errata.c)."""

from __future__ import annotations

from core_mm.decl import Scalars


class cpu(Scalars, constant=True):
    """Features of the CPU model, constant while code runs."""

    tlb_range: int  # FEAT_TLBIRANGE
    ttl: int  # FEAT_TTL: level hints in TLBI operands
    hw_af: int  # hardware sets the access flag
    hw_dbm: int  # hardware manages dirty state
    lpa2: int
    kpti: int  # kernel unmapped at EL0: user TLBIs are issued twice
    repeat_tlbi: int  # ARM64_WORKAROUND_REPEAT_TLBI
    bbml2_noabort: int
    bbml3: int
    erratum_2645198: int
    no_contpte: int  # CONFIG_ARM64_CONTPTE=n
