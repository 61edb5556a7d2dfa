"""What stateful.advising says of a core-mm that makes something else of ranges of pages."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.advising import advising
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

ADVICE, GUP = "core_mm.madvise_pte", "core_mm.gup"
WRONG = {
    "'dirty': True": Edit(ADVICE, "        folio_clear_flag(folio, PG_DIRTY)\n", ""),
    "are not flushed": Edit(ADVICE, "        tlb_remove_tlb_entries(tlb, ptep, nr, addr)\n    return", "    return"),
    "'referenced': True": Edit(ADVICE, "PG_SWAPBACKED | PG_REFERENCED)", "PG_SWAPBACKED)"),
    "kind='swap'": Edit(ADVICE, "if not pte_none(pte) and not pte_present(pte):", "if nr == 0:"),
    "still wait for their lists": Edit(GUP, "    lru_add_drain()\n", ""),
    "young=False": Edit("core_mm.memory.copy", "pte_mkold(pte), nr)", "pte, nr)"),
}  # fmt: skip


@pytest.mark.parametrize("says", WRONG)
def test_a_mistake_in_a_range_is_told(says: str) -> None:
    """Each mistake fails the check, which names what is left of a page, its folio or its translation."""
    assert says in told(advising, WRONG[says], release="7.3", share=1.0)
