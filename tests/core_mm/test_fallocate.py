"""fallocate: pages of shared memory made beforehand, sizes, and holes that no mapping keeps."""

from __future__ import annotations

import pytest

from core_mm import uapi
from core_mm.mm_types import EINVAL, EOPNOTSUPP, SIGBUS
from tests.support.audit import audit
from tests.support.computer import PAGE, Computer

SHARED, PRIVATE = uapi.MAP_SHARED | uapi.MAP_FIXED, uapi.MAP_PRIVATE | uapi.MAP_FIXED
READ = uapi.ACCESS_READ
KEEP = uapi.FALLOC_FL_KEEP_SIZE
PUNCH = uapi.FALLOC_FL_PUNCH_HOLE | KEEP
RELEASES = ["6.12", "7.3"]


def made_with(engine: str, kind: int, release: str = "6.12", size: int = 0) -> Computer:
    """A machine with one file, number 0, inode 1, with room for 1024 pages and `size` pages long."""
    made = Computer(engine, release=release, files=[(kind, 1024 * PAGE)])
    made.do(uapi.OP_FTRUNCATE, 0, size * PAGE)
    return made


def falloc(made: Computer, page: int, pages: int, mode: int = 0) -> int:
    """fallocate of file 0."""
    return made.do(uapi.OP_FALLOCATE, 0, mode, page * PAGE, pages * PAGE)


@pytest.mark.parametrize("release", RELEASES)
def test_tmpfs_makes_the_pages_and_faults_find_them(engine: str, release: str) -> None:
    """All that the range lacks, once; the size grows to its end, and touching takes no memory."""
    made = made_with(engine, uapi.FILE_TMPFS, release)
    assert falloc(made, 8, 16) == 0 and falloc(made, 0, 16) == 0
    assert made.field("INODE", "nrpages", 1) == 24 and made.field("INODE", "size", 1) == 24 * PAGE
    made.map(0, 32, flags=SHARED, file=0)
    made.since("folio_alloc")
    assert made.touch(0, 24) == 0 and made.touch(24) == -SIGBUS
    assert made.since("folio_alloc") == [0]
    assert audit(made.machine) == []


def test_faults_around_pass_by_what_nobody_has_asked_for(engine: str) -> None:
    """A page that fallocate made is up to date once it is touched, or allocated again (shmem_get_folio_gfp)."""
    made = made_with(engine, uapi.FILE_TMPFS, size=16)
    assert falloc(made, 4, 8) == 0
    made.map(0, 16, flags=SHARED, file=0)
    made.touch(0, access=READ)
    assert [bool(pte) for pte in made.ptes(0, 16)] == [True] + [False] * 15
    made.touch(6, access=READ)
    assert falloc(made, 8, 2) == 0
    made.touch(1, access=READ)
    assert [page for page, pte in enumerate(made.ptes(0, 16)) if pte] == [0, 1, 6, 8, 9]


@pytest.mark.parametrize("release", RELEASES)
def test_huge_tmpfs_allocates_whole_pmds(engine: str, release: str) -> None:
    """One folio for the first page, and the loop goes on behind it."""
    made = made_with(engine, uapi.FILE_TMPFS_HUGE, release)
    made.since("folio_alloc")
    assert falloc(made, 0, 513) == 0
    assert made.since("folio_alloc") == [2]
    assert made.field("INODE", "nrpages", 1) == 1024


def test_ext4_grows_without_pages(engine: str) -> None:
    """Blocks on disk are nothing to the page cache."""
    made = made_with(engine, uapi.FILE_EXT4)
    assert falloc(made, 0, 16) == 0
    assert (made.field("INODE", "nrpages", 1), made.field("INODE", "size", 1)) == (0, 16 * PAGE)


