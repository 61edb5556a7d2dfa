"""Tier stateful: system calls that have to fail, with the error of their manual page, and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core_mm import uapi
from core_mm.mm_types import EBUSY, EEXIST, EFAULT, EINVAL, ENOMEM, EOPNOTSUPP, SIGSEGV, VM_MAYWRITE
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FILE_RAMFS,
    FILE_REGULAR,
    FILE_SHMEM,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_LOCKED,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    OP_CLEAR_REFS,
    OP_FALLOCATE,
    OP_FTRUNCATE,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_MREMAP,
    OP_MSYNC,
    OP_MUNMAP,
    OP_PWRITE,
    OP_SWAPOFF,
    OP_TOUCH,
)
from mmarch.check.context import Context
from mmarch.check.observing import Observer
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, outcome, system

BASE, ROOM = 0x10000000, 16  # where the areas lie, and how many pages apart
NONE, R, RW = 0, 1, 3
PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
REGULAR, SHMEM, RAMFS = 0, 1, 2
FILE_PAGES = 64
EACCES = 13
MS_ASYNC, MS_INVALIDATE, MS_SYNC = 1, 2, 4
MADV_DONTNEED_LOCKED = 24
FALLOC_FL_ZERO_RANGE = 16


@dataclass(frozen=True)
class Area:
    """One mapping of PAGES pages, the hole behind it as large as what is left of ROOM."""

    number: int
    prot: int
    flags: int
    file: int = -1

    def at(self, world: World, page: int = 0) -> int:
        """Address of one of its pages."""
        return BASE + (self.number * ROOM + page) * world.page


PAGES = 8
ANON = Area(0, RW, PRIVATE)
LOCKED = Area(1, RW, PRIVATE | MAP_LOCKED)
FILE = Area(2, RW, MAP_SHARED | MAP_FIXED, REGULAR)
READ_ONLY = Area(3, R, MAP_SHARED | MAP_FIXED, REGULAR)
OWN_COPY = Area(4, RW, MAP_PRIVATE | MAP_FIXED, REGULAR)
SHARED = Area(5, RW, MAP_SHARED | MAP_FIXED, SHMEM)
IN_RAM = Area(6, RW, MAP_SHARED | MAP_FIXED, RAMFS)
CLOSED = Area(7, NONE, PRIVATE)
AREAS = (ANON, LOCKED, FILE, READ_ONLY, OWN_COPY, SHARED, IN_RAM, CLOSED)


class World:
    """A machine with one task that has every area, and touched the first half of each."""

    def __init__(self, context: Context) -> None:
        size = FILE_PAGES << context.geometry.page_shift
        files = ((FILE_REGULAR, size), (FILE_SHMEM, size), (FILE_RAMFS, size))
        self.machine: System = system(context, files=files)
        self.page = self.machine.page
        self.where = context.where
        for area in AREAS:
            self.succeeds(OP_MMAP, area.at(self), PAGES * self.page, area.prot, area.flags, area.file, 0)
            if area.prot:
                access = ACCESS_WRITE if area.prot == RW else ACCESS_READ
                self.succeeds(OP_TOUCH, area.at(self), PAGES // 2, access)

    def succeeds(self, op: int, *arguments: int) -> None:
        """A call that has to."""
        self.returns(0, op, *arguments)

    def returns(self, error: int, op: int, *arguments: int, task: int = 1) -> None:
        """A call with its result: 0 for success, or the error."""
        found = self.machine.do(op, task, *arguments)
        if (found if found < 0 else 0) != -error:
            wanted = outcome(-error) if error else "success"
            raise CheckFailed(
                f"{self.machine.steps()[-1]} returned {outcome(found)}; right is {wanted}{self.where}",
                self.machine.steps(),
            )

    def image(self) -> tuple[np.ndarray, ...]:
        """Tables and mappings, as far as any was ever used."""
        memory, used = self.machine.machine.memory, self.machine.get
        entries, vmas = used("next_table") << memory.get("cfg", "pte_bits"), memory.tables["VMA"]
        columns = (vmas[name][: used("next_vma")] for name in ("vm_start", "vm_end", "vm_flags", "vm_mm"))
        return (memory.arrays["ptes"][:entries], *columns)

    def refuses(self, error: int, op: int, *arguments: int) -> None:
        """A call that fails and leaves everything as it was."""
        before = [part.copy() for part in self.image()]
        self.returns(error, op, *arguments)
        if not all(map(unchanged, before, self.image())):
            raise CheckFailed(
                f"{self.machine.steps()[-1]} fails and changes mappings or entries all the same{self.where}",
                self.machine.steps(),
            )


def unchanged(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether it holds what it held, and zeros where it has grown."""
    return np.array_equal(before, now[: len(before)]) and not now[len(before) :].any()


