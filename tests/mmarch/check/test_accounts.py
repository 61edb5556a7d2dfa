"""What second accounts of batches, reclaim and the series of December 2023 say of a core-mm with a mistake."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.accounts import accounts
from mmarch.check.tiers.reserved import reserved
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

ZAP = "core_mm.memory.zap"
WRONG = {
    "asks for folios of orders": Edit(
        "core_mm.memory.fault", "pte_range_none(ptep, 1 << order)", "pte_range_none(ptep, 2 << order)"
    ),
    "a batch of swap entries": Edit(ZAP, "swap_pte_batch(ptep, limit, pte)", "swap_pte_batch(ptep, pte, limit)"),
    "a zap does": Edit(ZAP, "delay_rmap, state = 0, 0\n    if folio", "delay_rmap, state = 0, 1\n    if folio"),
    "does not map": Edit("core_mm.memory.swap_fault", "if nr == 1 or start < low", "if nr or start < low"),
    "are removed before it": Edit(ZAP, "            tlb_flush_mmu_tlbonly(tlb)\n", ""),
    "to be on a list": Edit("core_mm.lru", "mach.lru_emptied) % FOLIO_BATCH_SIZE", "mach.lru_emptied) % 7"),
    "memory is unmapped": Edit("core_mm.lru", "return 0 if feature.unmap_keeps_lru_batches else", "return 0 and"),
    "is not freed": Edit(
        "core_mm.reclaim", "if folio_ref_count(folio) != 1 + nr:\n            return keep(folio)\n        filemap",
        "if folio_ref_count(folio) != 1 - nr:\n            return keep(folio)\n        filemap",
    ),
    "which was found first": Edit("core_mm.reclaim", "for i in range(nr // 2):", "for i in range(0):"),
    "young": Edit("core_mm.vmscan", "        ptep_test_and_clear_young(vma, addr, ptep)\n", ""),
    "say nothing": Edit("core_mm.vmscan", "cfg.swap_slots == 0 or mach.swap_off != 0", "mach.swap_off != 0"),
    "aging looks for": Edit("core_mm.vmscan", "(end - addr) >> cfg.page_shift", "(end - addr) << cfg.page_shift"),
    "aging walks": Edit("core_mm.vmscan", "gentle and arch_has_hw_nonleaf_pmd_young()", "gentle"),
    "leaves the leaf": Edit(
        "core_mm.vmscan", "(pmd_pte(ptes[pmdp])):\n                pmdp_test_and_clear_young(vma, addr, pmdp)",
        "(pmd_pte(ptes[pmdp])):\n                pass",
    ),
    "leaves out the table": Edit("core_mm.vmscan", "if not by_table or pmdp == cleared:", "if by_table:"),
    "not of one table": Edit(
        "core_mm.vmscan", "                    walk_pte_range(vma, pmdp, addr, after)\n                elif",
        "                    walk_pte_range(vma, pmdp, addr, end + 1)\n                elif",
    ),
}  # fmt: skip
SERIES = {
    "right is": Edit(ZAP, "nr = max(space, 1)", "nr = max(space, 2)"),
    "arch_check_zapped_pte": Edit(
        ZAP, "GATHER.fullmm[tlb])\n    arch_check_zapped_pte(vma, pte)\n    delay", "GATHER.fullmm[tlb])\n    delay"
    ),
    "slots": Edit(ZAP, "tlb_remove_folio_pages(tlb, page + i, 1", "tlb_remove_folio_pages(tlb, page, 1"),
    "counts": Edit(ZAP, "count(GATHER_LEAK, nr - i - 1)", "count(GATHER_LEAK, nr - i)"),
}  # fmt: skip


@pytest.mark.parametrize("says", WRONG)
def test_a_choice_that_is_wrong_is_told(says: str) -> None:
    """Each mistake fails the check, which names what should have been; there is none in core-mm as it is."""
    assert says in told(accounts, WRONG[says], "arm64", share=0.04)


@pytest.mark.parametrize("says", SERIES)
def test_a_series_that_is_wrong_is_told(says: str) -> None:
    """The same of the third and fourth version of the series of December 2023."""
    assert says in told(reserved, SERIES[says])
