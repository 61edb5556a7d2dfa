"""Tier tlb: calls that come twice, that find nothing left, or that get a part of what they ask for; on all releases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

from core_mm import uapi
from core_mm.msync import MS_SYNC
from core_mm.releases import RELEASES
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    COLUMNS,
    FILE_EXT4,
    FILE_SHMEM,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    OP_DROP_CACHES,
    OP_EXIT,
    OP_FALLOCATE,
    OP_FORK,
    OP_FTRUNCATE,
    OP_LRU_GEN_AGE,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_MREMAP,
    OP_MSYNC,
    OP_MUNMAP,
    OP_PWRITE,
    OP_SPAWN,
    OP_SWAPOFF,
    OP_TOUCH,
)
from mmarch import cpus
from mmarch.check.context import Context
from mmarch.check.outcome import Skipped
from mmarch.check.registry import check
from mmarch.check.tiers.scenarios import passes
from mmarch.sanitize import soak
from mmarch.sanitize.random_rows import Row

PRIVATE, SHARED = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, MAP_FIXED | MAP_SHARED
NONE, READ, RW, HOLE = 0, 1, 3, uapi.FALLOC_FL_PUNCH_HOLE | uapi.FALLOC_FL_KEEP_SIZE
DISK, MEMORY = 0, 1  # files
TLB, ASIDS_LEFT = 64, 2  # of a machine that runs behind a TLB
LARGE = 4  # one corner of so many, where to interpret what happens to a huge page takes seconds
Corner = Callable[[int, int, int], Iterator[Row]]  # (address, bytes of a page, entries of a table)


def given_up_twice(at: int, page: int, entries: int) -> Iterator[Row]:
    """What MADV_FREE gave up, and nobody touched, is given up again; then it is looked at, and written."""
    yield OP_TOUCH, 1, at, 1, ACCESS_WRITE
    for size in (entries, entries, 1):
        yield OP_MADVISE, 1, at, size * page, uapi.MADV_FREE
    yield OP_TOUCH, 1, at, 2, ACCESS_WRITE


def zeros(at: int, page: int, entries: int) -> Iterator[Row]:
    """The huge page of zeros is given up in part, and aged; it is nobody's."""
    yield OP_TOUCH, 1, at, 1, ACCESS_READ
    yield OP_MADVISE, 1, at, page, uapi.MADV_FREE
    yield OP_MADVISE, 1, at, entries * page, uapi.MADV_COLD
    yield OP_TOUCH, 1, at + page, 1, ACCESS_WRITE


def aged(at: int, page: int, entries: int) -> Iterator[Row]:
    """A huge page, and the table beside it, are old and used again, by whom and how often it may."""
    yield OP_MADVISE, 1, at + entries * page, entries * page, uapi.MADV_NOHUGEPAGE
    for place in (at, at + entries * page):
        yield OP_TOUCH, 1, place, 1, ACCESS_WRITE
    for _ in range(2):
        yield OP_MADVISE, 1, at, entries * page, uapi.MADV_COLD
    for _ in range(2):
        yield OP_LRU_GEN_AGE, 1, 1
    yield OP_TOUCH, 1, at, 2, ACCESS_READ
    yield OP_TOUCH, 1, at, 2, ACCESS_WRITE


def nothing_left(at: int, page: int, entries: int) -> Iterator[Row]:
    """A huge page is made of a range that has lost all its pages."""
    yield OP_TOUCH, 1, at, 1, ACCESS_WRITE
    yield OP_MADVISE, 1, at, entries * page, uapi.MADV_DONTNEED
    yield OP_MADVISE, 1, at, entries * page, uapi.MADV_COLLAPSE
    yield OP_TOUCH, 1, at, 1, ACCESS_WRITE


