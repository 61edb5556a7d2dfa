"""Row 0 of a table is nobody's: a check notices who uses it."""

from __future__ import annotations

from multiprocessing import get_context

import pytest

from mmarch.check.context import Context
from mmarch.check.loading import load_named
from mmarch.check.outcome import CheckFailed
from mmarch.check.tiers.counting import nobody_is_asked
from tests.mutants.mutant import Edit, applied

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


def told(edit: Edit) -> str:
    """What the check says of core-mm with this edit."""
    generic = load_named("generic").descriptor
    with applied((edit,)):
        try:
            return nobody_is_asked(Context(generic, generic, release="7.3", share=0.05))
        except CheckFailed as failed:
            return str(failed)


@pytest.mark.parametrize(("says", "edit"), FORGOTTEN.items(), ids=FORGOTTEN)
def test_a_null_pointer_is_noticed(says: str, edit: Edit) -> None:
    """A condition that was forgotten, and an inode that is none: the function and the table are named."""
    with get_context("fork").Pool(1) as pool:
        assert says in pool.apply(told, (edit,))
