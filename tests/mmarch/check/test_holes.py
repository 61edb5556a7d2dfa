"""What the check of holes says of a core-mm that is wrong."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.holes import holes
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

MODULE = "core_mm.truncate"
WRONG = {
    "pages, shared memory: ": Edit(MODULE, "and nr <= after", "and nr < after"),
    "of two folios of 4 pages": Edit(MODULE, "same = int(last < after)", "same = int(last <= after)"),
    "what is left of a folio in use": Edit(
        MODULE, "return 0\n        truncate_inode_folio(folio)", "return 0"
    ),
    "slots after bytes": Edit(MODULE, "0 and index + nr <= end", "0 and index + nr < end"),
    "pages that are still mapped": Edit(
        MODULE, "unmap_mapping_pages(inode, PAGE.index[folio], nr, 0)", "pass"
    ),
    "filemap_get_page(1, ": Edit(
        "core_mm.page_cache",
        "index >= INODE.pages[inode]:\n        return 0\n    return max(i_pages",
        "index > INODE.pages[inode]:\n        return 0\n    return max(i_pages",
    ),
}


@pytest.mark.parametrize(("says", "edit"), WRONG.items(), ids=WRONG)
def test_what_is_wrong(says: str, edit: Edit) -> None:
    """What differs is named."""
    assert says in told(holes, edit, share=0.04)
