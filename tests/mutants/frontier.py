"""Bugs that Linux, its reviewers and other systems had in 2025 and 2026."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

UNMAP = "core_mm.unmap"
ALLOCATIONS, INTERRUPTED = "stateful.allocations", "tlb.interrupted"
# Of the cases of a full run: one number for all, so that one run without a bug serves them.
RANDOM = 0.6  # as F-zap-pmd needs it
PROGRAMS = 2.5  # the 38th leads to F-lost-move

MUTANTS = (
    Mutant(
        "F-asid", "an address space runs with the ASID of the last one (Asterinas #3920, LoongArch)", "tlb.exit",
        (Edit("core_mm.context", "    mach.next_asid += 1\n", "    mach.next_asid = mach.next_asid or 1\n"),),
    ),
    Mutant(
        "F-stale-nr", "reclaim drops references for as many pages as an earlier batch had (CVE-2026-63950)",
        "stateful.history",
        (Edit(UNMAP, "    folio_put_refs(folio, nr)\n    return nr\n",
              "    folio_put_refs(folio, folio_nr_pages(folio))\n    return nr\n"),),
        release="7.3",
    ),
    Mutant(
        "F-dirty-zap", "dirty of an entry is not handed to the folio when it is unmapped", "stateful.history",
        (Edit(UNMAP, "    if pte_dirty(pte):\n        folio_set_dirty(folio)\n", ""),),
    ),
    Mutant(
        "F-dirty-batch", "of a batch of file pages that are unmapped the folio does not hear that it is dirty",
        "tlb.random",
        (Edit("core_mm.memory.zap",
              "            folio_mark_dirty(folio)\n            if tlb_delay_rmap(tlb):\n"
              "                delay_rmap = 1\n",
              "            if nr == 1:\n                folio_mark_dirty(folio)\n"
              "            if tlb_delay_rmap(tlb):\n                delay_rmap = 1\n"),),
        release="7.3", share=RANDOM,
    ),
    Mutant(
        "F-pt-reclaim", "MADV_DONTNEED of part of a table frees the table (6375e95f381e)", "tlb.random",
        (Edit("core_mm.memory.zap", " and details & ZAP_RECLAIM_PT and end - start == cfg.pmd_size:",
              " and details & ZAP_RECLAIM_PT:"),),
        release="7.3", share=RANDOM,
    ),
    Mutant(
        "F-zap-pmd", "what the leaf of a huge page knows of dirt goes with it when it is zapped (ff53afcd82de)",
        "tlb.random",
        (Edit("core_mm.huge_memory",
              "    if feature.zap_pmd_dirty and pte_dirty(pte):\n        folio_mark_dirty(folio)\n", ""),),
        release="7.3", granule="4k", share=RANDOM,
    ),
    Mutant(
        "F-drop-pmd", "or when it is split", "tlb.random",
        (Edit("core_mm.huge_memory", "    if pte_dirty(pmd):\n        PAGE.flags[folio] |= PG_DIRTY\n    if pte_young",
              "    if pte_young"),),
        release="7.3", granule="4k", share=RANDOM,
    ),
    Mutant(
        "F-collapse", "a huge page that is made of read-only memory is writable", "tlb.random",
        (Edit("core_mm.memory.entry", "VMA.vm_flags[vma] & VM_WRITE", "1"),), release="7.3", granule="4k", share=RANDOM,
    ),
    Mutant(
        "F-writenotify", "mprotect lets clean shared pages be written to, of which a file system wants to hear",
        "tlb.random",
        (Edit("core_mm.mprotect", "            if pte_dirty(new):\n                new = pte_mkwrite(new)\n",
              "            new = pte_mkwrite(new)\n"),),
        release="7.3", share=RANDOM,
    ),
    Mutant(
        "F-present", "reclaim asks which page an entry maps before it asks whether there is one", "stateful.history",
        (Edit("core_mm.unmap", "            if pte_present(pte) and page_in_folio(", "            if page_in_folio("),),
        release="7.3", share=0.05,
    ),
    Mutant(
        "F-full", "exit does not say that the whole address space goes, and flushes entry by entry (s390)",
        "stateful.history",
        (Edit("core_mm.memory.zap", "    mm, full = VMA.vm_mm[vma], GATHER.fullmm[tlb]\n",
              "    mm, full = VMA.vm_mm[vma], 0\n"),),
        arch="generic", share=0.05,
    ),
    Mutant(
        "F-full-early", "munmap says so, and entries are cleared although others still use them", "stateful.history",
        (Edit("core_mm.memory.zap", "    mm, full = VMA.vm_mm[vma], GATHER.fullmm[tlb]\n",
              "    mm, full = VMA.vm_mm[vma], 1\n"),),
        arch="generic", share=0.05,
    ),
    Mutant(
        "F-leak-cow", "a write fault whose file has no page to copy leaks the page for the copy", ALLOCATIONS,
        (Edit("core_mm.memory.file_fault", "        return put_page(copy, ret)\n", "        return ret\n"),),
        share=PROGRAMS,
    ),
    Mutant(
        "F-leak-huge", "a huge page for which there is no table is leaked", ALLOCATIONS,
        (Edit("core_mm.memory.huge_fault", "    if not slot:\n        folio_put(folio)\n", "    if not slot:\n"),),
        share=PROGRAMS,
    ),
    Mutant(
        "F-leak-chain", "an anon_vma that could be attached to only part of a VMA's chain stays attached", ALLOCATIONS,
        (Edit("core_mm.anon_vma", "            VMA.anon_vma[dst] = 0\n            unlink_anon_vmas(dst)\n",
              "            VMA.anon_vma[dst] = 0\n"),),
        share=PROGRAMS,
    ),
    Mutant(
        "F-leak-fork", "a fork that fails leaves the address space that it began", ALLOCATIONS,
        (Edit("core_mm.fork", "    if dup_mmap(mm, oldmm):\n        mmput(mm)\n", "    if dup_mmap(mm, oldmm):\n"),),
        share=PROGRAMS,
    ),
    Mutant(
        "F-lost-move", "entries that were moved before memory ran out are not moved back", ALLOCATIONS,
        (Edit("core_mm.mremap", "        move_page_tables(new, new_addr, vma, addr, old_len)\n", ""),),
        share=PROGRAMS,
    ),
    Mutant(
        "F-table-order", "a table that could not be allocated is hung into the tree", ALLOCATIONS,
        (Edit("core_mm.pgtable", "    slot = pte_alloc_one(mm)\n    if slot == 0:\n        return -ENOMEM\n",
              "    slot = pte_alloc_one(mm)\n"),),
        share=PROGRAMS,
    ),
    Mutant(
        "F-pending-zap", "zap takes entries that another CPU's reclaim has cleared for flushed (3ea277194daa)",
        INTERRUPTED,
        (Edit("core_mm.memory.zap", "        arch_flush_tlb_batched_pending(mm)\n", ""),), share=0.05,
    ),
    Mutant(
        "F-pending-mprotect", "so does mprotect", INTERRUPTED,
        (Edit("core_mm.mprotect", "    flush_tlb_batched_pending(VMA.vm_mm[vma])\n", ""),), share=0.05,
    ),
    Mutant(
        "F-pending-mremap", "so does mremap", INTERRUPTED,
        (Edit("core_mm.move_page_tables", "    flush_tlb_batched_pending(VMA.vm_mm[vma])\n", ""),),
        release="7.3", share=0.05,
    ),
    Mutant(
        "F-pending-free", "so does MADV_FREE", INTERRUPTED,
        (Edit("core_mm.madvise_pte", "    ptep = pte_offset_map(pmdp, addr)\n    flush_tlb_batched_pending(mm)\n",
              "    ptep = pte_offset_map(pmdp, addr)\n"),), share=0.05,
    ),
    Mutant(
        "F-pending-cold", "so does MADV_COLD", INTERRUPTED,
        (Edit("core_mm.madvise_pte", "    flush_tlb_batched_pending(VMA.vm_mm[vma])\n", ""),), share=0.05,
    ),
)  # fmt: skip
