"""Barriers and hints of TLB maintenance: left out, in the wrong domain, too early; for the wrong level or page size."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

TLBFLUSH, TLB = "arches.arm64.tlbflush", "arches.arm64.tlb"
SYNC = "    dsb(ISH)\n    if cpu.repeat_tlbi:\n"
PUBLISH = "        return 1\n    dsb(ISHST)\n    pages ="


def tlbflush(old: str, new: str) -> tuple[Edit, ...]:
    """An edit of tlbflush.py."""
    return (Edit(TLBFLUSH, old, new),)


MUTANTS = (
    Mutant(
        "D-before", "the barrier before an invalidation is for this CPU only", "tlb.munmap",
        tlbflush(PUBLISH, PUBLISH.replace("ISHST", "NSHST")),
    ),
    Mutant(
        "D-after", "so is the one after it", "tlb.munmap",
        tlbflush(SYNC, "    dsb(NSH)\n    if cpu.repeat_tlbi:\n"), cpu="norange",
    ),
    Mutant(
        "D-early", "it waits before it invalidates", "tlb.munmap",
        tlbflush("    whole = flush_tlb_range_nosync(mm, start, end, stride, last_level, level)\n"
                 "    if whole and arch_feature.flush_mm_waits_once:\n        return 0\n    return tlbi_sync()\n",
                 "    tlbi_sync()\n    return flush_tlb_range_nosync(mm, start, end, stride, last_level, level)\n"),
    ),
    Mutant(
        "D-page", "flush_tlb_page issues no barrier before", "tlb.cow",
        tlbflush('for completion."""\n    dsb(ISHST)\n', 'for completion."""\n'),
    ),
    Mutant(
        "D-mm", "flush_tlb_mm does not wait", "tlb.fork",
        tlbflush("MM.asid[mm] & ASID_MASK)\n    return tlbi_sync()\n\n\ndef flush_tlb_page_nosync",
                 "MM.asid[mm] & ASID_MASK)\n    return 0\n\n\ndef flush_tlb_page_nosync"),
        cpu="norange",
    ),
    Mutant(
        "D-all", "flush_tlb_all does not wait: ASIDs begin anew too early", "tlb.exit",
        tlbflush("        tlb_drop_all()\n    tlbi_sync()\n", "        tlb_drop_all()\n"),
    ),
    Mutant(
        "D-pending", "a deferred flush is issued before the entry's change is visible", "tlb.reclaim",
        (*tlbflush("    if not feature.tlbbatch_ranges:\n        return flush_tlb_page_nosync(mm, start)\n",
                   "    if not feature.tlbbatch_ranges:\n"
                   "        return tlbi(VALE1IS, start & -cfg.page_size, 1, 0, MM.asid[mm] & ASID_MASK)\n"),),
    ),
    Mutant(
        "D-local", "a local flush is not waited for", "tlb.spurious",
        tlbflush("VALE1, RVALE1, level)\n    return dsb(NSH)\n", "VALE1, RVALE1, level)\n    return 0\n"),
        release="7.3",
    ),
    Mutant(
        "D-reach", "a flush for every CPU reaches this one only", "tlb.munmap",
        tlbflush("range_ops(mm, start, pages, stride, VALE1IS, RVALE1IS, level)",
                 "range_ops(mm, start, pages, stride, VALE1, RVALE1, level)"),
    ),
    Mutant(
        "D-walk-hint", "freed tables are flushed with the level of leaves", "tlb.tables",
        (Edit(TLB, "    if GATHER.freed_tables[tlb]:\n        return TLBI_TTL_UNKNOWN\n", ""),),
        cpu="neoverse-n2",
    ),
    Mutant(
        "D-granule", "level hints say 4 KiB pages, whatever the page size", "tlb.munmap",
        tlbflush("    granule = (cfg.page_shift - 10) >> 1  # 4K 1, 16K 2, 64K 3\n", "    granule = 1\n"),
        cpu="neoverse-n2", granule="16k",
    ),
    Mutant(
        "D-exec", "a right to execute that is taken away is not flushed", "algebra.needs-flush",
        (Edit("arches.arm64.pgtable", "    return (oldpte ^ newpte) & ~PTE_SWBITS_MASK != 0\n",
              "    return (oldpte ^ newpte) & ~(PTE_SWBITS_MASK | PTE_UXN) != 0\n"),),
        release="7.3",
    ),
    Mutant(
        "D-leaf", "a write fault on a huge page flushes nothing", "tlb.spurious-pmd",
        (Edit("arches.arm64.pmd", "    if dirty:\n        flush_stale(vma, address, 2)\n", ""),), share=0.05,
    ),
    Mutant(
        "D-leaf-hint", "or this CPU's translations of small pages", "tlb.spurious-pmd",
        (Edit("arches.arm64.fault", "start + size, size, level)", "start + size, size, 3)"),), cpu="neoverse-n2",
        release="7.3",
    ),
)  # fmt: skip
