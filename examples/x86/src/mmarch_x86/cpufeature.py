"""Features of the CPU model (arch/x86/include/asm/cpufeatures.h; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.decl import Scalars


class cpu(Scalars, constant=True):
    """Constant while code runs."""

    cpus: int  # CPUs on which a process runs: more than one needs IPIs or a broadcast
    pti: int  # page-table isolation: the user half has a PCID of its own
    invpcid: int  # else its flush is left to the next return to user space
    invlpgb: int  # broadcast of AMD; Linux 7.x gives such processes a global ASID
    invlpgb_count_max: int  # pages of one INVLPGB
