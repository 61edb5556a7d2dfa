"""Files: truncation, writing, writing back, forgetting, and whoever maps them."""

from __future__ import annotations

import pytest

from core_mm import uapi
from core_mm.mm_types import EINVAL, ENOMEM, SIGBUS
from core_mm.msync import MS_ASYNC, MS_SYNC
from tests.support.computer import PAGE, Computer

SHARED, PRIVATE = uapi.MAP_SHARED | uapi.MAP_FIXED, uapi.MAP_PRIVATE | uapi.MAP_FIXED
READ, WRITE = uapi.ACCESS_READ, uapi.ACCESS_WRITE
RDONLY, DBM, SW_DIRTY = 1 << 7, 1 << 51, 1 << 55
RELEASES = ["6.12", "7.3"]
KINDS = [uapi.FILE_TMPFS, uapi.FILE_TMPFS_HUGE, uapi.FILE_EXT4, uapi.FILE_RAMFS]


def made_with(engine: str, kind: int, release: str = "6.12", pages: int = 1024) -> Computer:
    """A machine with one file of 1024 pages, number 0, inode 1."""
    return Computer(engine, release=release, files=[(kind, pages * PAGE)])


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("kind", KINDS)
def test_truncation_takes_pages_from_every_mapping(engine: str, kind: int, release: str) -> None:
    """Beyond the new end: shared pages, private copies, SIGBUS; before it everything stays."""
    made = made_with(engine, kind, release)
    made.map(0, 64, flags=SHARED, file=0)
    made.map(100, 64, flags=PRIVATE, file=0)
    made.touch(0, 64)
    made.touch(100, 64)
    assert made.do(uapi.OP_FTRUNCATE, 0, 10 * PAGE) == 0
    assert made.field("INODE", "nrpages", 1) == 10
    assert not any(made.ptes(10, 54)) and not any(made.ptes(110, 54))
    assert made.touch(10) == -SIGBUS and made.touch(110, access=READ) == -SIGBUS
    assert made.touch(0, 10) == 0 and made.touch(100, 10, READ) == 0
    assert made.field("MM", "rss_anon", made.mm()) == 10
    assert made.do(uapi.OP_EXIT) == 0
    assert made.scalar("free_pages") == made.free_at_boot - 10
    assert [made.do(uapi.OP_SPAWN), made.do(uapi.OP_UNLINK, 0), made.do(uapi.OP_EXIT)] == [0, 0, 0]
    assert (made.scalar("free_pages"), made.scalar("warned")) == (made.free_at_boot, 0)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_that_the_new_end_cuts_stays(engine: str, kind: int, release: str) -> None:
    """Its tail is zeroed, not the page dropped; a large folio around it is split, unless its buffers are dirty."""
    made = made_with(engine, kind, release)
    made.do(uapi.OP_PWRITE, 0, 0, 64 * PAGE, 64 * PAGE)
    made.map(0, 64, flags=SHARED, file=0)
    made.touch(0, 64)
    assert made.do(uapi.OP_FTRUNCATE, 0, 15 * PAGE + 100) == 0
    whole = kind == uapi.FILE_EXT4 and release != "6.12"
    assert made.field("INODE", "nrpages", 1) == (64 if whole else 16)
    assert made.touch(15) == 0 and made.touch(16) == -SIGBUS


@pytest.mark.parametrize("kind", KINDS)
def test_an_unlinked_file_lives_until_its_last_mapping_goes(engine: str, kind: int) -> None:
    """unlink frees nothing that is mapped; munmap then frees all."""
    made = made_with(engine, kind)
    made.map(0, 64, flags=SHARED, file=0)
    made.touch(0, 64)
    assert made.do(uapi.OP_UNLINK, 0) == 0
    assert made.field("INODE", "nrpages", 1) >= 64
    assert made.touch(0, 64) == 0
    made.unmap(0, 64)
    assert made.field("INODE", "nrpages", 1) == 0
    made.do(uapi.OP_EXIT)
    assert made.scalar("free_pages") == made.free_at_boot


@pytest.mark.parametrize(("release", "order"), [("6.12", 0), ("7.3", 4)])
def test_written_files_have_folios_as_large_as_the_write(engine: str, release: str, order: int) -> None:
    """ext4 has large folios since Linux 6.16; a write of 64 KiB makes folios of order 4."""
    made = made_with(engine, uapi.FILE_EXT4, release)
    assert made.do(uapi.OP_PWRITE, 0, 0, 64 * PAGE, 16 * PAGE) == 0
    assert made.field("INODE", "nrpages", 1) == 64
    assert made.since("folio_alloc") == [64 >> order]


def test_writes_beyond_the_room_are_refused(engine: str) -> None:
    """The loader makes room for the largest write of a workload; others fail."""
    made = made_with(engine, uapi.FILE_RAMFS, pages=16)
    assert made.do(uapi.OP_PWRITE, 0, 8 * PAGE, 9 * PAGE, PAGE) == -EINVAL
    assert made.do(uapi.OP_PWRITE, 0, -PAGE, PAGE, PAGE) == -EINVAL
    assert made.do(uapi.OP_PWRITE, 5, 0, PAGE, PAGE) == -EINVAL
    assert made.do(uapi.OP_FTRUNCATE, 0, 17 * PAGE) == -EINVAL
    assert made.do(uapi.OP_FTRUNCATE, 0, -1) == -EINVAL