def in_swap(at: int, page: int, entries: int) -> Iterator[Row]:
    """A huge page is made of pages of which some are in swap."""
    yield OP_MADVISE, 1, at, entries * page, uapi.MADV_NOHUGEPAGE
    yield OP_TOUCH, 1, at, 40, ACCESS_WRITE
    yield OP_MADVISE, 1, at, entries * page, uapi.MADV_HUGEPAGE
    yield OP_MADVISE, 1, at, 8 * page, uapi.MADV_PAGEOUT
    yield OP_MADVISE, 1, at, entries * page, uapi.MADV_COLLAPSE
    yield OP_TOUCH, 1, at, 40, ACCESS_READ


def closed(at: int, page: int, entries: int) -> Iterator[Row]:
    """What nobody may access is reclaimed, or has a hole punched into it, and opened again."""
    shared = at + 8 * entries * page
    yield OP_MADVISE, 1, at, entries * page, uapi.MADV_NOHUGEPAGE
    yield OP_MMAP, 1, shared, 64 * page, RW, SHARED, MEMORY, 0
    for place in (at, shared):
        yield OP_TOUCH, 1, place, 40, ACCESS_WRITE
        yield OP_MPROTECT, 1, place, 64 * page, NONE
    yield OP_MADVISE, 1, at, entries * page, uapi.MADV_PAGEOUT
    yield OP_FALLOCATE, 1, MEMORY, HOLE, 10 * page, 20 * page
    for place in (at, shared):
        yield OP_MPROTECT, 1, place, 64 * page, RW
        yield OP_TOUCH, 1, place, 40, ACCESS_READ


def hole_in_swap(at: int, page: int, entries: int) -> Iterator[Row]:
    """A hole begins and ends within folios of shared memory that were swapped out."""
    yield OP_MMAP, 1, at, 64 * page, RW, SHARED, MEMORY, 0
    yield OP_TOUCH, 1, at, 64, ACCESS_WRITE
    yield OP_MADVISE, 1, at, 64 * page, uapi.MADV_PAGEOUT
    yield OP_FALLOCATE, 1, MEMORY, HOLE, 10 * page, 33 * page
    yield OP_TOUCH, 1, at, 64, ACCESS_READ


def hole_in_dirty(at: int, page: int, entries: int) -> Iterator[Row]:
    """The same of a file on disk, whose dirty folios cannot be split."""
    yield OP_PWRITE, 1, DISK, 0, 64 * page, 16 * page
    yield OP_MMAP, 1, at, 64 * page, RW, SHARED, DISK, 0
    yield OP_TOUCH, 1, at, 64, ACCESS_READ
    for first, pages in ((3, 4), (10, 33)):
        yield OP_FALLOCATE, 1, DISK, HOLE, first * page, pages * page
    yield OP_TOUCH, 1, at, 64, ACCESS_WRITE


def behind_the_end(at: int, page: int, entries: int) -> Iterator[Row]:
    """A file ends within a dirty folio, which stays whole; what is left of it is written through a mapping."""
    yield OP_PWRITE, 1, DISK, 0, 64 * page, 16 * page
    yield OP_FTRUNCATE, 1, DISK, 10 * page
    yield OP_MMAP, 1, at, 64 * page, RW, SHARED, DISK, 0
    yield OP_TOUCH, 1, at + 3 * page, 2, ACCESS_WRITE
    yield OP_TOUCH, 1, at + 9 * page, 2, ACCESS_READ


def shared_in_part(at: int, page: int, entries: int) -> Iterator[Row]:
    """A child gives up part of what is swapped out of a folio; both read the rest."""
    there = at + 8 * entries * page
    yield OP_MMAP, 1, there, 32 * page, RW, PRIVATE, -1, 0
    yield OP_TOUCH, 1, there, 32, ACCESS_WRITE
    yield OP_MADVISE, 1, there, 32 * page, uapi.MADV_PAGEOUT
    yield OP_FORK, 1, 2
    yield OP_MADVISE, 2, there, 8 * page, uapi.MADV_DONTNEED
    yield OP_TOUCH, 1, there + page, 1, ACCESS_READ
    yield OP_TOUCH, 2, there, 32, ACCESS_READ
    yield OP_TOUCH, 1, there, 32, ACCESS_WRITE


