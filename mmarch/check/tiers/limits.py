"""Tier stateful: limits of calls: what is just allowed is done, one more is refused with its manual page's error."""

from __future__ import annotations

from collections.abc import Callable

from core_mm.mm_types import EEXIST, EFAULT, EINVAL, ENOMEM, SIGBUS, SIGSEGV
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    FILE_REGULAR,
    FILE_SHMEM,
    MADV_COLD,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_NOHUGEPAGE,
    MADV_PAGEOUT,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    OP_BRK,
    OP_FALLOCATE,
    OP_FORK,
    OP_FTRUNCATE,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_MREMAP,
    OP_MSYNC,
    OP_MUNMAP,
    OP_PWRITE,
    OP_TOUCH,
)
from core_mm.vmstat import GATHER_FLUSH_TABLES, TLB_REMOVE_TABLE
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, in_order, outcome, system
from mmarch.engine.direct import DirectMachine
from mmarch.sanitize.answers import MS_SYNC

NONE, R, RW = 0, 1, 3
PRIVATE, SHARED = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, MAP_SHARED | MAP_FIXED
FILE_PAGES = 32
BASE = 1 << 34  # bytes, aligned to tables of every page size
MAX_MAP_COUNT = 65530  # sysctl vm.max_map_count
STACK = 8 << 20  # bytes, RLIMIT_STACK
TABLES = 3  # of a batch, where a page would hold some 500
GAP = 256  # pages, stack_guard_gap


class World:
    """A machine with one task and a file of each kind."""

    def __init__(self, context: Context) -> None:
        size = FILE_PAGES << context.geometry.page_shift
        self.machine: System = system(context, files=((FILE_REGULAR, size), (FILE_SHMEM, size)))
        self.page, self.where = self.machine.page, context.where
        geometry = context.geometry
        self.top = 1 << min(geometry.page_shift + geometry.pte_bits * self.get("levels"), 48)
        self.table = self.page << geometry.pte_bits  # bytes under one table of PTEs

    def get(self, name: str) -> int:
        """A value of `cfg`."""
        return self.machine.machine.memory.get("cfg", name)

    def allow(self, name: str, value: int) -> None:
        """The machine has room for rows up to this one."""
        assert isinstance(self.machine.machine, DirectMachine)
        setattr(self.machine.machine.cfg, name, value)

    def returns(self, wanted: int, op: int, *arguments: int) -> None:
        """A call of task 1 with its result: what it gives, or the negated error."""
        found = self.machine.do(op, 1, *arguments)
        if found != wanted:
            steps = self.machine.steps()
            raise CheckFailed(
                f"{steps[-1]} returned {outcome(found)}; right is {outcome(wanted)}{self.where}", steps
            )


def of_files(world: World) -> None:
    """A file has room for so many bytes, a write, its size and a range may end with them."""
    page, at = world.page, BASE
    for file in (0, 1):
        room = int(world.machine.machine.memory.tables["INODE"]["pages"][file + 1]) * page
        world.returns(0, OP_PWRITE, file, room - page, page, page)
        world.returns(0, OP_PWRITE, file, room, 0, page)
        world.returns(-EINVAL, OP_PWRITE, file, room, 1, page)
        world.returns(-EINVAL, OP_PWRITE, file, room - page, page + 1, page)
        world.returns(-EINVAL, OP_PWRITE, file, 0, -1, page)
        world.returns(0, OP_FALLOCATE, file, 0, room - page, page)
        world.returns(-EINVAL, OP_FALLOCATE, file, 0, room, page)
        world.returns(-EINVAL, OP_FALLOCATE, file, 0, room - page, page + 1)
        world.returns(-EINVAL, OP_FTRUNCATE, file, room + 1)
        world.returns(0, OP_FTRUNCATE, file, room)
        world.returns(at, OP_MMAP, at, 2 * page, RW, SHARED, file, room - page)
        world.returns(0, OP_TOUCH, at, 1, ACCESS_WRITE)
        world.returns(-SIGBUS, OP_TOUCH, at + page, 1, ACCESS_WRITE)
        world.returns(0, OP_FTRUNCATE, file, room - page)
        world.returns(-SIGBUS, OP_TOUCH, at, 1, ACCESS_WRITE)
        world.returns(0, OP_FTRUNCATE, file, 0)
        world.returns(-SIGBUS, OP_TOUCH, at, 1, ACCESS_WRITE)
    world.returns(-EINVAL, OP_MMAP, at, page, RW, SHARED, 2, 0)
    world.returns(at, OP_MMAP, at, page, RW, MAP_SHARED_VALIDATE | MAP_FIXED, 1, 0)
    world.returns(-EINVAL, OP_MMAP, at, page, RW, MAP_SHARED_VALIDATE + 1 | MAP_FIXED, 1, 0)


