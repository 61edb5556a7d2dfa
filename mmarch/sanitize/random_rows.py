"""Random operations that mostly make sense, written without running them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from core_mm import uapi
from core_mm.uapi import (
    ACCESS_EXEC,
    ACCESS_READ,
    ACCESS_WRITE,
    COLUMNS,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
)

TASKS = 8
FILE_PAGES = 512
RW = 3
PROTS = (0, 1, 3, 3, 3, 3, 3, 3, 5, 7)
ADVICE = (
    uapi.MADV_DONTNEED, uapi.MADV_DONTNEED, uapi.MADV_FREE, uapi.MADV_FREE, uapi.MADV_COLD, uapi.MADV_PAGEOUT,
    uapi.MADV_PAGEOUT, uapi.MADV_POPULATE_READ, uapi.MADV_POPULATE_WRITE, uapi.MADV_COLLAPSE, uapi.MADV_DONTFORK,
    uapi.MADV_DOFORK, uapi.MADV_WIPEONFORK, uapi.MADV_KEEPONFORK, uapi.MADV_REMOVE, uapi.MADV_HUGEPAGE,
)  # fmt: skip
Row = tuple[int, ...]


class Writer:
    """Writes random operations that mostly make sense: it knows which tasks live and what is mapped with what rights.

    weights  method that writes an operation -> how often it is chosen
    live     task -> protection of each page of the arena, -1 where nothing is mapped
    """

    weights: ClassVar[Mapping[str, int]] = {
        "touch": 400, "mmap": 80, "munmap": 60, "mprotect": 90, "madvise": 140, "mremap": 50, "fork": 50, "exit": 30,
        "spawn": 10, "file": 50, "fallocate": 15, "heap": 20, "age": 40, "swapoff": 1,
    }  # fmt: skip

    def __init__(self, rng: random.Random, page: int, block: int, entries: int) -> None:
        self.rng, self.page, self.block, self.entries = rng, page, block, entries
        self.size = 6 * block
        self.base = 64 * entries - 2 * block  # two blocks before the border of two tables
        self.live: dict[int, list[int]] = {}
        self.rows: list[Row] = []

    def write(self, count: int) -> tuple[Row, ...]:
        """`count` operations."""
        self._born(1)
        while len(self.rows) < count:
            (kind,) = self.rng.choices(list(self.weights), list(self.weights.values()))
            getattr(self, kind)()
        return tuple(self.rows[:count])

    def _add(self, op: int, task: int, *cells: int) -> None:
        self.rows.append((op, task, *cells, *[0] * (COLUMNS - 2 - len(cells))))

    def _born(self, task: int) -> None:
        self._add(uapi.OP_SPAWN, task)
        self.live[task] = [-1] * self.size
        self._map(task, 0, self.size, RW, -1)

    def _task(self) -> int:
        return self.rng.choice(sorted(self.live))

    def _free(self) -> int:
        """A task index that is free, 0 if there is none."""
        return next((task for task in range(1, TASKS) if task not in self.live), 0)

    def _any(self) -> tuple[int, int]:
        """First page of the arena and pages: mostly about blocks, at times of whole tables."""
        rng = self.rng
        if rng.random() < 0.02:
            return -rng.randrange(self.entries), rng.randrange(1, 3 * self.entries)
        start = rng.choice((rng.randrange(self.size), rng.randrange(6) * self.block))
        pages = rng.choice((1, 2, self.block, self.block // 2, rng.randrange(1, self.size), self.size))
        return start, min(pages, self.size - start)

    def _mapped(self, task: int, need: int = 0) -> tuple[int, int]:
        """The same, of pages that are mapped with `need`, as a rule."""
        for _ in range(6):
            start, pages = self._any()
            rights = self.live[task][start : start + pages] if start >= 0 else []
            good = next((i for i, prot in enumerate(rights) if prot < 0 or prot & need != need), len(rights))
            if good:
                return start, good
        return self._any()

    def _bytes(self, start: int, pages: int) -> tuple[int, int]:
        return (self.base + start) * self.page, pages * self.page

    def _note(self, task: int, start: int, pages: int, prot: int) -> None:
        shadow = self.live[task]
        for at in range(max(0, start), min(start + pages, self.size)):
            shadow[at] = prot if prot < 0 or shadow[at] >= 0 else shadow[at]

    def _map(self, task: int, start: int, pages: int, prot: int, file: int) -> None:
        rng = self.rng
        flags = MAP_FIXED | (MAP_SHARED if rng.random() < 0.5 and file >= 0 else MAP_PRIVATE)
        flags |= (MAP_ANONYMOUS if file < 0 else 0) | (MAP_POPULATE if rng.random() < 0.1 else 0)
        offset = rng.randrange(4) * self.block * self.page if file >= 0 else 0
        self._add(uapi.OP_MMAP, task, *self._bytes(start, pages), prot, flags, file, offset)
        for at in range(max(0, start), min(start + pages, self.size)):
            self.live[task][at] = prot

    def mmap(self) -> None:
        """Of memory or a file."""
        self._map(self._task(), *self._any(), self.rng.choice(PROTS), self.rng.choice((-1, -1, -1, 0, 1)))

    def touch(self) -> None:
        """Reads, writes, a few fetches."""
        task = self._task()
        access = self.rng.choices((ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC), (5, 8, 1))[0]
        start, pages = self._mapped(task, (1, 2, 4)[access])
        at, _ = self._bytes(start, pages)
        self._add(uapi.OP_TOUCH, task, at, min(pages, 2 * self.block), access)

    def munmap(self) -> None:
        """Of anything; as a rule something else comes there."""
        task, (start, pages) = self._task(), self._any()
        self._add(uapi.OP_MUNMAP, task, *self._bytes(start, pages))
        self._note(task, start, pages, -1)
        if self.rng.random() < 0.6:
            self._map(task, start, pages, self.rng.choice(PROTS), self.rng.choice((-1, -1, 0, 1)))

    def mprotect(self) -> None:
        """To anything."""
        task = self._task()
        (start, pages), prot = self._mapped(task), self.rng.choice(PROTS)
        self._add(uapi.OP_MPROTECT, task, *self._bytes(start, pages), prot)
        self._note(task, start, pages, prot)

    def madvise(self) -> None:
        """Whatever there is."""
        task = self._task()
        self._add(uapi.OP_MADVISE, task, *self._bytes(*self._mapped(task)), self.rng.choice(ADVICE))

    def mremap(self) -> None:
        """Move, grow, shrink."""
        task = self._task()
        (start, pages), (to, _) = self._mapped(task), self._any()
        new = max(1, self.rng.choice((pages, pages, pages // 2, 2 * pages)))
        (old, size), (at, _) = self._bytes(start, pages), self._bytes(to, new)
        self._add(uapi.OP_MREMAP, task, old, size, new * self.page, 3, at)
        self._note(task, to, new, -1)
        self._note(task, start, pages, -1)
        self._map(task, start, pages, RW, -1)

    def fork(self) -> None:
        """If there is a task to spare."""
        child, parent = self._free(), self._task()
        if child:
            op = self.rng.choices((uapi.OP_FORK, uapi.OP_VFORK, uapi.OP_CLONE_VM), (8, 1, 1))[0]
            self._add(op, parent, child)
            self.live[child] = list(self.live[parent])

    def exit(self) -> None:
        """Of a task, or a new program in it; one task stays."""
        task = self._task()
        if len(self.live) > 1 and self.rng.random() < 0.8:
            self._add(uapi.OP_EXIT, task)
            del self.live[task]
        elif len(self.live) > 1:
            self._add(uapi.OP_EXEC, task, (self.base + 64 * self.entries) * self.page)
            self._map(task, 0, self.size, RW, -1)

    def spawn(self) -> None:
        """A task from nowhere."""
        if task := self._free():
            self._born(task)

    def file(self) -> None:
        """Write, write back, truncate, drop."""
        rng, page, task = self.rng, self.page, self._task()
        kind = rng.randrange(4)
        if kind == 0:
            offset, length = rng.randrange(FILE_PAGES // 2) * page, rng.randrange(1, 2 * self.block) * page
            self._add(uapi.OP_PWRITE, task, rng.randrange(2), offset, length, 65536)
        elif kind == 1:
            size = FILE_PAGES if rng.random() < 0.7 else rng.randrange(1, FILE_PAGES)
            self._add(uapi.OP_FTRUNCATE, task, rng.randrange(2), size * page)
        elif kind == 2:
            self._add(uapi.OP_DROP_CACHES, task)
        else:
            self._add(uapi.OP_MSYNC, task, *self._bytes(*self._mapped(task)), 4)

    def fallocate(self) -> None:
        """Pages of a file made ahead of their use, or a hole."""
        hole = uapi.FALLOC_FL_PUNCH_HOLE | uapi.FALLOC_FL_KEEP_SIZE
        mode = self.rng.choice((0, uapi.FALLOC_FL_KEEP_SIZE, hole, hole))
        start, pages = self.rng.randrange(FILE_PAGES // 2), self.rng.randrange(1, 2 * self.block)
        file = self.rng.randrange(2)
        self._add(uapi.OP_FALLOCATE, self._task(), file, mode, start * self.page, pages * self.page)

    def heap(self) -> None:
        """brk up or down, and accesses to what there may be; the heap begins above the arena."""
        task, start = self._task(), self.base + 8 * self.entries
        self._add(uapi.OP_BRK, task, (start + self.rng.randrange(2 * self.block)) * self.page)
        access = self.rng.choice((ACCESS_READ, ACCESS_WRITE))
        self._add(
            uapi.OP_TOUCH, task, (start + self.rng.randrange(self.block)) * self.page, self.block, access
        )

    def swapoff(self) -> None:
        """Everything comes back from swap, which is gone."""
        self._add(uapi.OP_SWAPOFF, self._task())

    def age(self) -> None:
        """Aging, or clearing accessed flags."""
        if self.rng.random() < 0.5:
            self._add(uapi.OP_LRU_GEN_AGE, self._task())
        else:
            self._add(uapi.OP_CLEAR_REFS, self._task(), 1)
