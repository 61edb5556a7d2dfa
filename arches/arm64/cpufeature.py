"""What the CPU can do and which errata it has (arch/arm64/kernel/cpufeature.c, cpu_errata.c; Linux 6.12.107, 7.3.4)."""

from __future__ import annotations

from core_mm.cpufeature import CpuFeatures, cpu_feature


class cpu(CpuFeatures):
    """Features of the CPU model."""

    tlb_range: int = cpu_feature(
        "FEAT_TLBIRANGE: one TLBI for a range of pages",
        source="ID_AA64ISAR0_EL1.TLB >= 2 (ARM64_HAS_TLB_RANGE)",
    )
    ttl: int = cpu_feature(
        "FEAT_TTL: the operand of a TLBI may say at which level the entry is",
        source="ID_AA64MMFR2_EL1.TTL (ARM64_HAS_ARMv8_4_TTL)",
        capability="ttl",
    )
    hw_af: int = cpu_feature(
        "hardware sets the access flag; without it the first access faults",
        source="ID_AA64MMFR1_EL1.HAFDBS >= 1, unless CONFIG_ARM64_HW_AFDBM is off",
    )
    hw_dbm: int = cpu_feature(
        "hardware makes a clean, writable entry dirty; without it the first write faults",
        source="ID_AA64MMFR1_EL1.HAFDBS >= 2, and not cpufeature.c:cpu_has_broken_dbm",
        requires=("hw_af",),
        capability="hw_afdbm",
    )
    haft: int = cpu_feature(
        "FEAT_HAFT: hardware sets the access flag of tables too; Linux uses it from 6.13 on",
        source="ID_AA64MMFR1_EL1.HAFDBS >= 3 (ARM64_HAFT)",
        requires=("hw_af",),
    )
    lpa2: int = cpu_feature(
        "FEAT_LPA2 in use: the base of a range TLBI is a multiple of 64 KiB; with 4K pages a split makes pages old",
        source="ID_AA64MMFR0_EL1.TGRAN4 with 52 bits (asm/pgtable.h:lpa2_is_enabled)",
    )
    contpte: int = cpu_feature(
        "CONFIG_ARM64_CONTPTE: pages that lie and look alike share a contiguous entry",
        source="arch/arm64/Kconfig: on by default; a choice of the kernel, not of the CPU",
        capability="contiguous",
    )
    kpti: int = cpu_feature(
        "the kernel is unmapped while user code runs: two ASIDs a process, every user TLBI twice",
        source="cpufeature.c:unmap_kernel_at_el0: Meltdown (not CSV3), or KASLR on a CPU without FEAT_E0PD",
    )
    repeat_tlbi: int = cpu_feature(
        "a TLBI and a DSB more wherever the kernel waits for TLBIs (erratum 4118414 and older ones)",
        source="cpu_errata.c:arm64_repeat_tlbi_list",
    )
    erratum_2645198: int = cpu_feature(
        "an executable entry is flushed while its permissions change",
        source="cpu_errata.c: Cortex-A715, all versions",
    )
    bbml2_noabort: int = cpu_feature(
        "FEAT_BBM level 2 that never aborts on a TLB conflict: Linux before 7.3 folds without a flush",
        source="cpufeature.c:cpu_supports_bbml2_noabort, a list of MIDRs (Linux 7.2.13)",
        requires=("bbml3",),
    )
    bbml3: int = cpu_feature(
        "FEAT_BBM level 3: Linux from 7.3 folds without a flush",
        source="cpufeature.c:cpu_supports_bbml3: ID_AA64MMFR2_EL1.BBM >= 3, or a list of MIDRs that holds 7.2's",
    )
