"""Tier stateful: what faults on a mapped file read ahead and map, against a second account of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from core_mm.mm_types import PG_ORDER_SHIFT, PG_READAHEAD
from core_mm.readahead import get_next_ra_size, next_miss
from core_mm.uapi import (
    ACCESS_EXEC,
    ACCESS_READ,
    ACCESS_WRITE,
    FILE_REGULAR,
    MADV_NORMAL,
    MADV_RANDOM,
    MADV_SEQUENTIAL,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    OP_DROP_CACHES,
    OP_MADVISE,
    OP_MMAP,
    OP_MUNMAP,
    OP_TOUCH,
)
from mmarch.check.context import Context
from mmarch.check.observing import Observer, Seen
from mmarch.check.outcome import CheckFailed
from mmarch.check.reading_ahead import READ, WRITE, Area, ReadingAhead
from mmarch.check.registry import check
from mmarch.check.system import system
from mmarch.engine.direct import DirectMachine

FILE_PAGES = 400
ACCESSES = 3000
FEWEST, ELSEWHERE = 500, 40  # on the first page size and CPU, and on each other one
EPISODES = (4, 12, 30)  # accesses between two mappings
DROPS = 0.4  # of the times that caches may be dropped
RWX = 7
ADVICE = (MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL)
SHMEM_ORDERS = 1 << 2 | 1 << 4
MISSES = (0, 0, 3, 99, 100, 101, 999, 1000)


class World:
    """One task, one file, one mapping of it at a time; and the second account."""

    def __init__(self, context: Context, rng: random.Random, kind: int = FILE_REGULAR) -> None:
        self.rng, self.where = rng, context.where
        self.pages = FILE_PAGES - rng.choice((16, 48, rng.randrange(40)))  # some end with a window
        self.machine = system(
            context,
            files=((kind, (self.pages << context.geometry.page_shift) - 7),),
            changes={"shmem_orders": SHMEM_ORDERS},
        )
        self.page, geometry = self.machine.page, context.geometry
        self.memory = self.machine.machine.memory
        self.table = self.page << geometry.pte_bits
        self.base = 16 * self.table  # where two tables meet
        assert isinstance(self.machine.machine, DirectMachine)
        self.begin(kind, self.machine.machine.hooks["exec_folio_order"]())
        for at in (
            self.base - self.table,
            self.base + self.table - self.page,
        ):  # so that both tables are there
            self.do(OP_MMAP, at, self.page, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
            self.do(OP_TOUCH, at, 1, ACCESS_WRITE)
        self.observer = Observer(self.machine)
        self.mm = self.observer.mm_of(1)

    def begin(self, kind: int, text: int) -> None:
        """The second account."""
        self.account = ReadingAhead(
            self.pages, self.page, bool(self.has("ext4_large_folios")), text, self.has
        )

    def has(self, feature: str) -> int:
        """Whether core-mm has it."""
        return self.memory.get("feature", feature)

    def do(self, *row: int) -> None:
        """A call that succeeds."""
        op, *arguments = row
        if (found := self.machine.do(op, 1, *arguments)) < 0:
            raise CheckFailed(
                f"{self.machine.steps()[-1]} returned {found}{self.where}", self.machine.steps()
            )

    def map(self) -> None:
        """Another part of the file, across the border of two tables."""
        first = self.rng.choice((0, 0, self.rng.randrange(self.pages - 1)))
        after = self.rng.randrange(first + 1, self.pages + 1)
        self.area = Area(first, after, self.rng.randrange(first, after + 1), 0, self.rng.random() < 0.25)
        prot = RWX if self.area.text else 3
        self.do(
            OP_MMAP,
            self.at(first),
            (after - first) * self.page,
            prot,
            MAP_SHARED | MAP_FIXED,
            0,
            first * self.page,
        )
        self.account.mapped.clear()

    def unmap(self) -> None:
        """And no longer."""
        self.do(OP_MUNMAP, self.at(self.area.first), (self.area.after - self.area.first) * self.page)
        self.account.mapped.clear()

    def advise(self, advice: int) -> None:
        """The whole mapping."""
        area = self.area
        self.do(OP_MADVISE, self.at(area.first), (area.after - area.first) * self.page, ADVICE[advice])
        self.area = Area(area.first, area.after, area.cut, advice, area.text)

    def at(self, page: int) -> int:
        """The address of a page of the file."""
        return self.base + (page - self.area.cut) * self.page

    def touch(self, page: int, access: int) -> None:
        """One access, by both."""
        self.do(OP_TOUCH, self.at(page), 1, access)
        self.account.touch(self.area, page, WRITE if access == ACCESS_WRITE else READ)

    def formulas(self) -> None:
        """Sizes of windows and ends of what is cached, which few accesses ask for."""
        machine, account = self.machine.machine, self.account
        assert isinstance(machine, DirectMachine)
        for size in range(1, 2 * account.most):
            if (found := machine.bound(get_next_ra_size)(size)) != account.next(size):
                raise CheckFailed(
                    f"after a window of {size} pages comes one of {found}; right is {account.next(size)}{self.where}"
                )
        pages = self.rng.sample(range(self.pages), 12)
        holes = {page: machine.bound(next_miss)(1, page) for page in pages}
        self._same("followed by a hole", holes, {page: account.hole(page) or 0 for page in pages})

    def compare(self) -> None:
        """CheckFailed where the machine has it otherwise."""
        self._same("cached", self._cached(), self._read())
        self._same("mapped", self._mapped(), self._to_map())
        self._same("known of readahead", self._known(), self._accounted())

    def _same(self, what: str, ours: Mapping[int, object], theirs: Mapping[int, object]) -> None:
        if ours == theirs:
            return
        page = min(page for page in {*ours, *theirs} if ours.get(page) != theirs.get(page))
        raise CheckFailed(
            f"page {page} of the file is {what} as {ours.get(page)}, and should be as {theirs.get(page)}{self.where}",
            self.machine.steps(),
        )

    def _read(self) -> Mapping[int, tuple[object, ...]]:
        return {page: (one.first, one.pages, one.marked) for page, one in self.account.cache.items()}

    def _cached(self) -> Mapping[int, tuple[object, ...]]:
        table, room = self.memory.tables["PAGE"], self._room()
        pages = np.flatnonzero(room)
        heads = table["head"][room[pages]]
        flags = table["flags"][heads]
        shape = pages - room[pages] + heads, 1 << (flags >> PG_ORDER_SHIFT), flags & PG_READAHEAD != 0
        return dict(
            zip(pages.tolist(), zip(*(column.tolist() for column in shape), strict=True), strict=True)
        )

    def _room(self) -> NDArray[np.int64]:
        """Of each page of the file the frame that caches it, or 0."""
        inodes = self.memory.tables["INODE"]
        return self.memory.arrays["i_pages"][int(inodes["first"][1]) :][: int(inodes["pages"][1])]

    def _to_map(self) -> dict[int, object]:
        return dict.fromkeys(self.account.mapped, True)

    def _mapped(self) -> dict[int, object]:
        return {page: True for page, _ in self._entries()}

    def _entries(self) -> Iterator[tuple[int, Seen]]:
        low, high = self.at(self.area.first) // self.page, self.at(self.area.after) // self.page
        shift = self.area.first - low
        return ((page + shift, seen) for page, seen in self.observer.walk(self.mm) if low <= page < high)

    def _known(self) -> dict[int, object]:
        row = self.memory.tables["INODE"]
        return {
            0: tuple(
                int(row[name][1]) for name in ("ra_start", "ra_size", "ra_async", "ra_order", "mmap_miss")
            )
        }

    def _accounted(self) -> dict[int, object]:
        return {0: (*self.account.window, self.account.order, self.account.misses)}


def accesses(world: World, count: int) -> Iterator[tuple[int, int]]:
    """Pages in runs up and down and alone, and how each is accessed."""
    rng, page = world.rng, world.area.first
    while count > 0:
        step, length = rng.choice(((1, 30), (1, 8), (-1, 6), (7, 9), (16, 6), (31, 5), (0, 1))), 0
        page = rng.randrange(world.area.first, world.area.after) if rng.random() < 0.7 else page
        while length < step[1] and world.area.first <= page < world.area.after and count > 0:
            kinds = (
                ACCESS_READ,
                ACCESS_READ,
                ACCESS_READ,
                ACCESS_WRITE,
                ACCESS_EXEC if world.area.text else ACCESS_READ,
            )
            yield page, rng.choice(kinds)
            page, length, count = page + step[0], length + 1, count - 1
        page = min(max(page, world.area.first), world.area.after - 1)


@check(
    "stateful.readahead",
    source="mm/readahead.c:page_cache_ra_order; mm/filemap.c:filemap_fault, filemap_map_pages",
)
def readahead(context: Context) -> None:
    """A fault on a file reads, marks and maps the pages that the windows of readahead and of faultaround hold."""
    for number, variant in enumerate(context.variants()):
        rng = variant.rng(f"readahead {number}")
        world = World(variant, rng)
        left = max(ELSEWHERE if number else FEWEST, round(ACCESSES * variant.share))
        while left > 0:
            world.map()
            world.compare()
            if rng.random() < 0.5:
                world.advise(rng.randrange(3))
            if rng.random() < 0.6:
                missed(world, rng.choice(MISSES))
            for page, access in accesses(world, min(left, rng.choice(EPISODES))):
                world.touch(page, access)
                world.compare()
                left -= 1
            world.formulas()
            for unmapped in (False, True):
                if unmapped:
                    world.unmap()
                if rng.random() < DROPS:
                    world.do(OP_DROP_CACHES)
                    world.account.drop()
                world.compare()
        world.machine.judge(variant.where)


def missed(world: World, times: int) -> None:
    """As if so many faults had missed the cache."""
    world.memory.tables["INODE"]["mmap_miss"][1] = world.account.misses = times
