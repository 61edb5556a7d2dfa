"""Bugs of core-mm's batches (B1 … B13, H4 of the history); the architecture is sound."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

GATHER = "core_mm.mmu_gather"

MUTANTS = (
    Mutant(
        "B1", "a batch runs on beyond the folio's end (Fixes f8d937761d65)", "batch.find-folio",
        (Edit("core_mm.internal",
              "    max_nr = min(max_nr, folio + folio_nr_pages(folio) - pte_pfn(pte))\n    nr = batch_hint",
              "    nr = batch_hint"),),
    ),
    Mutant(
        "B2", "reclaim looks for a batch beyond the table (ddd05742b45b)", "stateful.history",
        (Edit("core_mm.unmap", "    limit = (end - address) >> cfg.page_shift\n",
              "    limit = folio_nr_pages(folio)\n"),),
        release="7.3",
    ),
    Mutant(
        "B3", "reclaim gives the pages of a lazily freed folio the first one's permission (29f40594a281)",
        "stateful.history",
        (Edit("core_mm.unmap", "    flags = FPB_RESPECT_WRITE | FPB_RESPECT_SOFT_DIRTY\n",
              "    flags = FPB_RESPECT_SOFT_DIRTY\n"),),
        release="7.3",
    ),
    Mutant(
        "B4", "mremap gives a batch the first entry's permission (04d1c9d60c6e)", "stateful.history",
        (Edit("core_mm.move_page_tables", "limit, FPB_RESPECT_WRITE)", "limit, 0)"),),
        release="7.3",
    ),
    Mutant(
        "B5", "mprotect asks the folio's head page whether it is exclusive (Fixes cac1db8c3aad)", "stateful.history",
        (Edit("core_mm.mprotect", "commit_anon_folio_batch(tlb, vma, addr, ptep, page, old, new, nr)",
              "commit_anon_folio_batch(tlb, vma, addr, ptep, page_folio(page), old, new, nr)"),),
        release="7.3",
    ),
    Mutant(
        "B6", "mremap looks up the folio of every single page", "stateful.effort-mremap",
        (Edit("core_mm.move_page_tables", "limit == 1 or batch_hint(ptep, pte) == 1 or", "limit == 1 or"),),
        release="7.3",
    ),
    Mutant(
        "B8", "a fault maps a whole folio or nothing (34b82f33cf3f)", "stateful.history",
        (Edit("core_mm.memory.file_fault",
              "    if nr > 1 and not pte_range_none(ptep, nr):\n        nr, addr = 1, address\n"
              "        ptep = pte_offset_map(pmdp, addr)\n",
              "    if nr > 1 and not pte_range_none(ptep, nr):\n        return VM_FAULT_NOPAGE\n"),),
    ),
    Mutant(
        "B10", "fork maps pages without references to them", "stateful.history",
        (Edit("core_mm.memory.copy", "    folio_ref_add(folio, nr)\n    if folio_test_anon(folio):\n",
              "    if folio_test_anon(folio):\n"),),
    ),
    Mutant(
        "B12", "delayed rmap is removed of one page of a batch", "stateful.history",
        (Edit(GATHER, "            folio_remove_rmap_ptes(page_folio(page), page, nr, vma)\n",
              "            folio_remove_rmap_ptes(page_folio(page), page, 1, vma)\n"),),
    ),
    Mutant(
        "B12-late", "delayed rmap is removed after the pages were freed", "stateful.history",
        (Edit("core_mm.memory.zap", "            tlb_flush_rmaps(tlb, vma)\n            tlb_flush_mmu(tlb)\n",
              "            tlb_flush_mmu(tlb)\n            tlb_flush_rmaps(tlb, vma)\n"),),
    ),
    Mutant(
        "B13", "pages are freed before the flush", "tlb.munmap",
        (Edit(GATHER, "    tlb_flush_mmu_tlbonly(tlb)\n    if GATHER.table_batch[tlb]:\n        tlb_table_flush(tlb)\n"
              "    return tlb_batch_pages_flush(tlb)\n",
              "    tlb_batch_pages_flush(tlb)\n    if GATHER.table_batch[tlb]:\n        tlb_table_flush(tlb)\n"
              "    return tlb_flush_mmu_tlbonly(tlb)\n"),),
        arch="mmarch_x86:arch",
    ),
    Mutant(
        "H4", "set_ptes handles its first entry through the single hook and stores the rest (c13d2aa4)",
        "batch.composition",
        (Edit("arches.generic.pgtable", "        hook.set_pte(ptep + i, pte)\n",
              "        hook.set_pte(ptep + i, pte) if i == 0 else WRITE_ONCE(ptep + i, pte)\n"),),
        arch="generic",
    ),
    Mutant(
        "G-pairs", "a page and its number are torn apart when a batch is full", "gather.mixed",
        (Edit(GATHER, "    if BATCH.nr[batch] >= BATCH.max[batch] - feature.gather_pairs:\n",
              "    if BATCH.nr[batch] >= BATCH.max[batch]:\n"),),
    ),
    Mutant(
        "G-full", "the entry that fills a gather is forgotten", "gather.capacity",
        (Edit(GATHER, "    if nr == 1:\n        put_slot(batch, page << 2 | delay_rmap)\n",
              "    if nr == 1:\n        if BATCH.nr[batch] + 2 < BATCH.max[batch]:\n"
              "            put_slot(batch, page << 2 | delay_rmap)\n"),),
    ),
    Mutant(
        "G-again", "a gather that was flushed does not find its pages of slots again", "gather.capacity",
        (Edit(GATHER, "    following = BATCH.next[active]\n    if following:\n",
              "    following = BATCH.next[active]\n    if following < 0:\n"),),
    ),
    Mutant(
        "G-delayed", "nothing limits how many pages of slots have rmaps that wait for the flush", "gather.delayed",
        (Edit(GATHER, "    if GATHER.delayed_rmap[tlb] and active != GATHER.local[tlb]:\n        return 0\n", ""),),
    ),
    Mutant(
        "G-memory", "a gather that got no page goes on with slots that nobody allocated", "gather.no-memory",
        (Edit(GATHER, "batch_alloc(limit, page) if page else 0", "batch_alloc(limit, page)"),),
    ),
    Mutant(
        "G-nested", "the first of two gathers flushes only what it recorded", "gather.nested",
        (Edit(GATHER, "    if MM.tlb_flush_pending[mm] > 1:\n", "    if MM.tlb_flush_pending[mm] > 9:\n"),),
    ),
)  # fmt: skip