def of_addresses(world: World) -> None:
    """Addresses begin with 0, and end with the user's half."""
    page, top = world.page, world.top
    for at in (0, top - page):
        world.returns(-SIGSEGV, OP_TOUCH, at, 1, ACCESS_WRITE)
        world.returns(at, OP_MMAP, at, page, RW, PRIVATE, -1, 0)
        world.returns(0, OP_TOUCH, at, 1, ACCESS_WRITE)
    world.returns(-EINVAL, OP_MMAP, top - page, 2 * page, RW, PRIVATE, -1, 0)
    world.returns(-EINVAL, OP_MMAP, top, page, RW, PRIVATE, -1, 0)
    world.returns(-SIGSEGV, OP_TOUCH, top, 1, ACCESS_WRITE)
    world.returns(0, OP_MUNMAP, 0, top)
    world.returns(0, OP_MMAP, 0, top, NONE, PRIVATE, -1, 0)
    world.returns(0, OP_MUNMAP, 0, top)
    world.returns(top - 4 * page, OP_BRK, top - 4 * page)
    world.returns(top - 4 * page, OP_BRK, top)
    world.returns(top - 3 * page, OP_BRK, top - 3 * page)
    world.returns(top - 3 * page, OP_BRK, top - 5 * page)
    world.returns(top - 4 * page, OP_BRK, top - 4 * page)
    at, move = BASE, MREMAP_MAYMOVE | MREMAP_FIXED
    world.returns(at, OP_MMAP, at, page, RW, PRIVATE, -1, 0)
    world.returns(at + page, OP_MREMAP, at, page, page, move, at + page)
    world.returns(at, OP_MREMAP, at + page, page, page, move, at)
    world.returns(-EINVAL, OP_MREMAP, at, page, 2 * page, move, at - page)
    for old, new in ((at, 0), (0, at)):
        world.returns(new, OP_MREMAP, old, page, page, move, new)
    world.returns(0, OP_MREMAP, at, page, 2 * page, MREMAP_MAYMOVE, 0)
    world.returns(0, OP_MREMAP, 0, 2 * page, 4 * page, 0, 0)
    world.returns(-EINVAL, OP_MREMAP, 0, 0, page, MREMAP_MAYMOVE, at)
    world.returns(0, OP_MUNMAP, 0, 4 * page)


def of_neighbours(world: World) -> None:
    """A mapping ends with its last byte: what is asked of the page before it, or behind, is asked of nothing."""
    page, at = world.page, BASE + 16 * world.page
    world.returns(at, OP_MMAP, at, page, RW, PRIVATE, -1, 0)
    world.returns(0, OP_TOUCH, at, 1, ACCESS_WRITE)
    for place in (at - page, at + page):
        world.returns(-ENOMEM, OP_MSYNC, place, page, MS_SYNC)
        world.returns(-ENOMEM, OP_MPROTECT, place, page, R)
        for advice in (
            MADV_DONTNEED,
            MADV_FREE,
            MADV_COLD,
            MADV_PAGEOUT,
            MADV_POPULATE_READ,
            MADV_POPULATE_WRITE,
        ):
            world.returns(-ENOMEM, OP_MADVISE, place, page, advice)
        world.returns(-EFAULT, OP_MREMAP, place, page, 2 * page, MREMAP_MAYMOVE, at + 64 * page)
        world.returns(-SIGSEGV, OP_TOUCH, place, 1, ACCESS_READ)
        world.returns(0, OP_MUNMAP, place, page)
    for start in (at - page, at):
        world.returns(-ENOMEM, OP_MSYNC, start, 2 * page, MS_SYNC)
        world.returns(-ENOMEM, OP_MADVISE, start, 2 * page, MADV_POPULATE_READ)
        world.returns(-EEXIST, OP_MMAP, start, 2 * page, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0)
    world.returns(0, OP_MSYNC, at, page, MS_SYNC)
    for place in (at - page, at + page):
        world.returns(place, OP_MMAP, place, page, R, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0)
    world.returns(0, OP_TOUCH, at - page, 3, ACCESS_READ)
    world.returns(-SIGSEGV, OP_TOUCH, at - page, 1, ACCESS_WRITE)


