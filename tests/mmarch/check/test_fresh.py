"""What was just allocated is empty: a check notices what is left of its last life."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.counting import fresh_is_empty
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

LEFT = {
    "gives VMA": Edit("core_mm.vma_tree", "    VMA.vm_flags[vma] = 0\n    VMA.vm_page", "    VMA.vm_page"),
    "gives PAGE": Edit("core_mm.page_alloc", "    PAGE.index[pfn] = 0\n", ""),
    "gives MM": Edit("core_mm.fork", "    MM.asid[mm] = 0\n", ""),
}


@pytest.mark.parametrize(("says", "edit"), LEFT.items(), ids=LEFT)
def test_what_is_left(says: str, edit: Edit) -> None:
    """A field that an allocator forgets: the row and the column are named."""
    assert says in told(fresh_is_empty, edit, release="7.3", share=0.2)