def copies_forked(at: int, page: int, entries: int) -> Iterator[Row]:
    """A private mapping of shared memory has a huge page of the file and a copy of its own; a child gets the copy."""
    yield OP_FTRUNCATE, 1, MEMORY, (entries + 40) * page
    yield OP_MMAP, 1, at, (entries + 40) * page, RW, MAP_FIXED | MAP_PRIVATE, MEMORY, 0
    yield OP_TOUCH, 1, at, 1, ACCESS_READ
    yield OP_TOUCH, 1, at + (entries + 20) * page, 2, ACCESS_WRITE
    yield OP_FORK, 1, 2
    yield OP_TOUCH, 2, at, 2, ACCESS_READ
    yield OP_TOUCH, 2, at + (entries + 20) * page, 2, ACCESS_WRITE


def given_up_whole(at: int, page: int, entries: int) -> Iterator[Row]:
    """Huge pages go, each by a call of its own: of a process, and of shared memory, read, written and old."""
    yield OP_TOUCH, 1, at, 1, ACCESS_WRITE
    yield OP_MADVISE, 1, at, entries * page, uapi.MADV_DONTNEED
    yield OP_FTRUNCATE, 1, MEMORY, entries * page
    yield OP_MMAP, 1, at, entries * page, RW, SHARED, MEMORY, 0
    for access in (ACCESS_WRITE, ACCESS_READ):
        yield OP_TOUCH, 1, at, 1, access
        yield OP_MADVISE, 1, at, entries * page, uapi.MADV_DONTNEED
    yield OP_TOUCH, 1, at, 1, ACCESS_READ
    yield OP_LRU_GEN_AGE, 1, 0
    yield OP_MUNMAP, 1, at, entries * page


def mapped_twice(at: int, page: int, entries: int) -> Iterator[Row]:
    """mremap of no bytes maps shared memory a second time."""
    there = at + 8 * entries * page
    yield OP_MMAP, 1, at, 16 * page, RW, SHARED, MEMORY, 0
    yield OP_TOUCH, 1, at, 4, ACCESS_WRITE
    yield OP_MREMAP, 1, at, 0, 16 * page, uapi.MREMAP_MAYMOVE, there
    yield OP_TOUCH, 1, there, 8, ACCESS_WRITE


def child_gave_up(at: int, page: int, entries: int) -> Iterator[Row]:
    """A folio of which a child has given its share up, table and all, is split; a huge page and a smaller one."""
    small = at + 8 * entries * page
    yield OP_MMAP, 1, small, 32 * page, RW, PRIVATE, -1, 0
    yield OP_TOUCH, 1, small, 32, ACCESS_WRITE
    yield OP_TOUCH, 1, at, 1, ACCESS_WRITE
    yield OP_FORK, 1, 2
    for place, pages in ((at, entries), (small, 32)):
        yield OP_MADVISE, 2, place, pages * page, uapi.MADV_DONTNEED
        yield OP_MADVISE, 1, place, 8 * page, uapi.MADV_FREE
        yield OP_TOUCH, 1, place, 16, ACCESS_READ


def still_in_swap(at: int, page: int, entries: int) -> Iterator[Row]:
    """What one task has back from swap, and gives up, another one still has there."""
    yield OP_MADVISE, 1, at, entries * page, uapi.MADV_NOHUGEPAGE
    yield OP_TOUCH, 1, at, 8, ACCESS_WRITE
    yield OP_MADVISE, 1, at, 8 * page, uapi.MADV_PAGEOUT
    yield OP_FORK, 1, 2
    yield OP_TOUCH, 1, at, 8, ACCESS_READ
    yield OP_MADVISE, 1, at, 8 * page, uapi.MADV_FREE
    yield OP_TOUCH, 2, at, 8, ACCESS_READ


