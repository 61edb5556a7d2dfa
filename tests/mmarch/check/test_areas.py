"""What mappings become: checks notice what calls leave undone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmarch.check.context import Context
from mmarch.check.tiers.areas import collapse, given_up, locked, owned, remap, whole_tables
from mmarch.check.tiers.counting import arguments_are_named
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

CLEARS = "clear_young_dirty_ptes(vma, addr, ptep, nr, CYDP_CLEAR_YOUNG | CYDP_CLEAR_DIRTY)"
MISTAKES = {
    "after MADV_FREE": (given_up, Edit("core_mm.madvise_pte", CLEARS, "pass")),
    "dirty": (
        given_up, Edit("core_mm.madvise_pte", CLEARS, "clear_young_dirty_ptes(vma, addr, ptep, nr, CYDP_CLEAR_YOUNG)"),
    ),
    "still has an entry": (
        locked, Edit("core_mm.mprotect", "old & (VM_WRITE | VM_SHARED | VM_LOCKED)", "old & (VM_WRITE | VM_LOCKED)"),
    ),
    "after advice 20": (
        collapse, Edit(
            "core_mm.madvise_pte", "cold_huge_pmd(tlb, vma, pmdp, addr, after, pageout):",
            "cold_huge_pmd(tlb, vma, pmdp, addr, pageout, after):",
        ),
    ),
    "moves no tables from the first on": (
        whole_tables, Edit(
            "core_mm.move_page_tables", "return 0\n    return offset", "return 0\n    return 0",
        ),
    ),
    "page 0x50108 still has an entry": (
        remap, Edit(
            "core_mm.mremap", "addr + old_len, new_len - old_len)\n    return addr\n",
            "addr + old_len, new_len)\n    return addr\n",
        ),
    ),
    "0x50200000 0 0x4000 1 0x50240000 returned EINVAL": (
        remap, Edit("core_mm.mremap", "flags[vma] & (VM_SHARED | VM_MAYSHARE)", "flags[vma] & VM_SHARED << 40"),
    ),
    "of the anon_vma of the child's mapping": (
        owned, Edit("core_mm.memory.wp", "    folio_move_anon_rmap(folio, vma)\n    return 1", "    return 1"),
    ),
    "returned 1; right is 0 or an error": (
        collapse, Edit(
            "core_mm.khugepaged", "if pmd_leaf(ptes[pmdp]):\n        return 0\n    error",
            "if pmd_leaf(ptes[pmdp]):\n        return 1\n    error",
        ),
    ),
    "going on without tlb_end_vma": (
        arguments_are_named, Edit("core_mm.madvise", "    tlb_end_vma(tlb, vma)\n    return", "    return"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("says", "case"), MISTAKES.items(), ids=MISTAKES)
def test_what_is_left_undone(says: str, case: tuple[Callable[[Context], object], Edit]) -> None:
    """Entries that stay dirty, memory that is filled too early, a huge page that is split, a gather that goes on."""
    check, edit = case
    assert says in told(check, edit, release="6.12", granule="4k", share=0.04)