Call = tuple[int, ...]  # the error, 0 for none, the operation and its arguments


def of_ranges(world: World) -> Iterator[Call]:
    """munmap(2), mprotect(2), madvise(2), msync(2): addresses that are not aligned, empty ranges, holes."""
    page = world.page
    hole, end = ANON.at(world, PAGES), ANON.at(world, PAGES - 1)
    for op, more in ((OP_MPROTECT, RW), (OP_MADVISE, uapi.MADV_COLD), (OP_MSYNC, MS_SYNC)):
        yield EINVAL, op, ANON.at(world) + 1, page, more
        yield EINVAL, op, ANON.at(world) + page // 2, page, more
        yield 0, op, ANON.at(world), 0, more
        yield ENOMEM, op, hole, page, more
        yield 0, op, end, page, more
    yield EINVAL, OP_MUNMAP, ANON.at(world) + 1, page
    yield EINVAL, OP_MUNMAP, ANON.at(world), 0
    yield 0, OP_MUNMAP, hole, page
    for flags in (8, MS_ASYNC | MS_SYNC, MS_ASYNC | MS_SYNC | MS_INVALIDATE):
        yield EINVAL, OP_MSYNC, ANON.at(world), page, flags
    yield EBUSY, OP_MSYNC, LOCKED.at(world), page, MS_INVALIDATE
    yield 0, OP_MSYNC, ANON.at(world), page, MS_INVALIDATE
    yield 0, OP_MSYNC, LOCKED.at(world), page, MS_ASYNC


def of_holes(world: World) -> Iterator[Call]:
    """The same of ranges that are mapped in part, which is done before the hole is found, or behind it."""
    page = world.page
    for op, more in ((OP_MPROTECT, RW), (OP_MADVISE, uapi.MADV_COLD), (OP_MSYNC, MS_SYNC)):
        yield ENOMEM, op, ANON.at(world, PAGES - 1), 2 * page, more
        yield ENOMEM, op, FILE.at(world) - page, 2 * page, more


def of_mmap(world: World) -> Iterator[Call]:
    """mmap(2)."""
    page, hole = world.page, ANON.at(world, PAGES)
    free = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
    yield EINVAL, OP_MMAP, hole + 1, page, RW, PRIVATE, -1, 0
    yield EINVAL, OP_MMAP, hole, 0, RW, PRIVATE, -1, 0
    yield EINVAL, OP_MMAP, hole, page, RW, MAP_ANONYMOUS | MAP_FIXED, -1, 0
    yield EINVAL, OP_MMAP, hole, page, RW, MAP_SHARED | MAP_FIXED, REGULAR, 1
    yield EINVAL, OP_MMAP, hole, page, RW, MAP_SHARED | MAP_FIXED, REGULAR, page // 2
    yield EEXIST, OP_MMAP, ANON.at(world), page, RW, free, -1, 0
    yield EEXIST, OP_MMAP, ANON.at(world, PAGES - 1), 2 * page, RW, free, -1, 0
    yield EEXIST, OP_MMAP, FILE.at(world) - page, 2 * page, RW, free, -1, 0


