"""x86-64: no contiguous bit, generic batches, and a TLB flushed by INVLPG, CR3 writes or INVLPGB."""

from __future__ import annotations

from core_mm.descriptor import ArchDescriptor, Geometry

from mmarch_x86.cpufeature import cpu
from mmarch_x86.cpus import CPUS
from mmarch_x86.features import arch_feature
from mmarch_x86.ptdump import PTE_NAMES
from mmarch_x86.tlbflush import EVENTS, TLB_MODEL

_ATOMIC = "the hardware sets accessed and dirty at any time; a plain read and write would lose that"

arch = ArchDescriptor(
    name="x86",
    description="x86-64 with 4 or 5 levels of page tables",
    modules=tuple(
        f"mmarch_x86.{name}"
        for name in ("pgtable", "swap", "ptep", "pmd", "tlbflush", "tlbbatch", "tlb", "mmu")
    ),
    granules={
        "4k": Geometry(page_shift=12, pte_bits=9, levels=4),
        "4k-la57": Geometry(page_shift=12, pte_bits=9, levels=5),
    },
    default_granule="4k",
    cpus=CPUS,
    default_cpu="zen3",
    cpu_scalars=cpu,
    features=arch_feature,
    required={
        "ptep_get_and_clear": _ATOMIC,
        "ptep_set_wrprotect": _ATOMIC,
        "ptep_test_and_clear_young": _ATOMIC,
        "pte_advance_pfn": "frames of entries that are not present are inverted",
        "tlb_flush": "the default would flush page by page, whatever the number of pages",
    },
    capabilities=frozenset({"hw_afdbm"}),
    events=EVENTS,
    pte_names=PTE_NAMES,
    tlb_model=TLB_MODEL,
    event_groups={"invl": "tlbi", "invpcid_": "tlbi", "cr3_": "tlbi", "tlbsync": "barrier"},
)
