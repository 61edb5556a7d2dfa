"""The page cache: what a miss reads, what a fault maps, in which folios."""

from __future__ import annotations

import pytest

from core_mm import uapi
from tests.support.audit import audit
from tests.support.computer import PAGE, Computer

SHARED, PRIVATE = uapi.MAP_SHARED | uapi.MAP_FIXED, uapi.MAP_PRIVATE | uapi.MAP_FIXED
READ = uapi.ACCESS_READ
CONT = 1 << 52


def orders(made: Computer, pages: int) -> list[int]:
    """The orders of the folios that cache the file, one after the other."""
    cache, index, found = made.machine.memory.arrays["i_pages"], 0, []
    while index < pages and cache[index] > 0:
        order = made.field("PAGE", "flags", made.field("PAGE", "head", int(cache[index]))) >> 24
        found.append(order)
        index += 1 << order
    return found


def reader(engine: str, kind: int, release: str, pages: int = 256, prot: int = 1) -> Computer:
    """A private mapping of a file, read from the beginning."""
    made = Computer(engine, release=release, files=[(kind, pages * PAGE)])
    made.map(0, pages, prot=prot, flags=PRIVATE, file=0)
    return made


def test_the_first_miss_reads_a_window_of_single_pages(engine: str) -> None:
    """128 KiB around the miss; nothing behind it before the mark is met."""
    made = reader(engine, uapi.FILE_EXT4, "7.3")
    made.touch(0, 1, READ)
    assert orders(made, 256) == [0] * 32
    assert made.since("readahead") == [1]


def test_later_windows_use_larger_folios_where_the_file_system_can(engine: str) -> None:
    """7.3 on ext4: two orders more a window, no larger than the window; 6.12: single pages."""
    made = reader(engine, uapi.FILE_EXT4, "7.3")
    made.touch(0, 256, READ)
    assert orders(made, 160) == [0] * 32 + [2] * 8 + [4] * 2 + [5] * 2
    made = reader(engine, uapi.FILE_EXT4, "6.12")
    made.touch(0, 256, READ)
    assert set(orders(made, 256)) == {0}


@pytest.mark.parametrize(("first", "after"), [(64, [5]), (76, []), (79, [5])])
def test_a_fault_within_the_marked_folio_looks_too_far_for_the_next_window(
    engine: str, first: int, after: list[int]
) -> None:
    """The walk that looks for the first miss begins with the folio and counts from the fault.

    Two folios cover 64 to 95. After a fault on page 76 it looks at the 32 slots from 64 on, all taken, and not at those
    from 77 on: no window. After one on page 79 it begins with the second folio. Measured on 6.18.15.
    """
    made = reader(engine, uapi.FILE_EXT4, "6.18", pages=512)
    made.touch(0, 33, READ)
    made.touch(first, 1, READ)
    cached = orders(made, 256)
    assert cached == [0] * 32 + [2] * 8 + [4] * 2 + after


def test_the_window_that_a_fault_begins_is_not_mapped_by_it(engine: str) -> None:
    """A miss on page 29 reads 13 to 44; page 37 has the mark and begins 45 to 76, on their way when it is mapped."""
    made = reader(engine, uapi.FILE_EXT4, "6.12")
    made.touch(29, 1, READ)
    made.touch(37, 1, READ)
    assert len(orders(made, 13)) == 0 and made.since("readahead") == [2]
    assert [bool(made.pte(page)) for page in range(32, 48)] == [True] * 13 + [False] * 3


def test_faults_pass_by_dirty_pages_that_reclaim_met(engine: str) -> None:
    """Reclaim leaves a dirty page to writeback and marks it with the flag of readahead; a write takes the mark away."""
    made = Computer(engine, release="7.3", files=[(uapi.FILE_EXT4, 16 * PAGE)])
    made.map(0, 16, flags=SHARED, file=0)
    made.map(112, 16, flags=PRIVATE, file=0)
    made.touch(0, 16)
    made.advise(4, 8, uapi.MADV_PAGEOUT)
    made.touch(8, 2)
    made.touch(113, 1, READ)
    mapped = [bool(made.pte(112 + page)) for page in range(16)]
    assert mapped == [page < 4 or page in (8, 9) or page > 11 for page in range(16)]


