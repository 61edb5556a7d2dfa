"""madvise: what each advice does to pages, entries, VMAs and gathers."""

from __future__ import annotations

import pytest

from arches.generic import arch as generic
from core_mm import uapi
from core_mm.mm_types import EACCES, EINVAL, ENOMEM, PG_SWAPBACKED, VM_HUGEPAGE, VM_NOHUGEPAGE
from tests.support.computer import ANON, BASE, PAGE, Computer

AF, CONT, DBM, RDONLY, SW_DIRTY = 1 << 10, 1 << 52, 1 << 51, 1 << 7, 1 << 55
RELEASES = ["6.12", "7.3"]
SHARED = uapi.MAP_SHARED | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED


def frame(pte: int) -> int:
    """The frame a 4K descriptor maps."""
    return pte >> 12 & ((1 << 36) - 1)


def dirty(pte: int) -> int:
    """Dirty by software, or writable and not read-only."""
    return pte & SW_DIRTY or (pte & DBM and not pte & RDONLY)


def test_refused_advice(engine: str) -> None:
    """Unaligned starts, gaps, write faults into read-only memory, MADV_FREE of files."""
    made = Computer(engine)
    made.map(0, 4)
    made.map(4, 4, prot=1)
    made.map(10, 4, flags=SHARED)
    assert made.do(uapi.OP_MADVISE, BASE + 1, PAGE, uapi.MADV_DONTNEED) == -EINVAL
    assert made.advise(0, 0, uapi.MADV_DONTNEED) == 0
    assert made.advise(8, 1, uapi.MADV_DONTNEED) == -ENOMEM
    assert made.advise(4, 4, uapi.MADV_POPULATE_WRITE) == -EINVAL
    assert made.advise(0, 12, uapi.MADV_POPULATE_READ) == -ENOMEM
    assert made.advise(10, 4, uapi.MADV_FREE) == -EINVAL
    assert made.advise(10, 4, uapi.MADV_WIPEONFORK) == -EINVAL
    assert made.advise(0, 4, uapi.MADV_REMOVE) == -EINVAL
    assert made.protect(10, 4, 1) == 0
    assert made.advise(10, 4, uapi.MADV_REMOVE) == -EACCES
    made.protect(0, 4, 0)
    assert made.advise(0, 4, uapi.MADV_POPULATE_READ) == -EINVAL


def test_a_gap_is_an_error_but_what_follows_is_advised(engine: str) -> None:
    """madvise_walk_vmas: -ENOMEM in the end, pages on both sides are gone."""
    made = Computer(engine)
    made.map(0, 4)
    made.map(8, 4)
    made.touch(0, 4)
    made.touch(8, 4)
    assert made.advise(0, 12, uapi.MADV_DONTNEED) == -ENOMEM
    assert made.field("MM", "rss_anon", made.mm()) == 0


@pytest.mark.parametrize(("release", "gathers"), [("6.12", 3), ("7.3", 1)])
def test_dontneed_uses_one_gather_a_vma_or_one_a_call(engine: str, release: str, gathers: int) -> None:
    """One for the whole call since Linux 6.16; the flushes at the end of each VMA stay."""
    made = Computer(engine, arch=generic, release=release)
    for i in range(3):
        made.map(4 * i, 4, flags=ANON | (uapi.MAP_NORESERVE if i % 2 else 0))
    made.touch(0, 12)
    made.since("tlb_gather_mmu", "gather_flush_vma")
    assert made.advise(0, 12, uapi.MADV_DONTNEED) == 0
    assert made.since("tlb_gather_mmu", "gather_flush_vma") == [gathers, 3]


@pytest.mark.parametrize(("release", "tables"), [("6.12", 0), ("7.3", 1)])
def test_dontneed_of_a_whole_table_reclaims_it(engine: str, release: str, tables: int) -> None:
    """Page-table reclaim (Linux 6.14); of 511 pages nothing is reclaimed."""
    made = Computer(engine, release=release)
    made.map(0, 512)
    made.touch(0, 512)
    made.since("tlb_remove_table")
    made.advise(0, 511, uapi.MADV_DONTNEED)
    assert made.since("tlb_remove_table") == [0]
    made.advise(0, 512, uapi.MADV_DONTNEED)
    assert made.since("tlb_remove_table") == [tables]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("order", [0, 4])
def test_free_clears_young_and_dirty_of_whole_folios(engine: str, release: str, order: int) -> None:
    """Entries stay; the folios are no longer swap backed; blocks stay folded."""
    made = Computer(engine, order=order, release=release)
    made.map(0, 64)
    made.touch(0, 64)
    assert made.advise(0, 64, uapi.MADV_FREE) == 0
    for pte in made.ptes(0, 64):
        assert not pte & AF and not dirty(pte) and bool(pte & CONT) == (order == 4)
    assert not made.field("PAGE", "flags", frame(made.pte(0))) & PG_SWAPBACKED


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("advice", [uapi.MADV_FREE, uapi.MADV_COLD])
def test_a_folio_advised_in_part_is_split(engine: str, release: str, advice: int) -> None:
    """Only the folios that the range cuts; frames stay, and only the pages named are aged."""
    made = Computer(engine, order=4, release=release)
    made.map(0, 64)
    made.touch(0, 64)
    before = [frame(pte) for pte in made.ptes(0, 64)]
    made.since("folio_split", "unfold")
    assert made.advise(21, 16, advice) == 0
    assert made.since("folio_split", "unfold") == [2, 2]
    after = made.ptes(0, 64)
    assert [frame(pte) for pte in after] == before
    aged = [page for page, pte in enumerate(after) if not pte & AF]
    assert aged == list(range(21, 37))
    assert [bool(pte & CONT) for pte in after] == [page < 16 or page >= 48 for page in range(64)]


