"""Extensions of the CPU model, how it reaches other harts (arch/riscv/kernel/cpufeature.c; Linux 6.12)."""

from __future__ import annotations

from core_mm.cpufeature import CpuFeatures, cpu_feature, cpu_number

_ISA = "riscv,isa-extensions of the device tree (Documentation/devicetree/bindings/riscv/extensions.yaml)"


class cpu(CpuFeatures):
    """Constant while code runs."""

    svnapot: int = cpu_feature("entries of 64 KiB", source=_ISA, capability="contiguous")
    svinval: int = cpu_feature("SINVAL.VMA between two fences; Linux 7.x uses it", source=_ISA)
    svadu: int = cpu_feature(
        "hardware sets A and D; without it such an access faults", source=_ISA, capability="hw_afdbm"
    )
    svvptc: int = cpu_feature("a new valid entry becomes visible without a fence", source=_ISA)
    harts: int = cpu_number(
        "harts on which a process runs; more than one needs remote fences", source="/proc/cpuinfo", most=4096
    )
    sbi_rfence: int = cpu_feature(
        "remote fences by an SBI call, else by an IPI to every hart",
        source="arch/riscv/kernel/sbi-ipi.c:riscv_sbi_for_rfence",
    )