@pytest.mark.parametrize("release", RELEASES)
def test_msync_makes_written_pages_clean_and_read_only(engine: str, release: str) -> None:
    """Each dirty entry is cleared, flushed and set again, so that the next write is noticed."""
    made = made_with(engine, uapi.FILE_EXT4, release)
    made.map(0, 32, flags=SHARED, file=0)
    made.touch(0, 32, READ)
    made.touch(3, 2)
    made.since("ptep_clear_flush", "fault")
    assert made.do(uapi.OP_MSYNC, *made_range(0, 32), MS_ASYNC) == 0
    assert made.since("ptep_clear_flush") == [0]
    assert made.do(uapi.OP_MSYNC, *made_range(0, 32), MS_SYNC) == 0
    assert made.since("ptep_clear_flush") == [2]
    assert all(pte & RDONLY and not pte & DBM and not pte & SW_DIRTY for pte in made.ptes(0, 32))
    made.since("fault")
    assert made.touch(3, 2) == 0
    assert made.since("fault") == [2]
    assert made.do(uapi.OP_MSYNC, *made_range(30, 4), MS_SYNC) == -ENOMEM
    assert made.do(uapi.OP_MSYNC, *made_range(0, 1), MS_SYNC | MS_ASYNC) == -EINVAL


def made_range(page: int, pages: int) -> tuple[int, int]:
    """Address and length."""
    return 0x2_0000_0000 + page * PAGE, pages * PAGE


def test_dropping_caches_keeps_what_is_mapped_or_has_no_disk(engine: str) -> None:
    """Clean pages of ext4 that nobody maps go; mapped ones and those of tmpfs stay."""
    made = Computer(engine, files=[(uapi.FILE_EXT4, 64 * PAGE), (uapi.FILE_TMPFS, 64 * PAGE)])
    for file in (0, 1):
        assert made.do(uapi.OP_PWRITE, file, 0, 64 * PAGE, PAGE) == 0
    made.map(0, 8, prot=1, flags=PRIVATE, file=0)
    made.touch(0, 8, READ)
    mapped = made.field("MM", "rss_file", made.mm())
    assert 8 <= mapped < 64
    assert made.do(uapi.OP_DROP_CACHES) == 0
    assert made.field("INODE", "nrpages", 1) == mapped
    assert made.field("INODE", "nrpages", 2) == 64


@pytest.mark.parametrize(("release", "order", "clears"), [("6.12", 0, 64), ("6.12", 4, 64), ("7.3", 4, 64)])
def test_clear_refs_clears_accessed_flags_without_a_flush(
    engine: str, release: str, order: int, clears: int
) -> None:
    """Every PTE by itself, whatever the release; what=2 leaves files out, 3 anonymous memory."""
    made = Computer(engine, order=order, release=release, files=[(uapi.FILE_TMPFS, 64 * PAGE)])
    made.map(0, clears)
    made.map(100, 8, flags=SHARED, file=0)
    made.touch(0, clears)
    made.touch(100, 8)
    tlbi = [name for name in made.machine.config.arch.events if name.startswith("tlbi")]
    made.since(*tlbi)
    assert made.do(uapi.OP_CLEAR_REFS, 2) == 0
    assert not any(pte & 1 << 10 for pte in made.ptes(0, clears))
    assert all(pte & 1 << 10 for pte in made.ptes(100, 8))
    assert made.do(uapi.OP_CLEAR_REFS, 3) == 0
    assert not any(pte & 1 << 10 for pte in made.ptes(100, 8))
    assert sum(made.since(*tlbi)) == 0
    assert made.do(uapi.OP_CLEAR_REFS, 9) == -EINVAL


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("cpu", "walks"), [("neoverse-n1", True), ("cortex-a72", False)])
def test_aging_walks_page_tables_where_hardware_sets_the_flag(
    engine: str, release: str, cpu: str, walks: bool
) -> None:
    """Without hardware access flags the multi-gen LRU does not look at page tables (should_walk_mmu)."""
    made = Computer(engine, order=4, release=release, cpu=cpu)
    made.map(0, 128)
    made.touch(0, 128)
    made.since("pte_read")
    assert made.do(uapi.OP_LRU_GEN_AGE) == 0
    assert [bool(pte & 1 << 10) for pte in made.ptes(0, 128)] == [not walks] * 128
    assert (made.since("pte_read")[0] > 0) == walks


@pytest.mark.parametrize(
    ("release", "cpu", "gentle", "walks"),
    [("7.3", "range+haft", 1, False), ("7.3", "range+haft", 0, True), ("7.3", "range", 1, True),
     ("6.12", "range+haft", 1, True)],
)  # fmt: skip
def test_gentle_aging_passes_over_tables_that_nothing_was_accessed_through(
    engine: str, release: str, cpu: str, gentle: int, walks: bool
) -> None:
    """Since 6.13 where the CPU has FEAT_HAFT; a forced pass looks at every table (walk_pmd_range)."""
    made = Computer(engine, release=release, cpu=cpu)
    made.map(0, 124)  # no page is left in the batch of new folios
    made.touch(0, 124)
    assert made.do(uapi.OP_LRU_GEN_AGE, gentle) == 0
    assert not any(pte & 1 << 10 for pte in made.ptes(0, 124))
    made.since("pte_read")
    assert made.do(uapi.OP_LRU_GEN_AGE, gentle) == 0
    assert (made.since("pte_read")[0] > 0) == walks
    made.touch(5, 1, READ)
    assert made.do(uapi.OP_LRU_GEN_AGE, gentle) == 0
    assert not any(pte & 1 << 10 for pte in made.ptes(0, 124))
