"""mremap: growing, shrinking, moving, and how page tables move."""

from __future__ import annotations

import random

import pytest

from core_mm import uapi
from core_mm.mm_types import EFAULT, EINVAL, ENOMEM
from tests.support.computer import Computer

FRAME = ((1 << 48) - 1) & ~0xFFF
RELEASES = ["6.12", "7.3"]


def frames(made: Computer, page: int, pages: int) -> list[int]:
    """Addresses of the frames that a range maps."""
    return [pte & FRAME for pte in made.ptes(page, pages)]


def test_arguments_that_linux_refuses(engine: str) -> None:
    """Overlap, a fixed move without MAYMOVE, a range beyond the VMA, nothing mapped."""
    made = Computer(engine)
    made.map(0, 16)
    assert made.move(0, 8, 4) == -EINVAL
    assert made.move(0, 8, 100, flags=uapi.MREMAP_FIXED) == -EINVAL
    assert made.move(200, 8, 100) == -EFAULT
    assert made.move(8, 16, 100, 20) == -EFAULT
    assert made.move(0, 8, 100, 4, flags=uapi.MREMAP_DONTUNMAP | uapi.MREMAP_MAYMOVE) == -EINVAL
    assert made.vmas() == [(0, 16, 3)]


@pytest.mark.parametrize(("release", "merged"), [("6.12", False), ("7.3", True)])
def test_growing_in_place_and_shrinking(engine: str, release: str, merged: bool) -> None:
    """In place where the addresses are free, -ENOMEM where they are not and it may not move.

    Growing up to a VMA that was never touched merges with it since Linux 6.16.
    """
    made = Computer(engine, release=release)
    made.map(0, 8)
    assert made.move(0, 8, 0, 16, flags=0) == 0
    made.map(20, 4)
    assert made.move(0, 16, 0, 24, flags=0) == -ENOMEM
    made.touch(0, 16)
    assert made.move(0, 16, 0, 4, flags=0) == 0
    assert made.vmas() == [(0, 4, 3), (20, 24, 3)]
    assert made.field("MM", "rss_anon", made.mm()) == 4
    assert made.move(0, 4, 0, 20, flags=0) == 0
    assert made.vmas() == ([(0, 24, 3)] if merged else [(0, 20, 3), (20, 24, 3)])


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("order", [0, 2, 4])
@pytest.mark.parametrize(
    ("page", "pages", "to"), [(0, 512, 1024), (3, 256, 1027), (3, 256, 1031), (500, 100, 2000)]
)
def test_moved_pages_are_the_same_frames(
    engine: str, release: str, order: int, page: int, pages: int, to: int
) -> None:
    """Content moves with the entries: the frames, in order; the source is empty and unmapped."""
    made = Computer(engine, order=order, release=release)
    made.map(0, 1024)
    made.touch(0, 1024)
    expected = frames(made, page, pages)
    assert made.move(page, pages, to) == 0
    assert frames(made, to, pages) == expected
    assert frames(made, page, pages) == [0] * pages
    made.since("fault")
    assert made.touch(to, pages) == 0
    assert made.since("fault") == [0]
    assert made.field("MM", "rss_anon", made.mm()) == 1024


@pytest.mark.parametrize("release", RELEASES)
def test_a_whole_table_moves_by_its_pointer(engine: str, release: str) -> None:
    """A PMD-sized, PMD-aligned extent costs no PTE access (move_normal_pmd); pages around it move singly."""
    made = Computer(engine, release=release)
    made.map(0, 1024)
    made.touch(0, 1024)
    made.since("pte_read", "pte_write")
    assert made.move(0, 512, 4096) == 0
    assert made.since("pte_read", "pte_write") == [0, 0]


