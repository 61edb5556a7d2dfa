"""Features of the CPU model (arch/x86/include/asm/cpufeatures.h; Linux 6.12, 7.3)."""

from __future__ import annotations

from core_mm.cpufeature import CpuFeatures, cpu_feature, cpu_number

_INVLPGB = "AMD64 Architecture Programmer's Manual volume 3, INVLPGB; CPUID Fn8000_0008_"


class cpu(CpuFeatures):
    """Constant while code runs."""

    cpus: int = cpu_number(
        "CPUs on which a process runs; more than one needs IPIs or a broadcast",
        source="/proc/cpuinfo",
        most=8192,
    )
    pti: int = cpu_feature(
        "page-table isolation: the user half has a PCID of its own",
        source="arch/x86/kernel/cpu/common.c:cpu_vuln_whitelist (Meltdown)",
    )
    invpcid: int = cpu_feature(
        "INVPCID; without it the flush of the user half waits for the next return to user space",
        source="CPUID 7, EBX bit 10",
    )
    invlpgb: int = cpu_feature(
        "AMD's broadcast; Linux 7.x gives such processes a global ASID",
        source=f"{_INVLPGB}EBX bit 3",
        requires=("invlpgb_count_max",),
    )
    invlpgb_count_max: int = cpu_number("pages of one INVLPGB", source=f"{_INVLPGB}EDX", most=65536)