def of_mappings(world: World) -> None:
    """As many mappings as an address space may have; what would make one too many is refused."""
    page, mms, at = world.page, world.machine.machine.memory.tables["MM"], BASE
    mm = int(world.machine.machine.memory.tables["TASK"]["mm"][2])
    world.returns(at, OP_BRK, at)

    def there_are(count: int, wanted: int, op: int, *arguments: int) -> None:
        own = int(mms["map_count"][mm])
        mms["map_count"][mm] = count
        world.returns(wanted, op, *arguments)
        mms["map_count"][mm] = own + int(mms["map_count"][mm]) - count

    place = at + 64 * page
    world.returns(place, OP_MMAP, place, 32 * page, RW, PRIVATE, -1, 0)
    new = at + 256 * page
    there_are(MAX_MAP_COUNT + 1, -ENOMEM, OP_MMAP, new, page, RW, PRIVATE, -1, 0)
    there_are(MAX_MAP_COUNT, new, OP_MMAP, new, page, RW, PRIVATE, -1, 0)
    there_are(MAX_MAP_COUNT + 1, at, OP_BRK, at + page)
    there_are(MAX_MAP_COUNT, at + page, OP_BRK, at + page)
    there_are(MAX_MAP_COUNT, -ENOMEM, OP_MPROTECT, place, page, R)
    there_are(MAX_MAP_COUNT - 1, 0, OP_MPROTECT, place, page, R)
    there_are(MAX_MAP_COUNT, -ENOMEM, OP_MUNMAP, place + 8 * page, page)
    there_are(MAX_MAP_COUNT - 1, 0, OP_MUNMAP, place + 8 * page, page)
    there_are(MAX_MAP_COUNT, 0, OP_MUNMAP, place + 9 * page, page)
    there_are(MAX_MAP_COUNT, 0, OP_MUNMAP, place + 31 * page, page)
    to = at + 512 * page
    fixed = MREMAP_MAYMOVE | MREMAP_FIXED
    there_are(MAX_MAP_COUNT - 5, -ENOMEM, OP_MREMAP, place + 12 * page, page, page, fixed, to)
    there_are(MAX_MAP_COUNT - 6, to, OP_MREMAP, place + 12 * page, page, page, fixed, to)
    for count, wanted in ((MAX_MAP_COUNT - 3, -ENOMEM), (MAX_MAP_COUNT - 4, to + 64 * page)):
        there_are(count, wanted, OP_MREMAP, place + 16 * page, page, 2 * page, MREMAP_MAYMOVE, to + 64 * page)


def of_stacks(world: World) -> None:
    """A stack grows to its limit, and no nearer to what lies below than the gap."""
    page, end = world.page, BASE + 4 * STACK
    world.returns(end - page, OP_MMAP, end - page, page, RW, PRIVATE | MAP_GROWSDOWN, -1, 0)
    world.returns(-SIGSEGV, OP_TOUCH, end - STACK - page, 1, ACCESS_WRITE)
    if GAP * page < STACK // 2:
        below = end - STACK // 2 - GAP * page
        world.returns(below - page, OP_MMAP, below - page, page, RW, PRIVATE, -1, 0)
        world.returns(-SIGSEGV, OP_TOUCH, below + (GAP - 1) * page, 1, ACCESS_WRITE)
        world.returns(0, OP_TOUCH, below + GAP * page, 1, ACCESS_WRITE)
        world.returns(0, OP_MUNMAP, below - page, page)
    world.returns(0, OP_TOUCH, end - STACK, 1, ACCESS_WRITE)
    world.returns(-SIGSEGV, OP_TOUCH, end - STACK - page, 1, ACCESS_WRITE)


