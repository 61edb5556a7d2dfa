"""CPU models: which features and errata Linux finds on them. Cores first, then machines by the name people know.

A kernel started with nokaslr: one with KASLR has KPTI too on those without FEAT_E0PD, which `MODEL+kpti` says.
`docs/reference/cpus.md` tells where the registers are from.
"""

from __future__ import annotations

from core_mm.descriptor import Cpu

_V8_2 = ("hw_af", "hw_dbm")
_V8_4 = (*_V8_2, "tlb_range", "ttl")
_BBM = ("bbml2_noabort", "bbml3")
_REPEAT = "repeat_tlbi"

_QEMU = "ID registers in QEMU's target/arm/tcg/cpu64.c, which follow the core's Technical Reference Manual"
_FIRECRACKER = (
    "ID registers in Firecracker's tests/data/cpu_template_helper/fingerprint_ARM_NEOVERSE_{}_6.1host.json"
)
_COLLECTED = "ID registers in github.com/lelegard/arm-cpusysregs, collect/{}"
_ERRATUM = "; erratum 4118414 by MIDR (arch/arm64/kernel/cpu_errata.c)"


def _cpu(description: str, features: tuple[str, ...], source: str) -> Cpu:
    erratum = _ERRATUM if _REPEAT in features else ""
    return Cpu(
        description=description, features=dict.fromkeys((*features, "contpte"), 1), source=source + erratum
    )


CPUS = {
    "range": _cpu(
        "neutral: TLBI ranges, hardware AF/DBM, no erratum, no KPTI, no LPA2, no level hints",
        (*_V8_2, "tlb_range"), "for reference tables",
    ),
    "norange": _cpu("neutral: as range, without TLBI ranges", _V8_2, "for reference tables"),
    "cortex-a35": _cpu("Armv8.0: no TLBI ranges, access flag and dirty state by fault", (), _QEMU),
    "cortex-a53": _cpu("Armv8.0: no TLBI ranges, access flag and dirty state by fault", (), _QEMU),
    "cortex-a55": _cpu(
        "Armv8.2: hardware AF, no TLBI ranges; dirty state by fault, for an erratum", ("hw_af",),
        _QEMU + "; ARM64_ERRATUM_1024718 in arch/arm64/kernel/cpufeature.c:cpu_has_broken_dbm",
    ),
    "cortex-a57": _cpu("Armv8.0: no TLBI ranges, access flag and dirty state by fault", (), _QEMU),
    "cortex-a72": _cpu("Armv8.0: no TLBI ranges, access flag and dirty state by fault", (), _QEMU),
    "cortex-a76": _cpu("Armv8.2: hardware AF/DBM, no TLBI ranges; repeat-TLBI erratum", (*_V8_2, _REPEAT), _QEMU),
    "cortex-a710": _cpu(
        "Armv9.0: TLBI ranges, level hints, hardware AF/DBM; repeat-TLBI erratum", (*_V8_4, _REPEAT), _QEMU
    ),
    "neoverse-n1": _cpu("Armv8.2: hardware AF/DBM, no TLBI ranges; repeat-TLBI erratum", (*_V8_2, _REPEAT), _QEMU),
    "neoverse-v1": _cpu(
        "Armv8.4, but neither TLBI ranges nor level hints; hardware AF/DBM; repeat-TLBI erratum",
        (*_V8_2, _REPEAT), _QEMU + "; the same on Graviton 3: " + _COLLECTED.format("graviton3-host-amazonlinux"),
    ),
    "neoverse-n2": _cpu(
        "Armv9.0: TLBI ranges, level hints, hardware AF/DBM; repeat-TLBI erratum", (*_V8_4, _REPEAT), _QEMU
    ),
    "neoverse-v2": _cpu(
        "Armv9.0: TLBI ranges, level hints, hardware AF/DBM; repeat-TLBI erratum", (*_V8_4, _REPEAT),
        _FIRECRACKER.format("V2"),
    ),
    "neoverse-v3": _cpu(
        "Armv9.2, from r0p2: as neoverse-v2, and blocks fold without a flush", (*_V8_4, _REPEAT, *_BBM),
        _FIRECRACKER.format("V3") + "; BBM level by MIDR (arch/arm64/kernel/cpufeature.c:cpu_supports_bbml3)",
    ),
    "a64fx": _cpu(
        "Armv8.2: no TLBI ranges, access flag and dirty state by fault; KPTI, for want of CSV3", ("kpti",), _QEMU
    ),
    "max": _cpu(
        "QEMU's -cpu max: TLBI ranges from multiples of 64K (LPA2), level hints, hardware AF/DBM, no erratum",
        (*_V8_4, "lpa2"), "ID registers in QEMU's target/arm/tcg/cpu64.c:aarch64_max_tcg_initfn",
    ),
    "altra": _cpu(
        "Ampere Altra: 80 to 128 Neoverse N1", (*_V8_2, _REPEAT), _COLLECTED.format("ampere-altra-host-ubuntu")
    ),
    "graviton2": _cpu("AWS Graviton 2: Neoverse N1", (*_V8_2, _REPEAT), _FIRECRACKER.format("N1")),
    "graviton3": _cpu(
        "AWS Graviton 3: Neoverse V1", (*_V8_2, _REPEAT), _COLLECTED.format("graviton3-host-amazonlinux")
    ),
    "graviton4": _cpu("AWS Graviton 4: Neoverse V2", (*_V8_4, _REPEAT), _FIRECRACKER.format("V2")),
    "grace": _cpu(
        "NVIDIA Grace: 72 Neoverse V2", (*_V8_4, _REPEAT),
        "boot log of Linux 6.16 in linux-serial, July 2025 (Quanta Java Island), which names the three features",
    ),
    "cobalt100-vm": _cpu(
        "Azure Cobalt 100 under Hyper-V: Neoverse N2 whose level hints the hypervisor hides",
        (*_V8_2, "tlb_range", _REPEAT), _COLLECTED.format("cobalt100-vm-ubuntu"),
    ),
    "raspberry-pi-4": _cpu("Raspberry Pi 4: Cortex-A72", (), _COLLECTED.format("cortexa72-host-ubuntu")),
    "raspberry-pi-5": _cpu(
        "Raspberry Pi 5: Cortex-A76 r4p1", (*_V8_2, _REPEAT),
        _QEMU + "; the core's MIDR 0x414fd0b1 from a boot log of linux-next, June 2026",
    ),
    "apple-m1-vm": _cpu(
        "Apple M1 in a virtual machine: TLBI ranges, level hints; access flag and dirty state by fault",
        ("tlb_range", "ttl"), _COLLECTED.format("applem1-vm-debian"),
    ),
}  # fmt: skip
