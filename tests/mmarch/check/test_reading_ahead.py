"""The second account of readahead says of itself what the kernel documents, and the check what core-mm has wrong."""

from __future__ import annotations

import pytest

from mmarch.check.reading_ahead import READ, WRITE, Area, ReadingAhead
from mmarch.check.tiers.readahead import readahead
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

WRONG = {
    "cached": Edit("core_mm.readahead", "ra_pages() // 2)", "ra_pages() // 4)"),
    "known of readahead": Edit(
        "core_mm.readahead", "INODE.mmap_miss[inode] += 1", "INODE.mmap_miss[inode] += 2"
    ),
    "mapped": Edit("core_mm.filemap", "folio_nr_pages(folio), last + 1)", "folio_nr_pages(folio), last)"),
}


def file(large: bool = False) -> ReadingAhead:
    """Of 200 pages, on a kernel without later features."""
    return ReadingAhead(200, 4096, large, -1, lambda feature: 0)


def test_a_miss_reads_around_itself() -> None:
    """128 KiB around the page, the last quarter of which begins with the mark (do_sync_mmap_readahead)."""
    account, area = file(), Area(0, 200, 0)
    account.touch(area, 100, WRITE)
    assert sorted(account.cache) == list(range(84, 116))
    assert [page for page, folio in account.cache.items() if folio.marked] == [108]
    assert account.mapped == {100}


def test_a_mark_brings_the_next_window() -> None:
    """Which begins where the last one ends, and is marked at its first page (page_cache_async_ra)."""
    account, area = file(), Area(0, 200, 0)
    account.touch(area, 100, WRITE)
    account.touch(area, 108, READ)
    assert sorted(account.cache) == list(range(84, 148))
    assert [page for page, folio in account.cache.items() if folio.marked] == [116]
    assert account.mapped == {*range(96, 112)}  # 64 KiB around, as far as the first window goes


def test_folios_grow_by_two_orders() -> None:
    """The first window has folios of four pages, the next of sixteen (page_cache_ra_order before 6.17)."""
    account, area = file(large=True), Area(0, 200, 0)
    account.touch(area, 32, READ)
    account.touch(area, 40, READ)
    assert account.cache[32].pages == 4
    assert account.cache[48].pages == 16


@pytest.mark.parametrize(("says", "edit"), WRONG.items(), ids=WRONG)
def test_what_is_wrong(says: str, edit: Edit) -> None:
    """A window, a count, a range that is one off: the page is named."""
    assert f"is {says} as" in told(readahead, edit, release="6.12", share=0.04)
