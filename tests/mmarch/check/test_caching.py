"""The second account of cached files says of itself what the kernel documents, and the check what core-mm has wrong."""

from __future__ import annotations

import pytest

from mmarch.check.caching import DISK, TMPFS, Caching, halved
from mmarch.check.reading_ahead import WRITE, Area, Folio
from mmarch.check.tiers.caching import caching
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

PAGE = 4096
WRONG = {
    "cached": Edit("core_mm.file_ops", "order = min(ilog2(pages), cfg.pmd_order)", "order = 1"),
    "long": Edit("core_mm.fallocate", "if not mode & FALLOC_FL_KEEP_SIZE", "if mode & FALLOC_FL_KEEP_SIZE"),
    "mapped": Edit("core_mm.page_writeback", "if folio_mkclean(folio):", "if 0:"),
}


def file(kind: str, *features: str) -> Caching:
    """Of a hundred pages, on a kernel with these features."""
    large = "ext4_large_folios" in features
    return Caching(
        100, PAGE, large, -1, features.count, memory=kind == TMPFS, kind=kind, bytes=100 * PAGE, room=200
    )


def sizes(account: Caching) -> list[int]:
    """Of its folios, in order."""
    return [folio.pages for page, folio in sorted(account.cache.items()) if folio.first == page]


def test_a_split_leaves_halves() -> None:
    """Of 16 pages around the sixth: 4, 1, 1, 2 and 8 (mm/huge_memory.c:__split_unmapped_folio)."""
    assert [part.pages for part in halved(Folio(0, 16), 5)] == [4, 1, 1, 2, 8]


def test_a_write_makes_aligned_folios() -> None:
    """A write of 22 pages from page 2 on: no folio larger than what is left, each where its size divides."""
    account = file(DISK, "ext4_large_folios")
    account.write(2 * PAGE, 22 * PAGE, 0)
    assert sizes(account) == [2, 4, 8, 8]
    assert all(folio.dirty for folio in account.cache.values())


def test_a_hole_takes_whole_pages() -> None:
    """What it covers in part stays (fallocate(2)); a dirty folio on a disk stays whole, clean ones are split."""
    account = file(DISK, "ext4_large_folios", "split_nonuniform")
    account.write(0, 16 * PAGE, 0)
    account.punch(4 * PAGE + 1, 2 * PAGE)
    assert sizes(account) == [16]
    account.sync(0, 16)
    account.punch(4 * PAGE + 1, 2 * PAGE)
    assert 5 not in account.cache and sizes(account) == [4, 1, 1, 1, 8]


def test_write_back_protects() -> None:
    """After msync(2) the next write is noticed again (mm/rmap.c:folio_mkclean)."""
    account, area = file(DISK), Area(0, 100, 0)
    account.touch(area, 3, WRITE)
    assert account.writable == {3}
    account.sync(0, 100)
    assert not account.writable and account.mapped == {3}


def test_memory_has_no_disk() -> None:
    """Neither sync(2) nor drop_caches takes a page of tmpfs."""
    account = file(TMPFS)
    account.allocate(0, 3 * PAGE, False)
    account.drop()
    assert sorted(account.cache) == [0, 1, 2]
    assert all(folio.dirty and not folio.valid for folio in account.cache.values())


@pytest.mark.parametrize(("says", "edit"), WRONG.items(), ids=WRONG)
def test_what_is_wrong(says: str, edit: Edit) -> None:
    """A folio of another size, a size that stays, an entry that still lets a clean page be written."""
    assert f"is {says} as" in told(caching, edit, release="7.3", share=0.04)
