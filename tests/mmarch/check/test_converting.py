"""What stateful.converting says of a core-mm that converts the entries of huge pages with a mistake."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.converting import converting
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

HUGE, MIGRATE = "core_mm.huge_memory", "core_mm.migrate"
WRONG = {
    "a leaf is frozen": Edit(HUGE, "exclusive, pte_young(pmd), dirty)", "exclusive, dirty, pte_young(pmd))"),
    "a leaf is split": Edit(HUGE, "    if pte_dirty(pmd):\n        entry = pte_mkdirty(entry)\n", ""),
    "after a migration": Edit(MIGRATE, "if not entry & YOUNG:", "if entry & YOUNG:"),
    "counted after a folio is split": Edit(MIGRATE, "MM_ANONPAGES, -1)", "MM_ANONPAGES, 1)"),
    "a collapse": Edit("core_mm.khugepaged", "maybe_mkwrite(pte_mkdirty(", "maybe_mkwrite(("),
    "a part of a leaf": Edit("core_mm.mprotect", "if end - addr == cfg.pmd_size:", "if end + addr >= cfg.pmd_size:"),
    "mprotect of a leaf": Edit(HUGE, "page != mach.huge_zero_page and", "page == mach.huge_zero_page and"),
    "clear_refs": Edit("core_mm.task_mmu", "        pmdp_test_and_clear_young(vma, addr, pmdp)\n", ""),
    "what is flushed": Edit(HUGE, "tlb_flush_pmd_range(tlb, addr, cfg.pmd_size)", "tlb_flush_pmd_range(tlb, addr, 1)"),
}  # fmt: skip


@pytest.mark.parametrize("says", WRONG)
def test_a_mistake_in_a_conversion_is_told(says: str) -> None:
    """Each mistake fails the check, which names what was done to the huge page."""
    assert says in told(converting, WRONG[says], release="7.3", share=0.04)