def of_mremap(world: World) -> Iterator[Call]:
    """mremap(2)."""
    page, at = world.page, ANON.at(world)
    to, fixed = CLOSED.at(world, PAGES), MREMAP_MAYMOVE | MREMAP_FIXED
    yield EINVAL, OP_MREMAP, at + 1, page, page, fixed, to
    yield EINVAL, OP_MREMAP, at, page, 0, fixed, to
    yield EINVAL, OP_MREMAP, at, page, page, fixed, to + 1
    yield EINVAL, OP_MREMAP, at, page, page, MREMAP_FIXED, to
    yield EINVAL, OP_MREMAP, at, page, page, MREMAP_DONTUNMAP, to
    yield EINVAL, OP_MREMAP, at, page, 2 * page, MREMAP_DONTUNMAP | MREMAP_MAYMOVE, to
    yield EINVAL, OP_MREMAP, at, 2 * page, 2 * page, fixed, at + page
    yield EINVAL, OP_MREMAP, at + page, 2 * page, 2 * page, fixed, at
    yield EINVAL, OP_MREMAP, at, page, page, fixed, at
    yield EFAULT, OP_MREMAP, to, page, page, MREMAP_MAYMOVE, to
    yield ENOMEM, OP_MREMAP, at, page, 2 * page, 0, at
    yield EINVAL, OP_MREMAP, at, 0, page, MREMAP_MAYMOVE, to


def of_madvise(world: World) -> Iterator[Call]:
    """madvise(2)."""
    page = world.page
    for area, advices, error in (
        (FILE, (uapi.MADV_FREE, uapi.MADV_WIPEONFORK), EINVAL),
        (LOCKED, (uapi.MADV_DONTNEED, uapi.MADV_FREE, uapi.MADV_COLD, uapi.MADV_PAGEOUT), EINVAL),
        (ANON, (uapi.MADV_REMOVE,), EINVAL),
        (OWN_COPY, (uapi.MADV_REMOVE,), EACCES),
        (READ_ONLY, (uapi.MADV_REMOVE,), EACCES),
        (IN_RAM, (uapi.MADV_REMOVE,), EOPNOTSUPP),
        (READ_ONLY, (uapi.MADV_POPULATE_WRITE,), EINVAL),
        (CLOSED, (uapi.MADV_POPULATE_READ, uapi.MADV_POPULATE_WRITE), EINVAL),
        (SHARED, (uapi.MADV_WIPEONFORK,), EINVAL),
    ):
        for advice in advices:
            yield error, OP_MADVISE, area.at(world), page, advice
    for advice in (uapi.MADV_POPULATE_READ, uapi.MADV_POPULATE_WRITE):
        yield ENOMEM, OP_MADVISE, ANON.at(world, PAGES), page, advice


def of_files(world: World) -> Iterator[Call]:
    """fallocate(2), ftruncate(2), pwrite(2), swapoff(2) and proc(5) on clear_refs."""
    page = world.page
    hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    for mode in (0, hole):
        yield EINVAL, OP_FALLOCATE, REGULAR, mode, -1, page
        yield EINVAL, OP_FALLOCATE, REGULAR, mode, 0, 0
        yield EINVAL, OP_FALLOCATE, REGULAR, mode, page, -page
        yield EOPNOTSUPP, OP_FALLOCATE, RAMFS, mode, 0, page
    yield EOPNOTSUPP, OP_FALLOCATE, REGULAR, FALLOC_FL_ZERO_RANGE, 0, page
    yield EOPNOTSUPP, OP_FALLOCATE, SHMEM, FALLOC_FL_PUNCH_HOLE, 0, page
    for file in (REGULAR, SHMEM):
        yield 0, OP_PWRITE, file, 0, page, page
        yield 0, OP_PWRITE, file, (FILE_PAGES - 1) * page, page, page
        yield 0, OP_FALLOCATE, file, 0, (FILE_PAGES - 1) * page, page
        yield 0, OP_FALLOCATE, file, hole, 20 * page, 2 * page
        yield 0, OP_FTRUNCATE, file, 40 * page
        yield 0, OP_FTRUNCATE, file, FILE_PAGES * page
    yield EINVAL, OP_FTRUNCATE, REGULAR, -1
    yield EINVAL, OP_PWRITE, REGULAR, -page, page, page
    yield EINVAL, OP_PWRITE, REGULAR, page, -page, page
    yield EINVAL, OP_CLEAR_REFS, 0
    yield EINVAL, OP_CLEAR_REFS, 6
    yield EINVAL, OP_CLEAR_REFS, -1


