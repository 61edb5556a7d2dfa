"""arm64: contiguous blocks folded and unfolded behind core-mm's back, every TLBI accounted."""

from __future__ import annotations

from arches.arm64.cpufeature import cpu
from arches.arm64.cpus import CPUS
from arches.arm64.features import arch_feature
from arches.arm64.events import EVENTS
from arches.arm64.ptdump import PTE_NAMES
from arches.arm64.tlb_model import TLB_MODEL
from core_mm.descriptor import ArchDescriptor, Geometry

_GATHER = "a block's accessed and dirty state lies in any of its entries"
_FOLD = "entries of a folded block must not be stored one by one"
_BARRIERS = "barriers that wait for the end of a section would never come"

arch = ArchDescriptor(
    name="arm64",
    description="AArch64 with the contiguous bit (contpte)",
    modules=(
        "arches.arm64.pgtable", "arches.arm64.contpte", "arches.arm64.pmd", "arches.arm64.tlbflush",
        "arches.arm64.tlb", "arches.arm64.mmu", "arches.arm64.lazy_mmu",
    ),
    granules={
        "4k": Geometry(page_shift=12, pte_bits=9, levels=4, cont_ptes=16),
        "16k": Geometry(page_shift=14, pte_bits=11, levels=4, cont_ptes=128),
        "64k": Geometry(page_shift=16, pte_bits=13, levels=3, cont_ptes=32),
    },
    default_granule="4k",
    cpus=CPUS,
    default_cpu="neoverse-n1",
    cpu_scalars=cpu,
    features=arch_feature,
    required={
        "ptep_get": _GATHER,
        "ptep_get_lockless": _GATHER,
        "set_ptes": _FOLD,
        "pte_clear": _FOLD,
        "ptep_get_and_clear": _FOLD,
        "ptep_set_access_flags": _FOLD,
        "ptep_test_and_clear_young": _GATHER,
        "ptep_set_wrprotect": "must not lose a dirty bit that hardware sets meanwhile",
        "arch_leave_lazy_mmu_mode": _BARRIERS,
        "arch_flush_lazy_mmu_mode": _BARRIERS,
        "tlb_flush": "an address space that goes away needs no leaf flush; the default would flush pages",
    },
    capabilities=frozenset({"contiguous", "bbm", "hw_afdbm", "ttl"}),
    events=EVENTS,
    tlb_model=TLB_MODEL,
    pte_names=PTE_NAMES,
    cost_profiles={
        name: f"arches.arm64:costs/{name}.toml" for name in ("ye2020-norange", "range-assumed")
    },
)  # fmt: skip
