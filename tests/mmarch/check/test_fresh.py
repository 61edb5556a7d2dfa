"""What was just allocated is empty: a check notices what is left of its last life."""

from __future__ import annotations

from multiprocessing import get_context

import pytest

from mmarch.check.context import Context
from mmarch.check.loading import load_named
from mmarch.check.outcome import CheckFailed
from mmarch.check.tiers.counting import fresh_is_empty
from tests.mutants.mutant import Edit, applied

LEFT = {
    "gives VMA": Edit("core_mm.vma_tree", "    VMA.vm_flags[vma] = 0\n    VMA.vm_page", "    VMA.vm_page"),
    "gives PAGE": Edit("core_mm.page_alloc", "    PAGE.index[pfn] = 0\n", ""),
    "gives MM": Edit("core_mm.fork", "    MM.asid[mm] = 0\n", ""),
}


def told(edit: Edit) -> str:
    """What the check says of core-mm with this edit."""
    generic = load_named("generic").descriptor
    with applied((edit,)):
        try:
            return fresh_is_empty(Context(generic, generic, release="7.3", share=0.2))
        except CheckFailed as failed:
            return str(failed)


@pytest.mark.parametrize(("says", "edit"), LEFT.items(), ids=LEFT)
def test_what_is_left(says: str, edit: Edit) -> None:
    """A field that an allocator forgets: the row and the column are named."""
    with get_context("fork").Pool(1) as pool:
        assert says in pool.apply(told, (edit,))
