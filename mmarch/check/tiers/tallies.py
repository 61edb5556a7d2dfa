"""Tier stateful: short programs in which what is seldom counted happens; a machine that has just booted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from core_mm import uapi
from core_mm.msync import MS_SYNC
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_GROWSDOWN,
    MAP_PRIVATE,
    MAP_SHARED,
    OP_CLEAR_REFS,
    OP_EXIT,
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
    OP_SWAPOFF,
    OP_TOUCH,
)
from core_mm.vmstat import ARCH_EVENT, NAMES
from mmarch import cpus
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.tiers.corners import CORNERS, DISK, MEMORY, RW, Corner, prepared
from mmarch.engine.machine import Machine
from mmarch.runs.assemble import roots
from mmarch.sanitize import soak
from mmarch.sanitize.random_rows import Row, block_pages

READ, PRIVATE, SHARED = 1, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, MAP_FIXED | MAP_SHARED
BLOCK = 16  # pages of a large folio, of most page sizes
LONGEST = {"another_leaf"}  # of the corners: what it alone counts, others count too
INIT_MM = 1
FIRST = {"table": 1, "batch": 1, "gather": 1, "inode": 1, "mm": INIT_MM + 1}  # row 0 is nobody's


def blocks_age(at: int, page: int, entries: int) -> Iterator[Row]:
    """Large folios grow old by each way there is, whole, in part and by a page; and are written again."""
    small = at + 8 * entries * page
    yield OP_MMAP, 1, small, 4 * BLOCK * page, RW, PRIVATE, -1, 0
    for advice in (uapi.MADV_COLD, uapi.MADV_FREE):
        for first, pages in ((0, 4 * BLOCK), (1, BLOCK), (BLOCK, 1), (2 * BLOCK, BLOCK)):
            yield OP_TOUCH, 1, small, 4 * BLOCK, ACCESS_WRITE
            yield OP_MADVISE, 1, small + first * page, pages * page, advice
    for how in ((OP_LRU_GEN_AGE, 1, 1), (OP_LRU_GEN_AGE, 1, 0), (OP_CLEAR_REFS, 1, 1)):
        for access in (ACCESS_READ, ACCESS_WRITE):
            yield OP_TOUCH, 1, small, 4 * BLOCK, access
            yield how
    yield OP_TOUCH, 1, small, 4 * BLOCK, ACCESS_WRITE
    yield OP_MADVISE, 1, small, BLOCK * page, uapi.MADV_PAGEOUT
    yield OP_FORK, 1, 2
    yield OP_MADVISE, 1, small + BLOCK * page, 2 * BLOCK * page, uapi.MADV_PAGEOUT
    yield OP_TOUCH, 2, small, 4 * BLOCK, ACCESS_WRITE


def huge_pages_age(at: int, page: int, entries: int) -> Iterator[Row]:
    """A huge page grows old, is shared by a child that leaves, and is written again."""
    yield OP_TOUCH, 1, at, 1, ACCESS_WRITE
    for access in (ACCESS_READ, ACCESS_WRITE):
        yield OP_MADVISE, 1, at, entries * page, uapi.MADV_COLD
        yield OP_LRU_GEN_AGE, 1, 1
        yield OP_TOUCH, 1, at, 2, access
    yield OP_FORK, 1, 2
    yield OP_EXIT, 2
    yield OP_TOUCH, 1, at, 1, ACCESS_WRITE


def stack_grows(at: int, page: int, entries: int) -> Iterator[Row]:
    """By a page, then by more."""
    top = at + 8 * entries * page
    yield OP_MMAP, 1, top, page, RW, PRIVATE | MAP_GROWSDOWN, -1, 0
    for below in (1, 4):
        yield OP_TOUCH, 1, top - below * page, 1, ACCESS_WRITE


def written_back(at: int, page: int, entries: int) -> Iterator[Row]:
    """Pages of a file that a process has written; a private copy of one; the rest is written again."""
    there, own = at + 8 * entries * page, at + 9 * entries * page
    yield OP_PWRITE, 1, DISK, 0, 4 * BLOCK * page, 0
    yield OP_MMAP, 1, there, 4 * BLOCK * page, RW, SHARED, DISK, 0
    yield OP_MMAP, 1, own, 4 * BLOCK * page, RW, MAP_FIXED | MAP_PRIVATE, DISK, 0
    for task_at in (there, own, there):
        yield OP_TOUCH, 1, task_at, BLOCK, ACCESS_WRITE
        yield OP_MSYNC, 1, there, 2 * BLOCK * page, MS_SYNC
    yield OP_MUNMAP, 1, there, 4 * BLOCK * page
    yield OP_MUNMAP, 1, own, 4 * BLOCK * page


def shared_in_swap(at: int, page: int, entries: int) -> Iterator[Row]:
    """Folios of shared memory go to swap and come back: by a read, a write, and because swap is given up."""
    yield OP_MMAP, 1, at, 4 * BLOCK * page, RW, SHARED, MEMORY, 0
    for access in (ACCESS_READ, ACCESS_WRITE):
        yield OP_TOUCH, 1, at, 4 * BLOCK, ACCESS_WRITE
        yield OP_MADVISE, 1, at, 4 * BLOCK * page, uapi.MADV_PAGEOUT
        yield OP_TOUCH, 1, at, BLOCK, access
    yield OP_SWAPOFF, 1


def huge_files(at: int, page: int, entries: int) -> Iterator[Row]:
    """A huge page of shared memory is mapped by two tasks, written, moved away in part and cut."""
    yield OP_FTRUNCATE, 1, MEMORY, entries * page
    yield OP_MMAP, 1, at, entries * page, RW, SHARED, MEMORY, 0
    yield OP_TOUCH, 1, at, 1, ACCESS_WRITE
    yield OP_FORK, 1, 2
    for access in (ACCESS_READ, ACCESS_WRITE):
        yield OP_TOUCH, 2, at, 1, access
    yield OP_MREMAP, 1, at, BLOCK * page, BLOCK * page, 3, at + 8 * entries * page
    yield OP_FTRUNCATE, 1, MEMORY, BLOCK * page
    yield OP_FTRUNCATE, 1, MEMORY, BLOCK * page - 1  # nothing of a page that goes is left to zero


def tables_go(at: int, page: int, entries: int) -> Iterator[Row]:
    """A mapping that lies in three tables loses them; a second one loses its rights first."""
    size = 3 * entries * page
    yield OP_MADVISE, 1, at, 2 * entries * page, uapi.MADV_NOHUGEPAGE
    there = at + 8 * entries * page
    yield OP_MMAP, 1, there, size, RW, PRIVATE, -1, 0
    yield OP_MADVISE, 1, there, size, uapi.MADV_NOHUGEPAGE
    for number in range(3):
        yield OP_TOUCH, 1, there + number * entries * page, 2 * BLOCK, ACCESS_WRITE
    yield OP_MPROTECT, 1, there, entries * page, READ
    yield OP_MPROTECT, 1, there, entries * page, RW
    yield OP_MUNMAP, 1, there, size


def rights_change(at: int, page: int, entries: int) -> Iterator[Row]:
    """A few pages lose rights, and one goes."""
    small = at + 8 * entries * page
    yield OP_MMAP, 1, small, 8 * page, RW, PRIVATE, -1, 0
    yield OP_TOUCH, 1, small, 5, ACCESS_WRITE
    yield OP_MPROTECT, 1, small, 4 * page, READ
    yield OP_MUNMAP, 1, small + page, 5 * page


TALLIES: tuple[Corner, ...] = (
    blocks_age, huge_pages_age, stack_grows, written_back, shared_in_swap, huge_files, tables_go,
)  # fmt: skip


def tallies(context: Context) -> Iterator[soak.Round]:
    """The corners, and these, on a CPU that has most; what hardware may do by itself, on one that does least."""
    if context.aside:
        return
    yield from cornered(context, () if context.every else LONGEST)
    if context.cpu or not context.small_tables:  # a CPU: one of many that a full run looks at
        return
    able = replace(context, cpu=most(context))
    block = block_pages(context.geometry)
    yield from (with_blocks(prepared(able, corner), block) for corner in TALLIES)
    poorest = replace(context, cpu=least(context))
    yield from (with_blocks(prepared(poorest, corner), block) for corner in (blocks_age, huge_pages_age))
    for shortage in ({"max_table_batch": 2}, {"max_gather_batch": 8}, {"fail_nowait": 1}):
        made = prepared(able, tables_go)
        config = replace(made.config, overrides={**made.config.overrides, **shortage})
        yield replace(made, config=config)


def cornered(context: Context, but: Collection[str] = ()) -> Iterator[soak.Round]:
    """The corners, without those of these names, on a CPU that has most."""
    able = replace(context, cpu=context.cpu or most(context))
    for corner in CORNERS if context.small_tables else ():
        if corner.__name__ not in but:
            yield prepared(able, corner)


def with_blocks(made: soak.Round, block: int) -> soak.Round:
    """The same with folios as large as contiguous blocks, too."""
    orders = made.config.anon_orders | block
    overrides = {**made.config.overrides, "anon_always": orders}
    shared = made.config.shmem_orders | block
    return replace(
        made, config=replace(made.config, anon_orders=orders, shmem_orders=shared, overrides=overrides)
    )


def most(context: Context) -> str:
    """The CPU model with the most features; "" where an architecture tells none apart."""
    models = context.arch.cpus
    return max(models, key=lambda name: sum(map(bool, models[name].features.values())), default="")


def least(context: Context) -> str:
    """The one of all that together try every feature which has the fewest."""
    arch = context.arch
    known = cpus.covering(arch) if arch.cpus else []
    return min(known, key=lambda name: sum(map(bool, cpus.find(arch, name).features.values())), default="")


@check("stateful.uncounted", source="core_mm/vmstat.py: counters, log", turns=True)
def watching_counts_nothing(context: Context) -> str:
    """A machine with a log counts what one without it does, on every CPU; one that has just booted has used nothing."""
    able = (
        [replace(context, cpu=cpu) for cpu in cpus.covering(context.arch)] if not context.cpu else [context]
    )
    for variant in able:
        made = prepared(variant, rights_change)
        without = replace(made.config, log_rows=0, overrides={**made.config.overrides, "log_ptes": 0})
        watched, alone = (counts(one) for one in (made, replace(made, config=without)))
        for event in np.flatnonzero(watched != alone).tolist():
            raise CheckFailed(
                f"{name_of(context, event)} is counted {alone[event]} times, and {watched[event]} times with a log"
                f"{variant.where}"
            )
    booted(context)
    return f"{len(able)} CPUs"


def counts(made: soak.Round) -> np.ndarray:
    """Event -> how often, of this program."""
    machine = soak.machine(made, "interpreted")
    machine.call("run_operations", 0, len(made.rows))
    return np.asarray(machine.counts().sum(axis=(0, 1)))


def name_of(context: Context, event: int) -> str:
    """As results have it."""
    return NAMES[event] if event < ARCH_EVENT else context.arch.events[event - ARCH_EVENT]


def booted(context: Context) -> None:
    """The first row that a table gives away is the one behind nobody's; of address spaces there is init_mm alone."""
    machine = Machine(context.config(), "interpreted", roots())
    returned = machine.call("boot")
    next_rows = {name: machine.memory.get("mach", f"next_{name}") for name in FIRST}
    users = np.flatnonzero(machine.memory.tables["MM"]["mm_users"]).tolist()
    user = int(machine.memory.tables["MM"]["mm_users"][INIT_MM])
    if (returned, next_rows, users, user) != (0, FIRST, [INIT_MM], 1):
        raise CheckFailed(
            f"boot returns {returned}, and leaves {next_rows} as the rows that come next, mm rows {users} in use, "
            f"{user} users of init_mm; right are 0, {FIRST}, [{INIT_MM}] and 1{context.where}"
        )
