"""CPU models: which features and errata Linux finds on them."""

from __future__ import annotations

from core_mm.descriptor import Cpu

_V8_2 = {"hw_af": 1, "hw_dbm": 1}
_V8_4 = {**_V8_2, "tlb_range": 1, "ttl": 1}
_REPEAT = {"repeat_tlbi": 1}
_REGISTERS = "ID_AA64ISAR0_EL1.TLB, ID_AA64MMFR1_EL1.HAFDBS, ID_AA64MMFR2_EL1.TTL of the core"
_ERRATUM = _REGISTERS + "; ARM64_ERRATUM_4118414 in arch/arm64/kernel/cpu_errata.c (Linux 6.12.107, 7.3)"


def _cpu(description: str, features: dict[str, int], source: str = _REGISTERS) -> Cpu:
    return Cpu(description=description, features=features, source=source)


CPUS = {
    "range": _cpu(
        "neutral: FEAT_TLBIRANGE, hardware AF/DBM, no erratum, no KPTI, no LPA2, no level hints",
        {**_V8_2, "tlb_range": 1}, "for reference tables",
    ),
    "norange": _cpu("neutral: as range, without FEAT_TLBIRANGE", _V8_2, "for reference tables"),
    "cortex-a35": _cpu("Armv8.0: no TLBI ranges, access flag and dirty state by fault", {}),
    "cortex-a53": _cpu("Armv8.0: no TLBI ranges, access flag and dirty state by fault", {}),
    "cortex-a55": _cpu(
        "Armv8.2: hardware AF, no TLBI ranges; dirty state by fault, for an erratum", {"hw_af": 1},
        _REGISTERS + "; ARM64_ERRATUM_1024718 in arch/arm64/kernel/cpufeature.c:cpu_has_broken_dbm",
    ),
    "cortex-a57": _cpu("Armv8.0: no TLBI ranges, access flag and dirty state by fault", {}),
    "cortex-a72": _cpu("Armv8.0: no TLBI ranges, access flag and dirty state by fault", {}),
    "cortex-a76": _cpu("Armv8.2: hardware AF/DBM, no TLBI ranges; repeat-TLBI erratum", {**_V8_2, **_REPEAT}, _ERRATUM),
    "cortex-a710": _cpu(
        "Armv9.0: TLBI ranges, level hints, hardware AF/DBM; repeat-TLBI erratum", {**_V8_4, **_REPEAT}, _ERRATUM
    ),
    "neoverse-n1": _cpu(
        "Armv8.2: hardware AF/DBM, no TLBI ranges; repeat-TLBI erratum", {**_V8_2, **_REPEAT}, _ERRATUM
    ),
    "neoverse-v1": _cpu(
        "Armv8.4 as QEMU's: hardware AF/DBM, neither TLBI ranges nor hints; repeat-TLBI erratum",
        {**_V8_2, **_REPEAT}, _ERRATUM,
    ),
    "neoverse-n2": _cpu(
        "Armv9.0: TLBI ranges, level hints, hardware AF/DBM; repeat-TLBI erratum", {**_V8_4, **_REPEAT}, _ERRATUM
    ),
    "neoverse-v2": _cpu(
        "Armv9.0: TLBI ranges, level hints, hardware AF/DBM; repeat-TLBI erratum", {**_V8_4, **_REPEAT}, _ERRATUM
    ),
    "a64fx": _cpu("Armv8.2: no TLBI ranges, access flag and dirty state by fault", {}),
    "max": _cpu(
        "QEMU's -cpu max: TLBI ranges from multiples of 64K (LPA2), level hints, hardware AF/DBM, no erratum",
        {**_V8_4, "lpa2": 1}, _REGISTERS + "; ID_AA64MMFR0_EL1.TGRAN4, lpa2_is_enabled in asm/pgtable.h",
    ),
}  # fmt: skip