@pytest.mark.parametrize(("kind", "pages"), [(uapi.FILE_TMPFS, 16), (uapi.FILE_EXT4, 0)])
def test_keep_size(engine: str, kind: int, pages: int) -> None:
    """Behind the end there is memory but no access; a size is never made smaller."""
    made = made_with(engine, kind, size=4)
    assert falloc(made, 0, 16, KEEP) == 0
    assert (made.field("INODE", "nrpages", 1), made.field("INODE", "size", 1)) == (pages, 4 * PAGE)
    made.map(0, 16, flags=SHARED, file=0)
    assert made.touch(3) == 0 and made.touch(4) == -SIGBUS
    assert falloc(made, 0, 2) == 0 and made.field("INODE", "size", 1) == 4 * PAGE


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("kind", [uapi.FILE_TMPFS, uapi.FILE_EXT4])
def test_a_hole_goes_from_shared_mappings(engine: str, kind: int, release: str) -> None:
    """Private copies stay, as for MADV_REMOVE; the hole reads as new pages, and the size stays."""
    made = made_with(engine, kind, release, size=32)
    made.map(0, 32, flags=SHARED, file=0)
    made.map(100, 32, flags=PRIVATE, file=0)
    made.touch(0, 32)
    made.touch(100, 16)
    made.touch(116, 16, READ)
    before = made.ptes(100, 16)
    assert falloc(made, 8, 16, PUNCH) == 0
    assert not any(made.ptes(8, 16)) and all(made.ptes(0, 8)) and all(made.ptes(24, 8))
    assert made.ptes(100, 16) == before and not any(made.ptes(116, 8)) and all(made.ptes(124, 8))
    assert made.field("INODE", "size", 1) == 32 * PAGE
    made.since("fault")
    assert made.touch(0, 32) == 0 and made.since("fault") != [0]
    assert audit(made.machine) == []


def test_a_hole_across_a_large_folio_splits_it(engine: str) -> None:
    """What is around the hole stays in memory."""
    made = made_with(engine, uapi.FILE_TMPFS_HUGE, size=512)
    made.map(0, 512, flags=SHARED, file=0)
    made.touch(0)
    assert made.field("INODE", "nrpages", 1) == 512
    assert falloc(made, 16, 16, PUNCH) == 0
    assert made.field("INODE", "nrpages", 1) == 496
    assert audit(made.machine) == []


def test_holes_behind_the_end_are_no_error(engine: str) -> None:
    """Nothing is there to go."""
    made = made_with(engine, uapi.FILE_TMPFS, size=4)
    assert falloc(made, 512, 16, PUNCH) == 0
    assert made.field("INODE", "size", 1) == 4 * PAGE


@pytest.mark.parametrize(("kind", "gathers"), [(uapi.FILE_TMPFS, [1, 1, 1]), (uapi.FILE_EXT4, [0, 0, 1])])
def test_a_hole_of_ext4_ends_with_the_file(engine: str, kind: int, gathers: list[int]) -> None:
    """Behind the end, at it, across it: ext4 looks at no mapping of what is behind, tmpfs does (measured on 6.12.107).

    An end within a page does not cut that page off.
    """
    made = made_with(engine, kind, size=64)
    made.map(0, 64, flags=SHARED, file=0)
    made.touch(0, 64)
    made.do(uapi.OP_FTRUNCATE, 0, 20 * PAGE)
    made.since("tlb_finish_mmu")
    counts = []
    for page, pages in ((30, 10), (20, 10), (10, 30)):
        assert falloc(made, page, pages, PUNCH) == 0
        counts += made.since("tlb_finish_mmu")
    assert counts == gathers and made.ptes(10, 10) == [0] * 10
    made.do(uapi.OP_FTRUNCATE, 0, 20 * PAGE + 1)
    made.touch(20)
    assert falloc(made, 20, 4, PUNCH) == 0 and made.ptes(20, 1) == [0]
    assert audit(made.machine) == []


def test_what_is_refused(engine: str) -> None:
    """Empty ranges, more than there is room for, unknown modes, holes that would move the end; ramfs, advice too."""
    made = made_with(engine, uapi.FILE_TMPFS)
    assert [falloc(made, 0, 0), falloc(made, -1, 2), falloc(made, 1, -1), falloc(made, 1, 1024)] == [
        -EINVAL
    ] * 4
    assert made.do(uapi.OP_FALLOCATE, 3, 0, 0, PAGE) == -EINVAL
    assert [falloc(made, 0, 1, mode) for mode in (2, 8, 0x10)] == [-EOPNOTSUPP] * 3
    ramfs = made_with(engine, uapi.FILE_RAMFS, size=16)
    assert [falloc(ramfs, 0, 1), falloc(ramfs, 0, 1, PUNCH)] == [-EOPNOTSUPP] * 2
    ramfs.map(0, 16, flags=SHARED, file=0)
    assert ramfs.touch(0) == 0
    assert ramfs.advise(0, 1, uapi.MADV_REMOVE) == -EOPNOTSUPP
    assert ramfs.ptes(0, 1) != [0]
    assert made.field("INODE", "nrpages", 1) == 0
