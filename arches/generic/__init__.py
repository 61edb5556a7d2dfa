"""The fallback of every hook, and a plain architecture in its own right."""

from __future__ import annotations

from core_mm.descriptor import ArchDescriptor, Cpu, Geometry
from core_mm.tlb_model import Tlbi, TlbModel

arch = ArchDescriptor(
    name="generic",
    description="plain PTEs, one flush a page, no contiguous bit",
    modules=(
        "arches.generic.pte", "arches.generic.pgtable", "arches.generic.pmd",
        "arches.generic.tlb", "arches.generic.mmu",
    ),
    granules={
        "4k": Geometry(page_shift=12, pte_bits=9, levels=4),
        "16k": Geometry(page_shift=14, pte_bits=11, levels=4),
        "64k": Geometry(page_shift=16, pte_bits=13, levels=3),
    },
    default_granule="4k",
    cpus={"generic": Cpu(description="a CPU with hardware accessed and dirty bits", features={})},
    default_cpu="generic",
    capabilities=frozenset({"hw_afdbm"}),
    events=("tlbi_page", "tlbi_mm", "tlbi_all"),
    tlb_model=TlbModel(
        tlbi={"tlbi_page": Tlbi(scope="pages"), "tlbi_mm": Tlbi(scope="asid"), "tlbi_all": Tlbi(scope="all")},
        synchronous=True,
    ),
)  # fmt: skip
