"""Tier stateful: entries that fork, mprotect and mremap rewrite, against a second account of each."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    COLUMNS,
    MADV_COLD,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_PAGEOUT,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_LOCKED,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    OP_EXIT,
    OP_FORK,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_MREMAP,
    OP_SPAWN,
    OP_TOUCH,
    PROT_EXEC,
    PROT_READ,
)  # fmt: skip
from mmarch.check.context import Context
from mmarch.check.registry import check
from mmarch.check.rewriting import Rewriting
from mmarch.check.system import books_in_order, run_rows
from mmarch.check.tiers.meaning import private_bits
from mmarch.engine.direct import DirectMachine
from mmarch.sanitize import soak
from mmarch.sanitize.random_rows import block_pages

MACHINES, QUICK, EACH = 5, 2, 120  # of a full and a quick run; random operations of each
RW, PAGES = 3, 64
LARGEST = 5  # order of folios that lie whole in so many pages
SMALL = 11  # bits of tables of which a whole table of tables is looked at
PROTECTIONS = (RW, RW, RW, PROT_READ, PROT_READ, 0, PROT_READ | PROT_EXEC)
ADVICE = (MADV_PAGEOUT, MADV_PAGEOUT, MADV_DONTNEED, MADV_FREE)
PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
FIXED = MREMAP_MAYMOVE | MREMAP_FIXED
Row = tuple[int, ...]


@check(
    "stateful.rewriting",
    hooks=("modify_prot_start_ptes", "modify_prot_commit_ptes", "wrprotect_ptes", "pte_needs_flush"),
    source="mm/mprotect.c:change_pte_range; mm/memory.c:copy_pte_range; mm/mremap.c:move_ptes; mm/rmap.c",
    turns=True,
)
def rewriting(context: Context) -> str:
    """fork, mprotect and mremap leave each entry as it has to be then, and take as many at once as they can."""
    done, private = 0, private_bits(context)
    for made in programs(context):
        account = Rewriting(private)
        machine = soak.machine(made, "direct", instead=account.instead())
        assert isinstance(machine, DirectMachine)
        account.watch(machine)
        done += run_rows(machine, made.rows, context.where)
        books_in_order(machine, made.rows, context.where)
    return f"{done:,} operations"


def programs(context: Context) -> Iterator[soak.Round]:
    """On some machines, each of another CPU or with other folios."""
    base = replace(context.config(), granule=context.granule or context.arch.default_granule)
    machines = 1 if context.aside else QUICK if context.quick else MACHINES
    for made in soak.rounds(base, machines, context.seed, each=1):
        rng = context.rng(f"program {made.number}")
        block = block_pages(made.config.arch.granules[made.config.granule]).bit_length() - 1
        order = min((block, 2, block + 1)[made.number % 3], LARGEST)
        overrides = {**made.config.overrides, "anon_always": 1 << order}
        config = replace(made.config, anon_orders=1 << order, overrides=overrides)
        geometry = config.arch.granules[config.granule]
        rows = Program(rng, 1 << geometry.page_shift, geometry.pte_bits).rows()
        yield replace(made, rows=rows, first_asid=0, config=config)


class Program:
    """Calls of task 1 and its children on memory and files, which lie beside free room as large as they are."""

    def __init__(self, rng: random.Random, page: int, bits: int) -> None:
        self.rng, self.page, self.bits, self.table = rng, page, bits, page << bits
        base = page << 2 * bits + 1  # under an entry of its own of the third level
        self.tables = base, base + 4 * self.table
        self.places = [base + (8 * self.table) + (2 * number * PAGES + 3) * page for number in range(3)]

    def rows(self) -> tuple[Row, ...]:
        """All of them."""
        parts = (
            self._first(),
            self._tables(),
            self._locked(),
            self._exclusive(),
            self._freed(),
            self._random(),
        )
        made = chain.from_iterable(parts)
        return tuple((*row, *[0] * (COLUMNS - len(row))) for row in made)

    def _first(self) -> Iterator[Row]:
        size, shared = PAGES * self.page, MAP_SHARED | MAP_FIXED
        yield OP_SPAWN, 1
        yield OP_MMAP, 1, self.places[0], size, RW, PRIVATE, -1, 0
        yield OP_MMAP, 1, self.places[1], size, RW, shared, 0, 0
        yield OP_MMAP, 1, self.places[2], size, RW, MAP_PRIVATE | MAP_FIXED, 0, 0

    def _tables(self) -> Iterator[Row]:
        """Memory at the end and the beginning of tables moves with whole tables, with half of one, and as it was."""
        here, there = self.tables
        size = 2 * self.table
        yield OP_MMAP, 1, here, size, RW, PRIVATE, -1, 0
        yield OP_TOUCH, 1, here + self.table - 3 * self.page, 20, ACCESS_WRITE
        yield OP_MREMAP, 1, here, size, size, FIXED, there
        half = self.table + self.table // 2
        yield OP_MREMAP, 1, there, half, half, FIXED, here + self.table // 2
        yield OP_MREMAP, 1, there + half, size - half, size - half, FIXED, here
        yield OP_MPROTECT, 1, here, size, PROT_READ
        if self.bits <= SMALL:
            whole = self.table << self.bits
            yield OP_MMAP, 1, 8 * whole, whole, RW, PRIVATE, -1, 0
            yield OP_TOUCH, 1, 8 * whole + self.table - 2 * self.page, 4, ACCESS_WRITE
            yield OP_MREMAP, 1, 8 * whole, whole, whole, FIXED, 10 * whole

    def _locked(self) -> Iterator[Row]:
        """Locked memory that may only be read, of one's own and not, may be written to."""
        at, size = self.places[0] - 100 * self.page, 8 * self.page
        kinds = (PRIVATE, -1), (MAP_SHARED | MAP_FIXED, 0), (MAP_PRIVATE | MAP_FIXED, 0)
        for number, (flags, file) in enumerate(kinds):
            start = at + number * 2 * size
            yield OP_MMAP, 1, start, size, PROT_READ, flags | MAP_LOCKED, file, 0
            yield OP_MPROTECT, 1, start + self.page, 3 * self.page, RW
            yield OP_MPROTECT, 1, start, size, RW
            yield OP_MPROTECT, 1, start, size, RW | PROT_EXEC

    def _exclusive(self) -> Iterator[Row]:
        """Pages of one folio that are the parent's alone, and others that a child had too."""
        at, size = self.places[0], PAGES * self.page
        yield OP_TOUCH, 1, at, PAGES, ACCESS_WRITE
        yield OP_MREMAP, 1, at, size, size, FIXED, at + size
        yield OP_MREMAP, 1, at + size, size, size, FIXED, at
        for turn in range(3):
            if turn == 2:  # from swap, clean, but for some pages
                yield OP_MADVISE, 1, at, size, MADV_PAGEOUT
                yield OP_TOUCH, 1, at, PAGES, ACCESS_READ
                for first in range(1, PAGES, 7):
                    yield OP_TOUCH, 1, at + first * self.page, 1, ACCESS_WRITE
            yield OP_FORK, 1, 2
            yield OP_EXIT, 2
            yield OP_MADVISE, 1, self.places[2], size, MADV_COLD  # batches of the LRU hold no folio then
            for first in self.rng.sample(range(PAGES), 12):
                yield OP_TOUCH, 1, at + first * self.page, 1, ACCESS_WRITE
            for prot in (PROT_READ, RW):
                yield OP_MPROTECT, 1, at, size, prot

    def _freed(self) -> Iterator[Row]:
        """Large folios that MADV_FREE gave up, and those of a file, are reclaimed."""
        size = PAGES * self.page
        yield OP_TOUCH, 1, self.places[0], PAGES, ACCESS_WRITE
        yield OP_MADVISE, 1, self.places[0], size, MADV_FREE
        for place in self.places:
            yield OP_TOUCH, 1, place + self.page, 7, ACCESS_READ
            yield OP_MADVISE, 1, place, size, MADV_PAGEOUT

    def _random(self) -> Iterator[Row]:
        child = 0
        for _ in range(EACH):
            step = self.rng.choices(("touch", "protect", "move", "fork", "advise"), (34, 32, 14, 8, 12))[0]
            task = self.rng.choice((1, child or 1))
            if step == "fork":
                yield (OP_EXIT, child) if child else (OP_FORK, 1, 2)
                child = 0 if child else 2
            else:
                yield self._step(step, task)

    def _step(self, step: str, task: int) -> Row:
        rng, page = self.rng, self.page
        first, nr = rng.randrange(PAGES), rng.choice((1, 2, 3, 8, 16, 16, PAGES))
        nr = min(nr, PAGES - first)
        at = rng.choice((self.places[0], *self.places)) + first * page
        if step == "touch":
            return OP_TOUCH, task, at, nr, rng.choice((ACCESS_READ, ACCESS_WRITE, ACCESS_WRITE))
        if step == "protect":
            return OP_MPROTECT, task, at, nr * page, rng.choice(PROTECTIONS)
        if step == "advise":
            return OP_MADVISE, task, at, nr * page, rng.choice(ADVICE)
        to = rng.choice(self.places) + rng.choice((first, rng.randrange(PAGES - nr + 1))) * page
        beside = to + PAGES * page if rng.random() < 0.5 else to
        return (
            OP_MREMAP,
            task,
            at,
            nr * page,
            nr * page,
            FIXED | rng.choice((0, 0, 0, MREMAP_DONTUNMAP)),
            beside,
        )
