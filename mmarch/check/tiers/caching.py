"""Tier stateful: what calls on files leave in the page cache, in mappings and of the file, against a second account."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from core_mm.mm_types import ENOMEM, PG_DIRTY, PG_UPTODATE, SIGBUS
from core_mm.msync import MS_SYNC
from core_mm.uapi import (
    ACCESS_WRITE,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FILE_EXT4,
    FILE_RAMFS,
    FILE_SHMEM,
    FILE_TMPFS,
    FILE_TMPFS_HUGE,
    MADV_DONTNEED,
    MADV_REMOVE,
    OP_DROP_CACHES,
    OP_FALLOCATE,
    OP_FTRUNCATE,
    OP_MADVISE,
    OP_MSYNC,
    OP_PWRITE,
    OP_TOUCH,
    OP_UNLINK,
)
from mmarch.check.caching import ANONYMOUS, DISK, HUGE, RAM, TMPFS, Caching
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.reading_ahead import READ, WRITE
from mmarch.check.registry import check
from mmarch.check.system import in_order, outcome
from mmarch.check.tiers.readahead import SHMEM_ORDERS, World, accesses
from mmarch.engine.direct import DirectMachine

KINDS = {FILE_EXT4: DISK, FILE_SHMEM: ANONYMOUS, FILE_TMPFS_HUGE: HUGE, FILE_TMPFS: TMPFS, FILE_RAMFS: RAM}
STEPS, FEWEST, ELSEWHERE = (
    600,
    200,
    15,
)  # of each kind of file: in full, on the first page size and CPU, elsewhere
STARVED = 0.1  # of calls that may make folios
EPISODE = 25  # calls between two mappings
CHUNKS = (0, 1, 3, 4, 16, 20)  # pages a call writes


class Files(World):
    """One file of some kind, calls on it, and a mapping."""

    account: Caching

    def begin(self, kind: int, text: int) -> None:
        """Of the file as it was made."""
        self.on = KINDS[kind]
        self.where += f" [{self.on}]"
        self.memory.set("cfg", "content", 1)  # so that memory may be out
        assert isinstance(self.machine.machine, DirectMachine)
        self.machine.machine.cfg.content = 1
        self.account = Caching(
            self.pages, self.page, self.on == DISK and bool(self.has("ext4_large_folios")), text, self.has,
            memory=self.on in (ANONYMOUS, TMPFS, HUGE), kind=self.on, bytes=self.pages * self.page - 7,
            room=2 * self.pages, huge=self.memory.get("cfg", "pmd_order"), enabled=SHMEM_ORDERS,
        )  # fmt: skip

    # -- what is called -----------------------------------------------------------------

    def place(self) -> int:
        """A byte of the file: close to the border of a page, as often as not of a large folio, or anywhere."""
        pages = self.rng.choice(
            (self.rng.randrange(self.account.room), 16 * self.rng.randrange(self.pages // 16))
        )
        return max(0, pages * self.page + self.rng.choice((0, 0, 0, 1, -1, self.page // 2)))

    def length(self, at: int) -> int:
        """Bytes from there on, of which the file has room."""
        pages = self.rng.choice((1, 2, 4, 7, 16, 33, self.rng.randrange(1, self.pages)))
        size = pages * self.page + self.rng.choice((0, 0, 0, 1, -1, self.page // 2))
        return max(1, min(size, self.account.room * self.page - at))

    def pages_in(self) -> tuple[int, int]:
        """Some pages of the mapping."""
        first = self.rng.randrange(self.area.first, self.area.after)
        return first, min(first + self.rng.choice((1, 3, 16, 40, self.pages)), self.area.after)

    def pwrite(self) -> None:
        """Write."""
        at = self.place()
        size = self.length(at)
        chunk, more = self.rng.choice(CHUNKS) * self.page, self.rng.choice((0, 0, 5))
        chunk += more if chunk else 0
        self.starving(lambda: self.account.write(at, size, chunk), OP_PWRITE, 0, at, size, chunk)

    def fallocate(self) -> None:
        """Allocate, or punch a hole."""
        at, mode = (
            self.place(),
            self.rng.choice((0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)),
        )
        size = self.length(at)
        if mode & FALLOC_FL_PUNCH_HOLE:
            self.emptying(at, size, OP_FALLOCATE, 0, mode, at, size)
            self.account.punch(at, size)
        else:
            self.starving(
                lambda: self.account.allocate(at, size, bool(mode)), OP_FALLOCATE, 0, mode, at, size
            )

    def emptying(self, at: int, size: int, *row: int) -> None:
        """A call that leaves zeros in the whole pages of some bytes, where it leaves any, and others as they are."""
        before = self.held()
        self.do(*row)
        hole = range(-(-at // self.page), (at + size) // self.page)
        for page, held in self.held().items():
            right = 0 if page in hole else before[page]
            if held != right:
                steps = self.machine.steps()
                raise CheckFailed(
                    f"after {steps[-1]}, page {page} of the file holds {held:#x}; right is {right:#x}", steps
                )

    def held(self) -> dict[int, int]:
        """What the cached pages of the file hold."""
        room = self._room()
        pages = np.flatnonzero(room)
        return dict(zip(pages.tolist(), self.memory.arrays["content"][room[pages]].tolist(), strict=True))

    def starving(self, account: Callable[[], None], *row: int) -> None:
        """A call whose first allocation may fail."""
        self.account.starved = starved = self.rng.random() < STARVED
        right = 0
        try:
            account()
        except MemoryError:
            right = -ENOMEM
        self.machine.set("fail_nth", int(starved))
        self.returns(right, *row)
        self.machine.set("fail_nth", 0)
        self.account.starved = False

    def ftruncate(self) -> None:
        """Shorter or longer."""
        size = min(self.place(), self.account.room * self.page)
        self.emptying(size, self.account.room * self.page, OP_FTRUNCATE, 0, size)
        self.account.truncate(size)

    def msync(self) -> None:
        """Of a part of the mapping."""
        first, after = self.pages_in()
        self.do(OP_MSYNC, self.at(first), (after - first) * self.page, MS_SYNC)
        self.account.sync(first, after)

    def drop_caches(self) -> None:
        """Of all files."""
        self.do(OP_DROP_CACHES)
        self.account.drop()

    def give_up(self) -> None:
        """A part of the mapping, or of the file behind it."""
        first, after = self.pages_in()
        advice = MADV_DONTNEED if self.on == RAM else self.rng.choice((MADV_DONTNEED, MADV_REMOVE))
        row = OP_MADVISE, self.at(first), (after - first) * self.page, advice
        if advice == MADV_REMOVE:
            self.emptying(first * self.page, (after - first) * self.page, *row)
            self.account.punch(first * self.page, (after - first) * self.page)
        else:
            self.do(*row)
            self.account.unmap(iter(range(first, after)))

    def access(self) -> None:
        """A run of pages, some behind the end."""
        for page, access in accesses(self, self.rng.choice((1, 3, 6))):
            kind = WRITE if access == ACCESS_WRITE else READ
            right = 0 if self.account.reaches(self.area, page, kind) else -SIGBUS
            self.returns(right, OP_TOUCH, self.at(page), 1, access)
            self.compare()

    def returns(self, right: int, *row: int) -> None:
        """A call with its result: 0 for success, or the negated error."""
        op, *arguments = row
        found = min(self.machine.do(op, 1, *arguments), 0)
        if found != right:
            steps = self.machine.steps()
            raise CheckFailed(
                f"{steps[-1]} returned {outcome(found)}; right is {outcome(right)}{self.where}", steps
            )

    def drained(self) -> None:
        """No new folio waits for its list."""
        waiting = self.machine.get("lru_added") - self.machine.get("lru_emptied")
        if self.account.drains and waiting:
            steps = self.machine.steps()
            raise CheckFailed(
                f"after {steps[-1]}, {waiting} new folios still wait for their lists{self.where}", steps
            )

    def step(self) -> None:
        """One call, and whether it did what it should."""
        calls = [self.access, self.access, self.access, self.pwrite, self.pwrite, self.ftruncate, self.msync]
        calls += [self.drop_caches, self.give_up]
        if self.on != RAM:
            calls += [self.fallocate, self.fallocate, self.fallocate]
        self.account.drains = False
        self.rng.choice(calls)()
        self.compare()
        self.drained()

    def unmap(self) -> None:
        """And what was known of it."""
        self.account.unmap(iter(list(self.account.mapped)))
        super().unmap()

    # -- what there is ------------------------------------------------------------------

    def compare(self) -> None:
        """CheckFailed where the machine has it otherwise."""
        super().compare()
        row = self.memory.tables["INODE"]
        self._same("long", {0: int(row["size"][1])}, {0: self.account.bytes})
        self._same("counted", {0: int(row["nrpages"][1])}, {0: len(self.account.cache)})

    def _read(self) -> Mapping[int, tuple[object, ...]]:
        return {
            page: (one.first, one.pages, one.marked, one.dirty, one.valid)
            for page, one in self.account.cache.items()
        }

    def _cached(self) -> Mapping[int, tuple[object, ...]]:
        table = self.memory.tables["PAGE"]
        flags = table["flags"][table["head"][self._room()]]
        return {
            page: (*shape, bool(flags[page] & PG_DIRTY), bool(flags[page] & PG_UPTODATE))
            for page, shape in super()._cached().items()
        }

    def _to_map(self) -> dict[int, object]:
        return {page: page in self.account.writable for page in self.account.mapped}

    def _mapped(self) -> dict[int, object]:
        return {page: seen.write for page, seen in self._entries()}


@check(
    "stateful.caching", source="mm/truncate.c; mm/filemap.c; mm/shmem.c; fallocate(2), ftruncate(2), msync(2)"
)
def caching(context: Context) -> None:
    """Writes, holes, truncations and write-back of a file leave those folios, mappings and sizes that they should."""
    for number, variant in enumerate(context.variants()):
        for kind in KINDS:
            world = Files(variant, variant.rng(f"caching {number} {kind}"), kind)
            left = max(ELSEWHERE if number else FEWEST, round(STEPS * variant.share))
            while left > 0:
                world.map()
                for _ in range(min(left, EPISODE)):
                    world.step()
                    left -= 1
                world.formulas()
                world.unmap()
                world.compare()
            world.do(OP_UNLINK, 0)
            world.account.evict()
            world.compare()
            in_order(world.machine, variant.where)