def of_rows(world: World) -> None:
    """The last row of each table can be used, and none behind it."""
    machine, page, at = world.machine, world.page, BASE
    last = world.get("nr_tasks") - 2
    world.returns(-EINVAL, OP_FORK, last + 1)
    world.returns(-EINVAL, OP_FORK, -1)
    world.returns(0, OP_FORK, 0)
    world.allow("nr_mms", machine.get("next_mm") + 1)
    world.returns(0, OP_FORK, last)
    world.returns(-ENOMEM, OP_FORK, 3)
    world.allow("nr_vmas", max(machine.get("next_vma"), 1) + 1)
    world.returns(at, OP_MMAP, at, page, RW, PRIVATE, -1, 0)
    world.returns(-ENOMEM, OP_MMAP, at + 4 * page, page, RW, PRIVATE, -1, 0)
    world.allow("nr_vmas", world.get("nr_vmas"))
    world.returns(0, OP_TOUCH, at, 1, ACCESS_WRITE)
    for number, wanted in ((1, 0), (2, -ENOMEM)):
        place = at + number * world.table
        world.returns(place, OP_MMAP, place, page, RW, PRIVATE, -1, 0)
        if number == 1:
            world.allow("max_tables", machine.get("next_table") + 1)
        world.returns(wanted, OP_TOUCH, place, 1, ACCESS_WRITE)
    world.allow("max_tables", world.get("max_tables"))
    own = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED
    for name, used, room in (("nr_inodes", "next_inode", 1), ("nr_file_pages", "next_file_page", 4)):
        at += 64 * page
        world.allow(name, machine.get(used) + room)
        world.returns(at, OP_MMAP, at, 4 * page, RW, own, -1, 0)
        world.returns(-ENOMEM, OP_MMAP, at + 8 * page, page, RW, own, -1, 0)
        world.allow(name, world.get(name))
        world.returns(at + 8 * page, OP_MMAP, at + 8 * page, 8 * page, RW, own, -1, 0)


def of_gathers(world: World) -> None:
    """Without room for a batch a gather is full earlier, and frees all the same; a full batch of tables is flushed."""
    page, machine = world.page, world.machine
    world.allow("max_batches", machine.get("next_batch") + (machine.get("free_batches") == 0))
    world.returns(BASE, OP_MMAP, BASE, 64 * page, RW, PRIVATE, -1, 0)
    world.returns(0, OP_MADVISE, BASE, 64 * page, MADV_NOHUGEPAGE)
    world.returns(0, OP_TOUCH, BASE, 64, ACCESS_WRITE)
    world.returns(0, OP_MUNMAP, BASE, 64 * page)
    world.allow("max_batches", world.get("max_batches"))
    world.allow("max_table_batch", TABLES)
    world.returns(BASE, OP_MMAP, BASE, 7 * world.table, RW, PRIVATE, -1, 0)
    for number in range(7):
        world.returns(0, OP_TOUCH, BASE + number * world.table, 1, ACCESS_WRITE)
    before = machine.count(TLB_REMOVE_TABLE)
    world.returns(0, OP_MUNMAP, BASE, 7 * world.table)
    tables, flushes = machine.count(TLB_REMOVE_TABLE) - before, machine.count(GATHER_FLUSH_TABLES)
    if flushes != tables // TABLES:
        raise CheckFailed(
            f"a gather of {tables} tables, of which a batch holds {TABLES}, flushes {flushes} full batches"
        )


LIMITS: tuple[Callable[[World], None], ...] = (
    of_files,
    of_addresses,
    of_neighbours,
    of_mappings,
    of_stacks,
    of_rows,
    of_gathers,
)


@check(
    "stateful.limits",
    source="mmap(2), mremap(2), brk(2), setrlimit(2); Documentation/admin-guide/sysctl/vm.rst",
)
def limits(context: Context) -> None:
    """What is just allowed is done, and one byte, page, mapping or row more is refused."""
    for variant in context.variants():
        for limit in LIMITS:
            world = World(variant)
            limit(world)
            in_order(world.machine, variant.where)
