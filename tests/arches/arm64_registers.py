"""ID registers of arm64 CPUs from public sources, and what Linux concludes from them.

[Q] QEMU 10, target/arm/cpu64.c and target/arm/tcg/cpu64.c, which follow the Technical Reference Manuals
[F] Firecracker (August 2026), tests/data/cpu_template_helper/fingerprint_ARM_NEOVERSE_*_6.1host.json, read by KVM on
    EC2 metal; [F18] that of a 6.18 host
[C] github.com/lelegard/arm-cpusysregs, collect/*/cpusysregs-registers.txt, read by a kernel module
"""

from __future__ import annotations

from typing import NamedTuple


class Registers(NamedTuple):
    """MIDR_EL1 and five ID_AA64 registers; where a source hides the MIDR, that of the core it names."""

    midr: int
    pfr0: int
    isar0: int
    mmfr0: int
    mmfr1: int
    mmfr2: int


A76 = Registers(
    0x414FD0B1,
    0x1100000010111112,
    0x0000100010211120,
    0x0000000000101122,
    0x0000000010212122,
    0x0000000000001011,
)  # [Q]
V1 = Registers(
    0x411FD401,
    0x1101110120111112,
    0x1011111110212120,
    0x0000000000101125,
    0x0000000010212122,
    0x0220011102101011,
)  # [Q] [C]
V2 = Registers(
    0x410FD4F1,
    0x1101011021111111,
    0x1221100110212120,
    0x0000022200101125,
    0x1000000010312122,
    0x1221011112001011,
)  # [F]
A72 = Registers(0x410FD083, 0x2222, 0x00011120, 0x00001124, 0, 0)  # [Q]

REGISTERS = {
    "cortex-a35": Registers(0x411FD040, 0x2222, 0x00011120, 0x00101122, 0, 0),  # [Q]
    "cortex-a53": Registers(0x410FD034, 0x2222, 0x00011120, 0x00001122, 0, 0),  # [Q]
    "cortex-a55": Registers(
        0x412FD050, 0x10112222, 0x0000100010211120, 0x00101122, 0x10212122, 0x1011
    ),  # [Q]
    "cortex-a57": Registers(0x411FD070, 0x2222, 0x00011120, 0x00001124, 0, 0),  # [Q]
    "cortex-a72": A72,
    "cortex-a76": A76,
    "cortex-a710": Registers(
        0x412FD471, 0x1201111120111112, 0x0221111110212120, 0x0000022200101122, 0x10212122, 0x1221011110101011
    ),  # [Q]
    "neoverse-n1": Registers(
        0x414FD0C1, 0x1100000010111112, 0x0000100010211120, 0x0000000000101125, 0x10212122, 0x1011
    ),  # [Q]
    "neoverse-v1": V1,
    "neoverse-n2": Registers(
        0x410FD493, 0x1201111120111112, 0x1221111110212120, 0x0000022200101125, 0x10212122, 0x1221011112101011
    ),  # [Q]
    "neoverse-v2": V2,
    # [F18], but r0p2, where the kernel's lists begin, for r0p1
    "neoverse-v3": Registers(
        0x410FD842,
        0x1101001021111111,
        0x1221100110212120,
        0x2100022200101125,
        0x1000111010312122,
        0x1221011110001011,
    ),
    "a64fx": Registers(
        0x461F0010, 0x0000000101111111, 0x0000000010211120, 0x0000000000001122, 0x11212100, 0x1011
    ),  # [Q]
    "altra": Registers(
        0x413FD0C1, 0x1100000011111112, 0x0000100010211120, 0x00101125, 0x10212122, 0x0100000000000011
    ),  # [C]
    "graviton2": Registers(
        0x413FD0C1, 0x1100000011111112, 0x0000100010211120, 0x00101125, 0x10212122, 0x0100000000000011
    ),  # [F]
    "graviton3": V1,
    "graviton4": V2,
    "cobalt100-vm": Registers(
        0x6D0FD490, 0x1100000101111112, 0x0221111110212120, 0x0000011100101025, 0x00201002, 0x1100101011
    ),  # [C]
    "raspberry-pi-4": Registers(0x410FD083, 0x2222, 0x00010000, 0x00001124, 0, 0),  # [C]
    "raspberry-pi-5": A76,
    "apple-m1-vm": Registers(
        0x610F0000, 0x1101000010110011, 0x0221100110212120, 0x000010000F100001, 0x11212000, 0x1001001100001011
    ),  # [C]
}

ARM, MICROSOFT = 0x41, 0x6D
# cpu_errata.c:arm64_repeat_tlbi_list of 6.12.107 and 7.3.4, erratum 4118414; parts of Arm, and of others
REPEAT = {(ARM, part) for part in (0xD0B, 0xD0C, 0xD0D, 0xD0E, 0xD40, 0xD41, 0xD42, 0xD44, 0xD47, 0xD48, 0xD49, 0xD4B,
                                   0xD4C, 0xD4E, 0xD4F, 0xD82, 0xD83, 0xD84, 0xD85, 0xD8C, 0xD90)}  # fmt: skip
REPEAT |= {(MICROSOFT, 0xD49)}
A55, A715, V3_PART = 0xD05, 0xD4D, 0xD84
# cpufeature.c:unmap_kernel_at_el0, those of Arm: Cortex-A35, A53, A55, A57, A72, A73
KPTI_SAFE = {(ARM, part) for part in (0xD03, 0xD04, 0xD05, 0xD07, 0xD08, 0xD09)}


def detected(registers: Registers) -> dict[str, int]:
    """What Linux finds there when it is started with nokaslr (cpufeature.c, cpu_errata.c; 7.2.13, 7.3.4)."""
    implementer, part, revision = registers.midr >> 24, registers.midr >> 4 & 0xFFF, registers.midr & 0xF
    afdbs, bbm = registers.mmfr1 & 0xF, registers.mmfr2 >> 52 & 0xF
    listed = (implementer, part) == (ARM, V3_PART) and revision >= 2
    return {
        "tlb_range": int(registers.isar0 >> 56 & 0xF >= 2),
        "ttl": int(registers.mmfr2 >> 48 & 0xF >= 1),
        "hw_af": int(afdbs >= 1),
        "hw_dbm": int(afdbs >= 2 and (implementer, part) != (ARM, A55)),
        "haft": int(afdbs >= 3),
        "lpa2": int(registers.mmfr0 >> 28 & 0xF == 1),
        "contpte": 1,
        "kpti": int(not registers.pfr0 >> 60 and (implementer, part) not in KPTI_SAFE),  # not CSV3
        "repeat_tlbi": int((implementer, part) in REPEAT),
        "erratum_2645198": int((implementer, part) == (ARM, A715)),
        "bbml2_noabort": int(listed),
        "bbml3": int(listed or bbm >= 3),
    }
