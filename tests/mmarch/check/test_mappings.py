"""How mappings are divided: a check notices rules that core-mm applies wrongly."""

from __future__ import annotations

import pytest

from mmarch.check.mappings import Mapping, Mappings
from mmarch.check.tiers.mappings import divided
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

MISTAKES = {
    "has a huge page, of which not all is in one mapping": Edit(
        "core_mm.vma", "    vma_adjust_trans_huge(vma, VMA.vm_start[vma], addr)\n", "    pass\n"
    ),
    "returned ENOMEM; right is": Edit(
        "core_mm.vma_merge",
        "vma_merge_new_range(\n    prev: int, after: int,",
        "vma_merge_new_range(\n    after: int, prev: int,",
    ),
    "right is [": Edit("core_mm.mmap", "vma_merge_new_range(prev, 0, addr", "vma_merge_new_range(0, prev, addr"),
    "logs mapping": Edit(
        "core_mm.mmap", "        log_vma(vma, VMA.vm_end[vma])\n    rmap", "        pass\n    rmap"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("says", "edit"), MISTAKES.items(), ids=MISTAKES)
def test_a_wrong_rule(says: str, edit: Edit) -> None:
    """A huge page that a border cuts, a mapping that cannot grow, one that stays two, one that the log has not."""
    assert says in told(divided, edit, release="7.3", granule="4k", share=0.04)


@pytest.mark.parametrize("faulted", [False, True])
def test_who_takes_over_whom(faulted: bool) -> None:
    """Since Linux 6.16 what has no page yet takes over what has one; what a fork shares stays by itself always."""
    mappings = Mappings(faulted)
    mappings.add(Mapping(0, 2, 1, 0, 0))
    written = Mapping(2, 4, 3, 0, 2, 7, frozenset((7,)))
    mappings.all.append(written)
    mappings.change(written, 2, 4, 1)
    assert len(mappings.all) == (1 if faulted else 2)
    assert mappings.all[-1].anon == 7
    inherited = Mapping(4, 6, 1, 0, 4, 8, frozenset((7, 8)))
    mappings.all.append(inherited)
    assert mappings.add(Mapping(6, 8, 1, 0, 6)).start == 6
