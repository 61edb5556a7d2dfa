"""CPU models: the features that Linux would find on them."""

from __future__ import annotations

from core_mm.descriptor import Cpu

_AMD_APM = "AMD64 Architecture Programmer's Manual volume 3, INVLPGB; CPUID Fn8000_0008_EDX"

CPUS = {
    "single": Cpu(
        description="neutral: one CPU, no PTI, so that every flush is local",
        features={"cpus": 1, "invpcid": 1},
        source="for reference tables",
    ),
    "haswell-pti": Cpu(
        description="Intel Haswell with page-table isolation, a process on four CPUs",
        features={"cpus": 4, "pti": 1, "invpcid": 1},
        source="arch/x86/kernel/cpu/common.c:cpu_vuln_whitelist (Meltdown)",
    ),
    "skylake-pti": Cpu(
        description="Intel Skylake with page-table isolation, a process on eight CPUs",
        features={"cpus": 8, "pti": 1, "invpcid": 1},
        source="arch/x86/kernel/cpu/common.c:cpu_vuln_whitelist (Meltdown)",
    ),
    "sandybridge-pti": Cpu(
        description="Intel Sandy Bridge: page-table isolation without INVPCID, a process on four CPUs",
        features={"cpus": 4, "pti": 1},
        source="arch/x86/kernel/cpu/common.c:cpu_vuln_whitelist (Meltdown)",
    ),
    "zen3": Cpu(
        description="AMD Zen 3, a process on eight CPUs, flushed by IPI",
        features={"cpus": 8, "invpcid": 1},
        source="Zen 3 has INVLPGB, used by Linux from 6.15; this models kernels and settings without",
    ),
    "zen5-invlpgb": Cpu(
        description="AMD Zen 5, a process on eight CPUs with a global ASID: INVLPGB on 7.x",
        features={"cpus": 8, "invpcid": 1, "invlpgb": 1, "invlpgb_count_max": 8},
        source=_AMD_APM + "; count assumed",
    ),
}
