"""Features that change only how something is done: a mistake in one of the two ways is noticed, and named."""

from __future__ import annotations

import pytest

from arches.arm64.features import arch_feature
from core_mm.features import feature
from mmarch.check.context import QUICK, Context
from mmarch.check.loading import load_named
from mmarch.check.observation import ASPECTS
from mmarch.check.only_how import CHANGES, MENDED, OF_BLOCKS, ONLY_HOW
from mmarch.check.tiers.alternatives import added, features_alike, pair, rivals
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

WRONG = {
    "generic feature fork_batch": Edit("core_mm.memory.copy", "MM_ANONPAGES, nr)", "MM_ANONPAGES, 1)"),
    "generic feature mprotect_batch": Edit(
        "core_mm.mprotect", "PageAnonExclusive(page + done + run) ==", "PageAnonExclusive(page + done) =="
    ),
    "arm64 feature tlb_reserve_space": Edit(
        "core_mm.memory.zap", "folio_remove_rmap_ptes(folio, page + i, 1, vma)",
        "folio_remove_rmap_ptes(folio, page, 1, vma)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("named", "edit"), WRONG.items(), ids=WRONG)
def test_a_mistake_in_a_batch(named: str, edit: Edit) -> None:
    """A count, a condition and a call that are wrong for more than one entry: the feature is named."""
    arch, _, says = named.partition(" ")
    assert says in told(
        features_alike, edit, arch, release="7.3", share=QUICK, name="differential.features"
    )


def test_every_feature_says_what_it_promises() -> None:
    """Each is compared or says what it changes, and none does both; what may differ is something that is compared."""
    assert sorted([*ONLY_HOW, *CHANGES]) == sorted([*feature.table, *arch_feature.table])
    assert set(MENDED) <= set(CHANGES)
    assert {*OF_BLOCKS, *(aspect for promise in ONLY_HOW.values() for aspect in promise)} <= set(ASPECTS)


def test_features_that_exclude_each_other() -> None:
    """The first one stays; both kernels do without what excludes it, and have what another one requires."""
    known = feature.table
    assert added(known, ["tlb_reserve_space", "zap_batch"]) == {"tlb_reserve_space"}
    assert "gather_pairs" in rivals(known, "tlb_reserve_space")
    generic = load_named("generic").descriptor
    both = pair(Context(generic, generic, release="6.12"), ["tlb_reserve_space"])
    assert both.changed.with_ == {"tlb_reserve_space"} and not both.plain.with_
    assert both.changed.without == both.plain.without == {"zap_batch", "gather_pairs"}
    both = pair(Context(generic, generic, release="6.12"), ["file_unmap_batch"])
    assert both.changed.with_ - both.plain.with_ == {"file_unmap_batch"}
    assert "lazyfree_unmap_batch" in both.plain.with_  # it changes more than how