def another_leaf(at: int, page: int, entries: int) -> Iterator[Row]:
    """One of parent and child has a huge page of its own where the parent's first one is split, or reclaimed."""
    for place in (at, at + entries * page):
        yield OP_TOUCH, 1, place, 1, ACCESS_WRITE
    yield OP_FORK, 1, 2
    for task, place in ((2, at), (1, at + entries * page)):
        yield OP_TOUCH, task, place, 1, ACCESS_WRITE
        yield OP_MADVISE, task, place, entries * page, uapi.MADV_COLLAPSE
    yield OP_MADVISE, 1, at, 8 * page, uapi.MADV_FREE
    yield OP_MADVISE, 2, at + entries * page, entries * page, uapi.MADV_PAGEOUT
    for task in (1, 2):
        yield OP_TOUCH, task, at, 2, ACCESS_READ
        yield OP_TOUCH, task, at + entries * page, 2, ACCESS_READ


def cached_in_part(at: int, page: int, entries: int) -> Iterator[Row]:
    """A child reads back a part of what is swapped out of a folio; its parent reads another; swap is given up."""
    there = at + 8 * entries * page
    yield OP_MMAP, 1, there, 16 * page, RW, PRIVATE, -1, 0
    yield OP_TOUCH, 1, there, 16, ACCESS_WRITE
    yield OP_MADVISE, 1, there, 16 * page, uapi.MADV_PAGEOUT
    yield OP_FORK, 1, 2
    yield OP_MADVISE, 2, there, 8 * page, uapi.MADV_DONTNEED
    yield OP_TOUCH, 2, there + 10 * page, 1, ACCESS_READ
    yield OP_TOUCH, 1, there + page, 1, ACCESS_READ
    yield OP_SWAPOFF, 1
    yield OP_TOUCH, 1, there, 16, ACCESS_WRITE


def cached_at_the_end(at: int, page: int, entries: int) -> Iterator[Row]:
    """Readahead comes upon a cached page close to the end of a file."""
    yield OP_FTRUNCATE, 1, DISK, 40 * page
    yield OP_MMAP, 1, at, 40 * page, RW, SHARED, DISK, 0
    yield OP_MADVISE, 1, at + 36 * page, page, uapi.MADV_RANDOM
    yield OP_TOUCH, 1, at + 36 * page, 1, ACCESS_READ
    yield OP_TOUCH, 1, at + 24 * page, 1, ACCESS_READ
    yield OP_TOUCH, 1, at, 40, ACCESS_WRITE


def owned_in_part(at: int, page: int, entries: int) -> Iterator[Row]:
    """Of a folio that a child has shared, and left, some pages are written; then rights of all are taken and given."""
    there = at + 8 * entries * page
    yield OP_MMAP, 1, there, 16 * page, RW, PRIVATE, -1, 0
    yield OP_TOUCH, 1, there, 16, ACCESS_WRITE
    yield OP_FORK, 1, 2
    yield OP_EXIT, 2
    for number in (1, 4, 5, 9):
        yield OP_TOUCH, 1, there + number * page, 1, ACCESS_WRITE
    for prot in (READ, RW):
        yield OP_MPROTECT, 1, there, 16 * page, prot
    yield OP_FORK, 1, 2
    for task in (1, 2):
        yield OP_TOUCH, task, there, 16, ACCESS_WRITE


def moved_with_a_gap(at: int, page: int, entries: int) -> Iterator[Row]:
    """Two mappings and the hole between them are moved at once, which Linux can since 6.17."""
    there, to = at + 8 * entries * page, at + 9 * entries * page
    for first in (0, 6):
        yield OP_MMAP, 1, there + first * page, 4 * page, RW, PRIVATE, -1, 0
        yield OP_TOUCH, 1, there + first * page, 4, ACCESS_WRITE
    yield OP_MREMAP, 1, there, 10 * page, 10 * page, uapi.MREMAP_MAYMOVE | uapi.MREMAP_FIXED, to
    for place in (there, to):
        yield OP_TOUCH, 1, place + 6 * page, 4, ACCESS_READ
        yield OP_TOUCH, 1, place, 4, ACCESS_READ


