"""Bugs that Linux, its reviewers and other systems had in 2025 and 2026."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

UNMAP = "core_mm.unmap"

MUTANTS = (
    Mutant(
        "F-asid", "an address space runs with the ASID of the last one (Asterinas #3920, LoongArch)", "tlb.exit",
        (Edit("core_mm.context", "    mach.next_asid += 1\n", "    mach.next_asid = mach.next_asid or 1\n"),),
        share=0.05,
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
)  # fmt: skip