def of_room(world: World) -> Iterator[Call]:
    """The twin's own limit: a file has room for twice its pages, and what needs more is refused as no size at all."""
    page, room = world.page, 2 * FILE_PAGES
    for file in (REGULAR, SHMEM):
        yield EINVAL, OP_FTRUNCATE, file, (room + 1) * page
        for offset, pages in ((room - 1, 2), (room + 1, 1), (0, room + 1), (1, room)):
            yield EINVAL, OP_PWRITE, file, offset * page, pages * page, page
            yield EINVAL, OP_FALLOCATE, file, 0, offset * page, pages * page
    yield 0, OP_FALLOCATE, REGULAR, FALLOC_FL_KEEP_SIZE, (room - 1) * page, page


def of_numbers(world: World) -> Iterator[Call]:
    """Operations, tasks and files that are not there, and tasks that are there already."""
    page, hole = world.page, ANON.at(world, PAGES)
    yield EINVAL, 0
    yield EINVAL, max(uapi.OP_NAMES) + 1
    yield EINVAL, uapi.OP_FORK, 1
    yield EINVAL, uapi.OP_FORK, -1
    yield EINVAL, uapi.OP_FORK, 1 << 20
    for file in (-1, 99):
        yield EINVAL, OP_FTRUNCATE, file, page
        yield EINVAL, OP_FALLOCATE, file, 0, 0, page
    yield EINVAL, OP_MMAP, hole, page, RW, MAP_SHARED | MAP_FIXED, 99, 0
    for address in (-page, 1 << 60):
        yield SIGSEGV, OP_TOUCH, address, 1, ACCESS_READ
    yield EINVAL, OP_MREMAP, ANON.at(world), page, page, MREMAP_MAYMOVE | MREMAP_FIXED, 1 << 60
    yield EINVAL, OP_MMAP, 1 << 60, page, RW, PRIVATE, -1, 0


def of_rights(world: World) -> None:
    """mprotect(2), EACCES: a shared mapping of a file that was opened to be read, as no program here does."""
    vmas = world.machine.machine.memory.tables["VMA"]
    vma = vmas["vm_start"].tolist().index(READ_ONLY.at(world))
    vmas["vm_flags"][vma] &= ~VM_MAYWRITE
    for pages in (PAGES, 1):
        world.refuses(EACCES, OP_MPROTECT, READ_ONLY.at(world), pages * world.page, RW)
    world.succeeds(OP_MPROTECT, READ_ONLY.at(world), PAGES * world.page, R | uapi.PROT_EXEC)


@check("stateful.errors", source="the system calls' manual pages")
def errors(context: Context) -> None:
    """Calls that their manual pages say fail do so with that error, and change neither mappings nor entries."""
    for variant in context.variants():
        world = World(variant)
        for calls in (of_ranges, of_mmap, of_mremap, of_madvise, of_files, of_room, of_numbers):
            for error, op, *arguments in calls(world):
                (world.refuses if error else world.returns)(error, op, *arguments)
        for error, op, *arguments in of_holes(world):
            world.returns(error, op, *arguments)
        of_rights(world)
        world.succeeds(OP_SWAPOFF)
        world.refuses(EINVAL, OP_SWAPOFF)
        world.machine.judge(variant.where)


