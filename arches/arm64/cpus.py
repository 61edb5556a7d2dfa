"""CPU models: which features and errata Linux finds on them."""

from __future__ import annotations

from core_mm.descriptor import Cpu

_TRM = "Arm technical reference manual; arch/arm64/kernel/cpu_errata.c"

CPUS = {
    "range": Cpu(
        description="neutral: FEAT_TLBIRANGE, hardware AF/DBM, no erratum, no KPTI, no LPA2, no level hints",
        features={"tlb_range": 1, "hw_af": 1, "hw_dbm": 1},
        source="for reference tables",
    ),
    "norange": Cpu(
        description="neutral: as range, without FEAT_TLBIRANGE",
        features={"hw_af": 1, "hw_dbm": 1},
        source="for reference tables",
    ),
    "cortex-a72": Cpu(
        description="Armv8.0: no TLBI ranges, access flag and dirty state by fault",
        features={},
        source=_TRM,
    ),
    "neoverse-n1": Cpu(
        description="Armv8.2: hardware AF/DBM, no TLBI ranges; repeat-TLBI erratum",
        features={"hw_af": 1, "hw_dbm": 1, "repeat_tlbi": 1},
        source=_TRM,
    ),
    "neoverse-n2": Cpu(
        description="Armv9.0: TLBI ranges, level hints, hardware AF/DBM; repeat-TLBI erratum",
        features={"tlb_range": 1, "ttl": 1, "hw_af": 1, "hw_dbm": 1, "repeat_tlbi": 1},
        source=_TRM,
    ),
}
