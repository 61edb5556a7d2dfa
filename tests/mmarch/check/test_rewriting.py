"""What the second account of entries that calls rewrite says of a core-mm with a mistake."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.rewriting import rewriting
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

PROTECT, MOVE, COPY = "core_mm.mprotect", "core_mm.move_page_tables", "core_mm.memory.copy"
WRONG = {
    "mprotect leaves the entry": Edit(PROTECT, "PageAnonExclusive(page + done + run) == exclusive", "run < 3"),
    "mprotect changes": Edit(PROTECT, "tlb_flush_pte_range(tlb, addr, nr << cfg.page_shift)", "pass"),
    "mprotect takes": Edit(PROTECT, "ptep, pte, limit, RESPECT)", "ptep, pte, limit, 1)"),
    "populates": Edit(PROTECT, "(VM_WRITE | VM_SHARED | VM_LOCKED) ==", "(VM_WRITE | VM_LOCKED) =="),
    "fork leaves": Edit(COPY, "        wrprotect_ptes(VMA.vm_mm[src_vma], addr, src_ptep, nr)\n", ""),
    "fork, to the child,": Edit(COPY, "pte_mkold(pte), nr)", "pte, nr)"),
    "fork takes": Edit(COPY, "        flags |= FPB_RESPECT_DIRTY\n", "        pass\n"),
    "where they were": Edit(MOVE, "    store(old_pmdp, 0)\n", ""),
    "does not flush": Edit(MOVE, "flush_tlb_range(vma, old_addr, old_addr + cfg.pmd_size)", "0"),
    "mremap takes": Edit(MOVE, "batch_hint(ptep, pte) == 1", "batch_hint(ptep, pte)"),
    "reclaim clears": Edit("core_mm.unmap", "end = address + (nr << cfg.page_shift)", "end = address + cfg.page_size"),
    "reclaim takes": Edit("core_mm.unmap", "limit = (end - address) >> cfg.page_shift", "limit = 2"),
}  # fmt: skip


@pytest.mark.parametrize("says", WRONG)
def test_an_entry_that_is_wrong_is_told(says: str) -> None:
    """Each mistake fails the check, which says what becomes of entries, or how many were taken."""
    assert says in told(rewriting, WRONG[says], "arm64", release="7.3", share=0.04)
