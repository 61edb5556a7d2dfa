"""Bugs of contiguous blocks and of single entries on arm64 (C1 … C16 of the history)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

CONTPTE, PGTABLE = "arches.arm64.contpte", "arches.arm64.pgtable"


def contpte(old: str, new: str) -> tuple[Edit, ...]:
    """An edit of contpte.py."""
    return (Edit(CONTPTE, old, new),)


def pgtable(old: str, new: str) -> tuple[Edit, ...]:
    """An edit of pgtable.py."""
    return (Edit(PGTABLE, old, new),)


_MERGE = (
    "        old = xchg(ptep + i, 0)\n        if pte_dirty(old):\n            pte = pte_mkdirty(pte)\n"
    "        if pte_young(old):\n            pte = pte_mkyoung(pte)\n    return pte"
)

MUTANTS = (
    Mutant(
        "C1", "access flags are compared with the gathered value (97c5550b7631)", "contiguous.walker",
        contpte("    if has_flags(ptep, pte, entry):\n", "    if not (ptep_get(ptep) ^ entry) & ACCESS_FLAGS:\n"),
    ),
    Mutant(
        "C2", "a write fault on a block flushes nothing", "tlb.spurious",
        contpte("    if dirty:\n        flush_block(", "    if dirty > 1:\n        flush_block("),
        cpu="cortex-a72",
    ),
    Mutant(
        "C3", "bytes are passed where entries are meant (Fixes 89e86854fb0a)", "batch.young-dirty",
        contpte("return __clear_young_dirty_ptes(first, pages, flags)",
                "return __clear_young_dirty_ptes(first, pages << 5, flags)"),
    ),
    Mutant(
        "C4", "a block that is cleared in part keeps its mark on the rest", "contiguous.bbm",
        contpte("    contpte_try_unfold_partial(mm, addr, ptep, nr)\n    return __get_and_clear_full_ptes(ptep, nr)",
                "    return __get_and_clear_full_ptes(ptep, nr)"),
    ),
    Mutant(
        "C5-dirty", "a batch that is cleared loses dirty of all but its first entry", "batch.clear",
        pgtable(_MERGE, "        old = xchg(ptep + i, 0)\n        if pte_young(old):\n"
                "            pte = pte_mkyoung(pte)\n    return pte"),
        share=0.2,
    ),
    Mutant(
        "C5-young", "and accessed", "batch.clear",
        pgtable(_MERGE, "        old = xchg(ptep + i, 0)\n        if pte_dirty(old):\n"
                "            pte = pte_mkdirty(pte)\n    return pte"),
        share=0.2,
    ),
    Mutant(
        "C5-convert", "folding and unfolding lose dirty", "contiguous.gather",
        contpte("        old = __ptep_get_and_clear(start + i)\n        dirty |= pte_dirty(old)\n",
                "        old = __ptep_get_and_clear(start + i)\n        dirty |= pte_dirty(old) * (i < 0)\n"),
    ),
    Mutant(
        "C6-clear", "an entry is read, then cleared", "lockless.hardware",
        pgtable("    return xchg(ptep, 0)\n",
                "    pte = READ_ONCE(ptep)\n    WRITE_ONCE(ptep, 0)\n    return pte\n"),
    ),
    Mutant(
        "C6-wrprotect", "an entry is read, then written read-only", "lockless.hardware",
        pgtable("        pte = cmpxchg(ptep, old, pte_wrprotect(old))\n",
                "        WRITE_ONCE(ptep, pte_wrprotect(old))\n"),
    ),
    Mutant(
        "C6-young", "an entry is read, then written old", "lockless.hardware",
        pgtable("        pte = cmpxchg(ptep, old, pte_mkold(old))\n", "        WRITE_ONCE(ptep, pte_mkold(old))\n"),
    ),
    Mutant(
        "C7-frame", "a lockless reader does not compare frames", "lockless.read",
        contpte("pte_pfn(other) != pfn + i or not same", "not same"),
    ),
    Mutant(
        "C7-permissions", "nor permissions", "lockless.read",
        contpte("pte_pfn(other) != pfn + i or not same", "pte_pfn(other) != pfn + i"),
    ),
    Mutant(
        "C7-single", "or takes the one entry as it is", "lockless.retry",
        contpte("        if not pte_valid_cont(pte):\n            return pte\n        pte, consistent",
                "        if pte:\n            return pte\n        pte, consistent"),
    ),
    Mutant(
        "C7-early", "or stops looking before it has found both, young and dirty", "lockless.retry",
        contpte("early_exit and pte_dirty(pte) and pte_young(pte)", "early_exit and pte_young(pte)"),
        release="7.3",
    ),
    Mutant(
        "C8", "the contiguous mark comes back with a value that was read", "contiguous.leak",
        contpte("    pte = pte_mknoncont(pte)\n    if nr == 1:", "    if nr == 1:"),
    ),
    Mutant(
        "C9", "the next entry is a page's size further, over a frame number in two parts (Fixes 4a169d61c2ed)",
        "batch.set-far",
        (Edit("tests.mutants.split_frames", "        pte = pte_advance_pfn(pte, 1)\n", "        pte += 1 << 12\n"),),
        arch="tests.mutants.split_frames:arch",
    ),
    Mutant(
        "C10", "write protection of part of a block leaves it folded", "contiguous.uniform",
        contpte("        contpte_try_unfold_partial(mm, addr, ptep, nr)\n        return __wrprotect_ptes(ptep, nr)",
                "        return __wrprotect_ptes(ptep, nr)"),
        share=0.1,
    ),
    Mutant(
        "C10-head", "the block at the head of a batch stays folded", "contiguous.partial",
        contpte("    if ptep & last != 0 or nr < cfg.cont_ptes:\n", "    if nr < cfg.cont_ptes:\n"),
    ),
    Mutant(
        "C10-tail", "the block at its tail does", "contiguous.partial",
        contpte("    if end & last != 0:\n", "    if end & last == last + 1:\n"),
    ),
    Mutant(
        "C11-folio", "a block is folded over two folios", "contiguous.conditions",
        contpte("    if not mm_is_user(mm) or not folio_covers(addr, pte_pfn(pte)):\n", "    if not mm_is_user(mm):\n"),
    ),
    Mutant(
        "C11-frame", "or over frames that are out of step", "contiguous.conditions",
        contpte("    if ptep & last != last or pte_pfn(pte) & last != last:\n        return 0\n",
                "    if ptep & last != last:\n        return 0\n"
                "    if pte_pfn(pte) & last != last and pte_valid(pte):\n"
                "        return contpte_convert(mm, addr, ptep, pte_mkcont(pte))\n"),
    ),
    Mutant(
        "C11-permissions", "or over different permissions", "contiguous.conditions",
        contpte("        if pte_mkold(pte_mkclean(READ_ONCE(start + i))) != expected:\n",
                "        if pte_pfn(READ_ONCE(start + i)) != pte_pfn(expected):\n"),
    ),
    Mutant(
        "C11-valid", "or over entries that are not valid", "contiguous.conditions",
        contpte("    if not pte_valid(pte) or pte & (PTE_CONT", "    if pte & (PTE_CONT"),
    ),
    Mutant(
        "C11-whole", "no block is folded that is its folio's first or only one", "contiguous.fold",
        contpte("    return first <= base and", "    return first < base and"),
    ),
    Mutant(
        "C12", "the flush between break and make is left out", "contiguous.bbm",
        contpte("    return (arch_feature.contpte_elide_bbml3 and cpu.bbml3) or", "    return 1 or"),
    ),
    Mutant(
        "C12-order", "it comes after make", "contiguous.bbm",
        contpte("    if not elide_flush():\n"
                "        __flush_tlb_range(mm, base, base + cont_size(), cfg.page_size, 1, 3)\n"
                "    return __set_ptes(start, pte, cfg.cont_ptes)",
                "    __set_ptes(start, pte, cfg.cont_ptes)\n"
                "    return __flush_tlb_range(mm, base, base + cont_size(), cfg.page_size, 1, 3)"),
    ),
    Mutant(
        "C13", "kernel mappings are folded", "contiguous.kernel",
        contpte("    return mm != INIT_MM\n", "    return 1\n"),
    ),
    Mutant(
        "C14", "a dirty entry that becomes writable keeps trapping writes (c25c4aa3f79a)", "batch.access-flags-reuse",
        pgtable(
            "    return pte & ~PTE_RDONLY if pte & PTE_DIRTY or not arch_feature.pte_mkwrite_keeps_clean else pte\n",
            "    return pte\n",
        ),
        cpu="cortex-a72",
    ),
    Mutant(
        "C16", "faults map the pages of a folio one by one, and its blocks are folded (43e027e41423 maps it at once)",
        "stateful.effort-fault",
        (Edit("core_mm.memory.file_fault", "    nr = folio_nr_pages(folio)\n    inode", "    nr = 1\n    inode"),),
    ),
    Mutant(
        "G-hint", "a block gives no hint, so that each of its entries is looked at", "contiguous.hint",
        contpte("    if not pte_valid_cont(pte):\n        return 1\n    return cfg",
                "    if pte:\n        return 1\n    return cfg"),
    ),
)  # fmt: skip