def test_executable_memory_comes_in_the_order_the_architecture_likes(engine: str) -> None:
    """arm64 asks for 64 KiB folios in 7.x, which it maps with the contiguous bit."""
    made = reader(engine, uapi.FILE_EXT4, "7.3", prot=uapi.PROT_READ | uapi.PROT_EXEC)
    made.touch(0, 256, READ)
    assert set(orders(made, 256)) == {4}
    assert all(made.pte(page) & CONT for page in (0, 100, 255))


@pytest.mark.parametrize(("release", "mapped"), [("6.12", 16), ("7.3", 32)])
def test_fault_around_maps_a_window_or_the_whole_folio(engine: str, release: str, mapped: int) -> None:
    """What is cached around a read fault is mapped with it: 64 KiB, since 6.18 all of a large folio."""
    made = reader(engine, uapi.FILE_EXT4, release)
    made.touch(0, 256, READ)
    made.unmap(0, 256)
    made.map(0, 256, prot=1, flags=PRIVATE, file=0)
    made.touch(130, 1, READ)
    assert sum(1 for pte in made.ptes(0, 256) if pte) == mapped


def test_random_advice_reads_no_more_than_was_asked_for(engine: str) -> None:
    """MADV_RANDOM: one page a miss."""
    made = reader(engine, uapi.FILE_EXT4, "7.3")
    made.advise(0, 256, uapi.MADV_RANDOM)
    made.touch(100, 1, READ)
    assert made.field("INODE", "nrpages", 1) == 1


@pytest.mark.parametrize(("release", "windows"), [("6.12", 110), ("7.3", 100)])
def test_misses_without_hits_stop_readahead(engine: str, release: str, windows: int) -> None:
    """After a hundred misses that hit nothing, the kernel gives up reading around them.

    Not 6.12: there the fault that missed begins again, and what it maps then counts as hits.
    """
    made = reader(engine, uapi.FILE_EXT4, release, pages=1 << 14)
    for i in range(110):
        made.touch(i * 128 + 64, 1, READ)
    assert made.since("readahead") == [windows]


@pytest.mark.parametrize(("release", "windows"), [("6.12", 210), ("7.3", 199)])
def test_a_hit_makes_up_for_one_miss_since_7_2(engine: str, release: str, windows: int) -> None:
    """Two misses and a hit, 105 times over: since 7.2 a miss of each round stays, and the 101st ends readahead.

    That is the second of round 100. Before, the 16 pages that the hit maps count, and misses never prevail.
    """
    made = reader(engine, uapi.FILE_EXT4, release, pages=1 << 15)
    for i in range(105):
        for page in (64, 192, 50):
            made.touch(i * 256 + page, 1, READ)
    assert made.since("readahead") == [windows]


def test_misses_of_text_do_not_count_since_7_2(engine: str) -> None:
    """All of 110 misses that hit nothing are read around, of which data gets 100."""
    made = reader(engine, uapi.FILE_EXT4, "7.3", pages=1 << 14, prot=uapi.PROT_READ | uapi.PROT_EXEC)
    for i in range(110):
        made.touch(i * 128 + 64, 1, READ)
    assert made.since("readahead") == [110]


@pytest.mark.parametrize(("release", "marks"), [("6.12", [0, 0]), ("6.16", [0, 1]), ("7.2", [1, 1])])
def test_what_the_entry_of_a_huge_page_knew(engine: str, release: str, marks: list[int]) -> None:
    """Unmapping hands the accessed flag on since 6.16, the dirty flag since 7.3, and in 7.2.y.

    The page is read first, so that the write that follows shows in the entry alone.
    """
    made = Computer(engine, release=release, files=[(uapi.FILE_TMPFS_HUGE, 512 * PAGE)])
    made.map(0, 512, flags=SHARED, file=0)
    made.touch(0, 1, READ)
    made.touch(0, 1, uapi.ACCESS_WRITE)
    made.since("folio_mark_dirty", "folio_mark_accessed")
    made.unmap(0, 512)
    assert made.since("folio_mark_dirty", "folio_mark_accessed") == marks