def test_cold_leaves_dirty_and_shared_folios_alone(engine: str) -> None:
    """MADV_COLD clears the accessed flag only, and not of folios that a child maps too."""
    made = Computer(engine)
    made.map(0, 8)
    made.touch(0, 8)
    made.advise(0, 4, uapi.MADV_COLD)
    assert all(dirty(pte) and not pte & AF for pte in made.ptes(0, 4))
    made.do(uapi.OP_FORK, 1)
    made.advise(4, 4, uapi.MADV_COLD)
    assert all(pte & AF for pte in made.ptes(4, 4))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("order", [0, 4, 9])
def test_paged_out_memory_comes_back_with_its_pages(engine: str, release: str, order: int) -> None:
    """MADV_PAGEOUT empties the range; touching it brings every page back; nothing is lost."""
    made = Computer(engine, order=order, release=release)
    made.map(0, 512)
    made.touch(0, 512)
    assert made.advise(0, 512, uapi.MADV_PAGEOUT) == 0
    assert made.field("MM", "rss_anon", made.mm()) == 0
    assert made.field("MM", "rss_swap", made.mm()) == 512
    assert made.touch(0, 512, uapi.ACCESS_READ) == 0
    assert made.field("MM", "rss_anon", made.mm()) == 512
    assert made.field("MM", "rss_swap", made.mm()) == 0
    made.do(uapi.OP_EXIT)
    assert (made.scalar("free_pages"), made.scalar("swap_used")) == (made.free_at_boot, 0)
    assert made.scalar("warned") == 0


def test_populate_faults_in_without_touching(engine: str) -> None:
    """MADV_POPULATE_READ maps the zero page, MADV_POPULATE_WRITE pages of one's own."""
    made = Computer(engine)
    made.map(0, 16)
    assert made.advise(0, 8, uapi.MADV_POPULATE_READ) == 0
    assert made.field("MM", "rss_anon", made.mm()) == 0 and all(made.ptes(0, 8))
    assert made.advise(0, 16, uapi.MADV_POPULATE_WRITE) == 0
    assert made.field("MM", "rss_anon", made.mm()) == 16
    made.since("fault")
    made.touch(0, 16)
    assert made.since("fault") == [0]


def test_advice_on_huge_pages_splits_and_merges_vmas(engine: str) -> None:
    """MADV_HUGEPAGE and MADV_NOHUGEPAGE are flags of the VMA."""
    made = Computer(engine)
    made.map(0, 30)
    made.advise(10, 10, uapi.MADV_HUGEPAGE)
    flags = [made.field("VMA", "vm_flags", row) for row in made.vma_rows()]
    assert [bool(flag & VM_HUGEPAGE) for flag in flags] == [False, True, False]
    made.advise(0, 30, uapi.MADV_NOHUGEPAGE)
    flags = [made.field("VMA", "vm_flags", row) for row in made.vma_rows()]
    assert len(flags) == 1 and flags[0] & VM_NOHUGEPAGE and not flags[0] & VM_HUGEPAGE


@pytest.mark.parametrize("release", RELEASES)
def test_collapse_makes_a_huge_page_of_what_is_there(engine: str, release: str) -> None:
    """MADV_COLLAPSE of a table with holes: one PMD leaf, all 512 pages resident, the old ones freed."""
    made = Computer(engine, release=release)
    made.map(0, 1024)
    made.touch(0, 100)
    free = made.scalar("free_pages")
    assert made.advise(0, 512, uapi.MADV_COLLAPSE) == 0
    assert made.field("MM", "rss_anon", made.mm()) == 512
    assert made.scalar("free_pages") == free + 100 - 512
    assert made.since("collapse") == [1]
    made.since("fault")
    assert made.touch(0, 512) == 0
    assert made.since("fault") == [0]
    assert made.advise(512, 512, uapi.MADV_COLLAPSE) == -EINVAL
    made.map(1536, 100)
    made.touch(1536)
    assert made.advise(1536, 100, uapi.MADV_COLLAPSE) == -EINVAL, "a VMA that holds no huge page"
    made.do(uapi.OP_EXIT)
    assert (made.scalar("free_pages"), made.scalar("warned")) == (made.free_at_boot, 0)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("order", [0, 4])
def test_removing_pages_of_shared_memory_drops_them_for_everyone(
    engine: str, release: str, order: int
) -> None:
    """MADV_REMOVE punches a hole; a large folio that it cuts is split and its other pages stay cached."""
    made = Computer(engine, order=order, release=release)
    made.map(0, 64, flags=SHARED)
    made.touch(0, 64)
    inode = made.field("VMA", "vm_file", next(made.vma_rows()))
    assert made.advise(21, 3, uapi.MADV_REMOVE) == 0
    assert made.field("INODE", "nrpages", inode) == 61
    assert made.ptes(21, 3) == [0, 0, 0]
    made.do(uapi.OP_EXIT)
    assert (made.scalar("free_pages"), made.scalar("warned")) == (made.free_at_boot, 0)
