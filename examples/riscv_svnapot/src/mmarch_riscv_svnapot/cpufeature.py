"""Extensions of the CPU model, how it reaches other harts (arch/riscv/kernel/cpufeature.c; Linux 6.12)."""

from __future__ import annotations

from core_mm.decl import Scalars


class cpu(Scalars, constant=True):
    """Constant while code runs."""

    svnapot: int  # entries of 64 KiB
    svinval: int  # SINVAL.VMA between two fences; Linux 7.x uses it
    svadu: int  # hardware sets A and D; without it such an access faults
    svvptc: int  # a new valid entry becomes visible without a fence
    harts: int  # harts on which a process runs: more than one needs remote fences
    sbi_rfence: int  # remote fences by an SBI call, else by an IPI to every hart
