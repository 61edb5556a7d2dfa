"""Checks that bring about by hand what no program does: each notices core-mm that is wrong just there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmarch.check.context import Context
from mmarch.check.tiers.paths import paths
from mmarch.check.tiers.raced import raced
from mmarch.check.tiers.refused import refused
from mmarch.check.tiers.warned import warned
from mmarch.check.tiers.writing import write_orders
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

WRONG: dict[str, tuple[Callable[[Context], str], str, Edit]] = {
    "update_mmu_tlb_range is called 0 times": (
        raced, "7.3", Edit("core_mm.memory.wp", "            update_mmu_tlb_range(vma, address, ptep, 1)\n", ""),
    ),
    "refcount: ": (
        raced, "7.3",
        Edit("core_mm.memory.fault", "return folio_put(folio)\n    count(FAULT_ANON", "return 0\n    count(FAULT_ANON"),
    ),
    "is not put back": (
        refused, "7.3",
        Edit("core_mm.unmap", "arch_unmap_one(mm, vma, address, pte) < 0", "arch_unmap_one(mm, vma, address, pte) > 0"),
    ),
    "core-mm warns 0 times": (
        warned, "7.3", Edit("core_mm.folio", "        WARN(W_MAPCOUNT, folio)\n", "        pass\n"),
    ),
    "is counted in row": (paths, "7.3", Edit("core_mm.calls", "mach.next_call = row + 1", "mach.next_call = row + 2")),
    "a write of 5 pages from page 0 on": (
        write_orders, "6.17", Edit("core_mm.shmem", "    return (2 << order) - 1", "    return (1 << order) - 1"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("says", "case"), WRONG.items(), ids=WRONG)
def test_what_is_brought_about_by_hand_is_judged(
    says: str, case: tuple[Callable[[Context], str], str, Edit]
) -> None:
    """A lost race, a refusal, a mistake, a path of calls or a large write that core-mm gets wrong."""
    check, release, edit = case
    assert says in told(check, edit, "arm64", release=release, share=0.001)
