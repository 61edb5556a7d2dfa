"""RISC-V, Sv48 or Sv39, with 64 KiB NAPOT blocks; what Linux could do with Svnapot, hook by hook."""

from __future__ import annotations

from core_mm.descriptor import ArchDescriptor, Geometry

from mmarch_riscv_svnapot.cpufeature import cpu
from mmarch_riscv_svnapot.cpus import CPUS
from mmarch_riscv_svnapot.features import arch_feature
from mmarch_riscv_svnapot.ptdump import PTE_NAMES
from mmarch_riscv_svnapot.tlbflush import EVENTS, TLB_MODEL

_GATHER = "a block's accessed and dirty state lies in any of its entries, and its frame depends on the slot"
_FOLD = "an entry of a NAPOT block must not be stored alone"

arch = ArchDescriptor(
    name="riscv_svnapot",
    description="RISC-V Sv48 with Svnapot blocks of 64 KiB",
    modules=tuple(
        f"mmarch_riscv_svnapot.{name}"
        for name in ("pgtable", "swap", "napot", "napot_flags", "pmd", "tlbflush", "tlb", "mmu")
    ),
    granules={
        "4k": Geometry(page_shift=12, pte_bits=9, levels=4, cont_ptes=16),
        "4k-sv39": Geometry(page_shift=12, pte_bits=9, levels=3, cont_ptes=16),
    },
    default_granule="4k",
    cpus=CPUS,
    default_cpu="rva23",
    cpu_scalars=cpu,
    features=arch_feature,
    required={
        "ptep_get": _GATHER,
        "ptep_get_lockless": _GATHER,
        "set_ptes": _FOLD,
        "pte_clear": _FOLD,
        "ptep_get_and_clear": _FOLD,
        "clear_ptes": _GATHER,
        "clear_full_ptes": _FOLD,
        "ptep_set_wrprotect": _FOLD,
        "ptep_set_access_flags": _FOLD,
        "ptep_test_and_clear_young": _GATHER,
        "pte_advance_pfn": "the frame number begins at bit 10",
        "tlb_flush": "page tables that go need a flush without an address: one with it drops leaves only",
    },
    capabilities=frozenset({"contiguous", "bbm", "hw_afdbm"}),
    events=EVENTS,
    pte_names=PTE_NAMES,
    tlb_model=TLB_MODEL,
    event_groups={
        "sfence_vma": "tlbi", "sinval_vma": "tlbi", "sbi_remote": "tlbi",
        "sfence_w": "barrier", "sfence_inval": "barrier",
    },
)  # fmt: skip