@check("stateful.borders", source="the system calls' manual pages")
def borders(context: Context) -> None:
    """Calls that just touch what is in the way succeed, and those on ranges with holes do what is mapped of them."""
    for variant in context.variants():
        world = World(variant)
        page, at = world.page, ANON.at(world)
        free = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
        fixed, to = MREMAP_MAYMOVE | MREMAP_FIXED, CLOSED.at(world, PAGES)
        world.succeeds(OP_MMAP, at - page, page, RW, free, -1, 0)
        world.succeeds(OP_MMAP, ANON.at(world, PAGES), page, RW, free, -1, 0)
        world.succeeds(OP_MREMAP, at, 2 * page, 2 * page, fixed, at + 2 * page)
        world.refuses(EFAULT, OP_MREMAP, at, page, page, fixed, to)
        world.succeeds(OP_MREMAP, at + 2 * page, 2 * page, 2 * page, fixed, at)
        world.succeeds(OP_MREMAP, at + 4 * page, 2 * page, page, 0, 0)
        maps(world, at + 4 * page, 1, True)
        maps(world, at + 5 * page, 1, False)
        world.returns(ENOMEM, OP_MADVISE, at, PAGES * page, uapi.MADV_DONTNEED)
        present(world, at, 5, False)
        world.succeeds(OP_MADVISE, LOCKED.at(world), page, MADV_DONTNEED_LOCKED)
        present(world, LOCKED.at(world), 1, False)
        present(world, LOCKED.at(world, 1), PAGES - 1, True)
        _cached(world, 5, OP_FALLOCATE, SHMEM, 0, 50 * page, 5 * page)
        _cached(world, 2, OP_PWRITE, SHMEM, 40 * page, 2 * page, page)
        _cached(
            world, -3, OP_FALLOCATE, SHMEM, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 51 * page, 3 * page
        )
        _cached(world, -4, OP_FTRUNCATE, SHMEM, 40 * page)
        world.machine.judge(variant.where)


def maps(world: World, at: int, pages: int, wanted: bool, task: int = 1) -> None:
    """Whether accesses go through."""
    for page in range(pages):
        found = world.machine.do(OP_TOUCH, task, at + page * world.page, 1, ACCESS_READ) == 0
        if found != wanted:
            raise CheckFailed(
                f"address {at + page * world.page:#x} {'is' if found else 'is not'} mapped{world.where}",
                world.machine.steps(),
            )


def present(world: World, at: int, pages: int, wanted: bool, task: int = 1) -> None:
    """Whether entries are there, without an access."""
    observer = Observer(world.machine)
    mm, first = observer.mm_of(task), at // world.page
    for page in range(first, first + pages):
        if (observer.look(mm, page) is not None) != wanted:
            raise CheckFailed(
                f"page {page:#x} {'has no' if wanted else 'still has an'} entry{world.where}",
                world.machine.steps(),
            )


def _cached(world: World, more: int, op: int, *arguments: int) -> None:
    """A call that has to succeed, and leave so many more pages of shared memory, or fewer."""
    inodes = world.machine.machine.memory.tables["INODE"]
    before = int(inodes["nrpages"][SHMEM + 1])
    world.succeeds(op, *arguments)
    found = int(inodes["nrpages"][SHMEM + 1]) - before
    if found != more:
        raise CheckFailed(
            f"{world.machine.steps()[-1]} changes the pages of the file by {found}; right is {more}{world.where}",
            world.machine.steps(),
        )


# what a value written to clear_refs makes old: anonymous memory, memory of files
CLEARED = {1: (True, True), 2: (True, False), 3: (False, True), 4: (False, False), 5: (False, False)}


@check(
    "stateful.clear-refs",
    hooks=("ptep_test_and_clear_young", "test_and_clear_young_ptes"),
    source="proc(5), fs/proc/task_mmu.c:clear_refs_write",
)
def clear_refs(context: Context) -> None:
    """Each value written to clear_refs clears accessed flags of the mappings that proc(5) says, and of no other."""
    for variant in context.variants():
        world = World(variant)
        for value, (anon, file) in CLEARED.items():
            for area in (ANON, FILE):
                world.succeeds(OP_TOUCH, area.at(world), PAGES // 2, ACCESS_WRITE)
            world.succeeds(OP_CLEAR_REFS, value)
            for area, cleared in ((ANON, anon), (FILE, file)):
                _aged(world, area, cleared, value)
        world.machine.judge(variant.where)


def _aged(world: World, area: Area, cleared: bool, value: int) -> None:
    observer = Observer(world.machine)
    first = area.at(world) // world.page
    for page in range(first, first + PAGES // 2):
        seen = observer.look(observer.mm_of(1), page)
        if seen is None or bool(seen.young) == cleared:
            what = "is gone" if seen is None else "was accessed" if seen.young else "was not accessed"
            kind = "a file" if area.file >= 0 else "anonymous memory"
            raise CheckFailed(
                f"after {value} is written to clear_refs, page {page:#x}, of {kind}, says that it {what}{world.where}",
                world.machine.steps(),
            )
