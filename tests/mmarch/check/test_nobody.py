"""Row 0 of a table is nobody's: a check notices who uses it."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.counting import nobody_is_asked
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

FORGOTTEN = {
    "anon_vma_compatible reads VMA": Edit("core_mm.anon_vma", "    if after and anon_vma", "    if anon_vma"),
    "madvise_cold_page_range reads ptes": Edit(
        "core_mm.madvise_pte",
        "        if pmdp and not pmd_none(ptes[pmdp]):\n            if not pmd_leaf(ptes[pmdp]) or not cold",
        "        if not pmd_none(ptes[pmdp]):\n            if not pmd_leaf(ptes[pmdp]) or not cold",
    ),
    "filemap_remove_folio reads INODE": Edit(
        "core_mm.page_cache", "nr, inode = folio_nr_pages(folio), PAGE.mapping[folio]",
        "nr, inode = folio_nr_pages(folio), 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("says", "edit"), FORGOTTEN.items(), ids=FORGOTTEN)
def test_a_null_pointer_is_noticed(says: str, edit: Edit) -> None:
    """A condition that was forgotten, and an inode that is none: the function and the table are named."""
    assert says in told(nobody_is_asked, edit, release="7.3", share=0.05)