def test_a_private_write_copies_at_once(engine: str) -> None:
    """The page is read into the cache, and its copy mapped by the same fault."""
    made = Computer(engine, files=[(uapi.FILE_EXT4, 64 * PAGE)])
    made.map(0, 64, flags=PRIVATE, file=0)
    made.touch(5)
    assert made.since("fault", "fault_cow", "ptep_clear_flush") == [1, 1, 0]
    assert made.field("MM", "rss_anon", made.mm()) == 1
    assert made.field("MM", "rss_file", made.mm()) == 0
    assert audit(made.machine) == []


@pytest.mark.parametrize(("order", "folios"), [(0, 512), (4, 32), (9, 1)])
def test_shared_memory_uses_the_orders_it_may(engine: str, order: int, folios: int) -> None:
    """hugepages-*/shmem_enabled: a fault brings and maps a folio of the largest order that fits."""
    made = Computer(engine, order=order)
    made.map(0, 512, flags=SHARED | uapi.MAP_ANONYMOUS)
    made.since("folio_alloc", "fault")
    made.touch(0, 512)
    assert made.since("folio_alloc", "fault") == [folios, folios]
    assert made.field("MM", "rss_shmem", made.mm()) == 512
    assert audit(made.machine) == []


@pytest.mark.parametrize("release", ["6.12", "7.3"])
def test_swapped_shared_memory_comes_back_for_both(engine: str, release: str) -> None:
    """Two processes see the page again; its slot is free once it is back."""
    made = Computer(engine, release=release)
    made.map(0, 64, flags=SHARED | uapi.MAP_ANONYMOUS)
    made.touch(0, 64)
    made.do(uapi.OP_EXIT, task=0)
    assert made.do(uapi.OP_SPAWN) == 0
    made.map(0, 64, flags=SHARED | uapi.MAP_ANONYMOUS)
    made.touch(0, 64)
    assert made.advise(0, 64, uapi.MADV_PAGEOUT) == 0
    assert made.scalar("swap_used") == 64
    assert not any(made.ptes(0, 64))
    made.do(uapi.OP_FORK, 1)
    made.touch(0, 64, READ)
    made.touch(0, 64, READ, task=1)
    assert made.scalar("swap_used") == 0
    assert made.since("swap_in") == [64]
    assert audit(made.machine) == []


@pytest.mark.parametrize(("release", "reads"), [("6.12", 64), ("7.3", 4)])
def test_shared_memory_comes_back_by_the_folio_since_6_15(engine: str, release: str, reads: int) -> None:
    """Four folios of sixteen pages went to swap; 6.12 reads single pages."""
    made = Computer(engine, release=release, order=4)
    made.map(0, 64, flags=SHARED | uapi.MAP_ANONYMOUS)
    made.touch(0, 64)
    assert made.advise(0, 64, uapi.MADV_PAGEOUT) == 0
    assert made.scalar("swap_used") == 64
    made.since("swap_in")
    made.touch(0, 64)
    assert (made.since("swap_in"), made.scalar("swap_used")) == ([reads], 0)
    assert audit(made.machine) == []


def test_a_hole_in_a_swapped_folio_brings_back_the_rest(engine: str) -> None:
    """7.3 reads the folio and splits it: fifteen pages stay in memory, none of its slots is used."""
    made = Computer(engine, release="7.3", order=4)
    made.map(0, 64, flags=SHARED | uapi.MAP_ANONYMOUS)
    made.touch(0, 64)
    assert made.advise(0, 64, uapi.MADV_PAGEOUT) == 0
    assert made.advise(21, 1, uapi.MADV_REMOVE) == 0
    assert (made.field("INODE", "nrpages", 1), made.scalar("swap_used")) == (15, 48)
    assert audit(made.machine) == []


def test_dirty_file_pages_are_not_reclaimed(engine: str) -> None:
    """Only the flusher writes them; MADV_PAGEOUT takes the clean ones."""
    made = Computer(engine, files=[(uapi.FILE_EXT4, 64 * PAGE)])
    made.map(0, 64, flags=SHARED, file=0)
    made.touch(0, 64, READ)
    made.touch(0, 10)
    made.advise(0, 64, uapi.MADV_PAGEOUT)
    assert made.field("INODE", "nrpages", 1) == 10
    assert audit(made.machine) == []
