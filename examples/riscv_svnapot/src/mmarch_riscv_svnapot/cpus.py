"""CPU models: the extensions that Linux would find on them."""

from __future__ import annotations

from core_mm.descriptor import Cpu

_PROFILES = "RISC-V Profiles: RVA20, RVA23"

CPUS = {
    "rva20": Cpu(
        description="an RVA20 core among four: no Svnapot, A and D by fault, remote fences by SBI",
        features={"harts": 4, "sbi_rfence": 1},
        source=_PROFILES,
    ),
    "rva23": Cpu(
        description="an RVA23 core among four: Svnapot and Svinval, A and D by fault, remote fences by IPI",
        features={"svnapot": 1, "svinval": 1, "harts": 4},
        source=_PROFILES,
    ),
    "rva23-full": Cpu(
        description="as rva23, with the options Svadu and Svvptc",
        features={"svnapot": 1, "svinval": 1, "svadu": 1, "svvptc": 1, "harts": 4},
        source=_PROFILES,
    ),
    "spacemit-x60": Cpu(
        description="one of eight SpacemiT X60 cores: Svnapot and Svinval, remote fences by SBI",
        features={"svnapot": 1, "svinval": 1, "harts": 8, "sbi_rfence": 1},
        source="arch/riscv/boot/dts/spacemit/k1.dtsi",
    ),
    "single-hart": Cpu(
        description="neutral: Svnapot and Svadu, one hart, so that every fence is local",
        features={"svnapot": 1, "svadu": 1, "harts": 1},
        source="for reference tables",
    ),
}
