"""Bugs of TLB maintenance (T1 … T11, H3 of the history), on arm64 and on RISC-V with NAPOT blocks."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

TLBFLUSH, TLB, CONTPTE = "arches.arm64.tlbflush", "arches.arm64.tlb", "arches.arm64.contpte"
_BLOCK = (
    "        __flush_tlb_range(mm, base, base + cont_size(), cfg.page_size, 1, {})\n    return __set_ptes"
)
EAGER = (Edit(TLBFLUSH, 'that closes the batch."""\n    return 1\n', '"""\n    return 0\n'),)


def tlbflush(old: str, new: str) -> tuple[Edit, ...]:
    """An edit of tlbflush.py."""
    return (Edit(TLBFLUSH, old, new),)


def tlb(old: str, new: str) -> tuple[Edit, ...]:
    """An edit of tlb.py."""
    return (Edit(TLB, old, new),)


MUTANTS = (
    Mutant(
        "T1", "a range operand holds 31 units at most, not 32 (Fixes 117940aa6e5f)", "tlb.ranges",
        (*tlbflush("units = min(pages, 32 << shift) >> shift", "units = (min(pages, 32 << shift) >> shift) & 31"),
         *tlbflush("        scale -= 1\n",
                   "        scale -= 1\n        if scale < 0 and pages > 1:\n            return 0\n")),
        cpu="neoverse-n2", share=1.0,
    ),
    Mutant(
        "T1-odd", "the last page of an odd range is left out", "tlb.ranges",
        tlbflush("    while pages > 0:\n        if pages == 1",
                 "    while pages > 1:\n        if pages == 1"),
        cpu="neoverse-n2",
    ),
    Mutant(
        "T3", "a block is flushed with the level hint of its PMD (Fixes c910f2b65518)", "contiguous.bbm",
        (Edit(CONTPTE, _BLOCK.format(3), _BLOCK.format(2)),),
        cpu="neoverse-n2",
    ),
    Mutant(
        "T3-gather", "so is what a gather recorded", "tlb.munmap",
        tlb("    return 3 * ptes + 2 * pmds\n", "    return 2 * ptes + 2 * pmds\n"),
        cpu="neoverse-n2",
    ),
    Mutant(
        "T4", "another CPU's deferred flushes are only waited for (Fixes 43b3dfdd0455)", "tlb.pending",
        tlbflush("def arch_flush_tlb_batched_pending(mm: int) -> int:\n    return hook.flush_tlb_mm(mm)\n",
                 "def arch_flush_tlb_batched_pending(mm: int) -> int:\n    return dsb(ISH)\n"),
    ),
    Mutant(
        "T5", "a range of pages is flushed with the stride of a PMD", "tlb.munmap",
        tlbflush("        start += step << cfg.page_shift\n        pages -= step\n",
                 "        start += cfg.pmd_size\n        pages -= cfg.ptrs_per_pte\n"),
    ),
    Mutant(
        "T6", "a flush of any length is made of single operations", "tlb.bounded",
        tlbflush("    if not cpu.tlb_range and end - start >= cfg.ptrs_per_pte * stride:\n        return 1\n", ""),
    ),
    Mutant(
        "T7", "tlb_flush does nothing if no table was freed (Fixes 4a18419f71cd)", "tlb.mprotect",
        tlb("    if GATHER.fullmm[tlb]:\n", "    if last_level:\n        return 0\n    if GATHER.fullmm[tlb]:\n"),
    ),
    Mutant(
        "T7-walk", "it leaves walk caches alone although tables were freed", "tlb.munmap",
        tlb("    last_level = not GATHER.freed_tables[tlb]\n", "    last_level = 1\n"),
    ),
    Mutant(
        "T8", "mremap flushes before changes that lazy MMU mode may hold back are made", "stateful.history",
        (Edit("core_mm.move_page_tables",
              "    lazy_mmu_mode_disable()\n    if force_flush:\n        flush_tlb_range(vma, start, old_end)\n",
              "    if force_flush:\n        flush_tlb_range(vma, start, old_end)\n    lazy_mmu_mode_disable()\n"),),
        arch="generic",
    ),
    Mutant(
        "T-fork", "fork does not flush what it write-protects", "tlb.fork",
        (Edit("core_mm.fork", "        mpnt = VMA.vm_next[mpnt]\n    flush_tlb_mm(oldmm)\n",
              "        mpnt = VMA.vm_next[mpnt]\n"),),
    ),
    Mutant(
        "T8-barrier", "an invalidation is issued before the barrier that publishes the entry", "tlb.munmap",
        tlbflush("        return 1\n    dsb(ISHST)\n    pages =", "        return 1\n    pages ="),
    ),
    Mutant(
        "T-wait", "nobody waits for invalidations", "tlb.munmap",
        tlbflush("    dsb(ISH)\n    if cpu.repeat_tlbi:\n", "    if cpu.repeat_tlbi > 1:\n"),
    ),
    Mutant(
        "T9", "a mapping of bare frames waits for the common flush (VM_PFNMAP)", "gather.pfnmap",
        (Edit("core_mm.mmu_gather", "GATHER.vma_pfn[tlb] and not feature.vma_pfn_sticky", "GATHER.vma_pfn[tlb] > 1"),),
        arch="mmarch_x86:arch",
    ),
    Mutant(
        "T9-7.x", "and since 6.16, when that flush moved to free_pgtables", "gather.pfnmap",
        (Edit("core_mm.mmu_gather", "feature.vma_pfn_sticky and GATHER.vma_pfn[tlb]", "GATHER.vma_pfn[tlb] > 1"),),
        arch="mmarch_x86:arch", release="7.3",
    ),
    Mutant(
        "T10", "a local flush, and nothing that repairs other CPUs (cb1fa2e99955)", "tlb.spurious-fix",
        tlbflush("        return 0\n    return local_flush_tlb_range(\n        VMA.vm_mm[vma],",
                 "        return 0\n    return 0 and local_flush_tlb_range(\n        VMA.vm_mm[vma],"),
        release="7.3",
    ),
    Mutant(
        "T11", "reclaim flushes page by page, for every CPU", "tlb.deferred", EAGER,
    ),
    Mutant(
        "T11-eager", "where it does so, it forgets the flush", "tlb.reclaim",
        (Edit("core_mm.migrate", "    return ptep_clear_flush(vma, address, ptep)\n",
              "    return ptep_get_and_clear(mm, address, ptep)\n"),),
        given=EAGER,
    ),
    Mutant(
        "T-asid", "ASIDs begin anew without a flush", "tlb.exit",
        (Edit("core_mm.context", "        flush_tlb_all()\n", ""),),
    ),
    Mutant(
        "T-deferred", "reclaim frees before it waits for its deferred flushes", "stateful.history",
        (Edit("core_mm.reclaim", "    try_to_unmap_flush()\n    folio = mach.reclaimed\n",
              "    folio = mach.reclaimed\n"),),
    ),
    Mutant(
        "H3", "a NAPOT block is made without a fence (1458eb2c9d88)", "contiguous.bbm",
        (Edit("mmarch_riscv_svnapot.napot",
              "    flush_mm_range(mm, base, base + block_size(), cfg.page_size)\n    if fold:", "    if fold:"),),
        arch="mmarch_riscv_svnapot:arch",
    ),
    Mutant(
        "H3-valid", "one is made of entries that are not valid", "contiguous.conditions",
        (Edit("mmarch_riscv_svnapot.napot", "pte & (PAGE_PRESENT | PAGE_SPECIAL) == PAGE_PRESENT",
              "pte & PAGE_SPECIAL == 0"),),
        arch="mmarch_riscv_svnapot:arch",
    ),
)  # fmt: skip