def huge_written_back(at: int, page: int, entries: int) -> Iterator[Row]:
    """A huge page of a file on disk is written through one entry, written back, and written again; then cut."""
    there = at + 8 * entries * page
    yield OP_PWRITE, 1, DISK, 0, (entries + 40) * page, 0
    yield OP_MMAP, 1, there, (entries + 40) * page, RW, SHARED, DISK, 0
    for access in (ACCESS_READ, ACCESS_WRITE, ACCESS_WRITE):
        for first in (0, entries):
            yield OP_TOUCH, 1, there + first * page, 2, access
        yield OP_MSYNC, 1, there, entries * page, MS_SYNC
    yield OP_FTRUNCATE, 1, DISK, (entries + 3) * page
    yield OP_TOUCH, 1, there, 2, ACCESS_WRITE
    yield OP_DROP_CACHES, 1
    yield OP_MUNMAP, 1, there, (entries + 40) * page


def asids_run_out(at: int, page: int, entries: int) -> Iterator[Row]:
    """More children than there are ASIDs left, while a TLB holds translations of all of them."""
    yield OP_TOUCH, 1, at, 8, ACCESS_WRITE
    for task in range(2, 3 + ASIDS_LEFT):
        yield OP_FORK, 1, task
        yield OP_TOUCH, task, at, 8, ACCESS_WRITE
    yield OP_TOUCH, 1, at, 8, ACCESS_WRITE


CORNERS: tuple[Corner, ...] = (
    given_up_whole, mapped_twice, child_gave_up, still_in_swap, another_leaf,
    given_up_twice, zeros, aged, nothing_left, in_swap, closed, hole_in_swap, hole_in_dirty, behind_the_end,
    shared_in_part, copies_forked, cached_in_part, cached_at_the_end, owned_in_part, moved_with_a_gap,
    huge_written_back, asids_run_out,
)  # fmt: skip


@check("tlb.corners", source="mm/huge_memory.c; mm/madvise.c; mm/truncate.c", wide=True)
def corners(context: Context) -> str:
    """Calls that come twice, find nothing left or get a part of it leave nothing stale and every page as written."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    old = ((replace(context, cpu=cpu), aged) for cpu in cpus.covering(context.arch) if not context.cpu)
    for variant, corner in chain(tried(context), old):
        passes(prepared(variant, corner), corner.__name__, variant.where)
    return f"{len(CORNERS)} programs"


def tried(context: Context) -> Iterator[tuple[Context, Corner]]:
    """All; in full, where other machines have large tables, some on each, in turn over CPUs and releases."""
    turn = list(RELEASES).index(context.release)
    for number, variant in enumerate(context.variants()):
        apart = LARGE if context.every and number and not variant.small_tables else 1
        for corner in CORNERS[(number + turn) % apart :: apart]:
            yield variant, corner


def prepared(context: Context, corner: Corner) -> soak.Round:
    """A task with a mapping of two tables, on a machine with folios of three sizes."""
    granule = context.granule or context.arch.default_granule
    geometry = context.arch.granules[granule]
    huge, page = 1 << geometry.pte_bits, 1 << geometry.page_shift
    orders, at, behind = huge | 1 << 4 | 1 << 2, 64 * huge * page, corner is asids_run_out
    config = replace(
        context.config(), granule=granule, anon_orders=orders, shmem_orders=huge | 1 << 4,
        memory=16 * page * huge, overrides={"log_ptes": 1, "anon_always": orders}, tlb_entries=TLB * behind,
        without=soak.KNOWN_HOLES.union(context.without),
    )  # fmt: skip
    begun: list[Row] = [(OP_SPAWN, 1), (OP_MMAP, 1, at, 2 * huge * page, RW, PRIVATE, -1, 0)]
    rows = [(*row, *[0] * (COLUMNS - len(row))) for row in (*begun, *corner(at, page, huge))]
    return soak.Round(0, config, tuple(rows), (soak.ASIDS - ASIDS_LEFT) * behind, (FILE_EXT4, FILE_SHMEM))