@pytest.mark.parametrize(
    ("release", "reads", "writes", "folds", "unfolds"),
    [("6.12", 3072, 3072, 32, 32), ("7.3", 608, 1024, 0, 0)],
)
def test_contiguous_blocks_move_one_by_one_or_whole(
    engine: str, release: str, reads: int, writes: int, folds: int, unfolds: int
) -> None:
    """512 pages of order 4 across two tables: 6.12 unfolds and folds every block, 7.3 moves it whole.

    Reads of a block on 6.12: 17+1 for slot 0, 2 each for the others, 16 of what is at the destination and 16 to
    decide on folding; writes: 32 to unfold, 16 to clear, 16 to set, 32 to fold. 7.3: 3 reads gather accessed and
    dirty, 16 writes clear, 16 set. On both, the unmapping of the source then reads 16 empty entries.
    """
    made = Computer(engine, order=4, release=release)
    made.map(0, 1024)
    made.touch(0, 1024)
    made.since("pte_read", "pte_write", "fold", "unfold")
    assert made.move(256, 512, 4096 + 256) == 0
    assert made.since("pte_read", "pte_write", "fold", "unfold") == [reads, writes, folds, unfolds]


def test_alignment_decides_whether_blocks_fold_again(engine: str) -> None:
    """A block is contiguous only where virtual and physical addresses agree modulo its size."""
    made = Computer(engine, order=4)
    made.map(0, 64)
    made.touch(0, 64)
    cont = 1 << 52
    assert made.move(0, 32, 1024) == 0
    assert made.move(32, 32, 2048 + 1) == 0
    assert all(pte & cont for pte in made.ptes(1024, 32))
    assert not any(pte & cont for pte in made.ptes(2049, 32))


@pytest.mark.parametrize("release", RELEASES)
def test_dontunmap_leaves_an_empty_mapping(engine: str, release: str) -> None:
    """MREMAP_DONTUNMAP: the source stays mapped and reads as zero."""
    made = Computer(engine, release=release)
    made.map(0, 8)
    made.touch(0, 8)
    old = frames(made, 0, 8)
    assert made.move(0, 8, 100, flags=uapi.MREMAP_MAYMOVE | uapi.MREMAP_FIXED | uapi.MREMAP_DONTUNMAP) == 0
    assert made.vmas() == [(0, 8, 3), (100, 108, 3)]
    assert frames(made, 0, 8) == [0] * 8 and frames(made, 100, 8) == old
    assert made.touch(0, 8) == 0
    assert not set(frames(made, 0, 8)) & set(old)


@pytest.mark.parametrize(("release", "expected"), [("6.12", -EFAULT), ("7.3", 0)])
def test_several_vmas_move_together_since_6_17(engine: str, release: str, expected: int) -> None:
    """Before, a range that leaves its VMA is -EFAULT."""
    made = Computer(engine, release=release)
    made.map(0, 8)
    made.map(8, 8, prot=1)
    assert made.move(0, 16, 100) == expected
    if expected == 0:
        assert made.vmas() == [(100, 108, 3), (108, 116, 1)]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("order", [0, 4, 9])
def test_random_moves_lose_no_page(engine: str, release: str, order: int) -> None:
    """Every frame that was mapped is mapped exactly once, wherever it was moved to."""
    chance = random.Random(order)
    made = Computer(engine, order=order, release=release)
    made.map(0, 1024)
    made.touch(0, 1024)
    where = {page: frame for page, frame in enumerate(frames(made, 0, 1024))} if order < 9 else {}
    for step in range(20):
        page, pages = chance.randrange(1024), chance.randrange(1, 300)
        to = 4096 * (step + 1) + chance.choice((page, page + 3))
        pages = min(pages, 1024 - page)
        if made.move(page, pages, to) == 0 and order < 9:
            for i in range(pages):
                if page + i in where:
                    where[to + i] = where.pop(page + i)
    assert all(made.pte(page) & FRAME == frame for page, frame in where.items())
    made.do(uapi.OP_EXIT)
    assert (made.scalar("free_pages"), made.scalar("warned")) == (made.free_at_boot, 0)
