"""Random operations that mostly make sense, written without running them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar, Self

from core_mm import uapi
from core_mm.descriptor import Geometry
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
FILES = 4  # every other one is shared memory; the last two lose their names some time
RW = 3
PROTS = (0, 1, 3, 3, 3, 3, 3, 3, 5, 7)
ADVICE = (
    uapi.MADV_DONTNEED, uapi.MADV_DONTNEED, uapi.MADV_FREE, uapi.MADV_FREE, uapi.MADV_COLD, uapi.MADV_PAGEOUT,
    uapi.MADV_PAGEOUT, uapi.MADV_POPULATE_READ, uapi.MADV_POPULATE_WRITE, uapi.MADV_COLLAPSE, uapi.MADV_DONTFORK,
    uapi.MADV_DOFORK, uapi.MADV_WIPEONFORK, uapi.MADV_KEEPONFORK, uapi.MADV_REMOVE, uapi.MADV_HUGEPAGE,
)  # fmt: skip
Row = tuple[int, ...]


def block_pages(geometry: Geometry) -> int:
    """Pages of a contiguous block, or of the folios that stand for one."""
    return geometry.cont_ptes if geometry.cont_ptes > 1 else 16


class Writer:
    """Writes random operations that mostly make sense: it knows which tasks live and what is mapped with what rights.

    weights  method that writes an operation, or a few that belong together -> how often it is chosen
    live     task -> protection of each page of the arena, -1 where nothing is mapped; threads have one list
    files    those that have a name
    """

    weights: ClassVar[Mapping[str, int]] = {
        "touch": 400, "mmap": 80, "munmap": 60, "mprotect": 90, "madvise": 140, "mremap": 50, "fork": 40, "thread": 15,
        "exit": 35, "spawn": 10, "file": 50, "fallocate": 15, "unlink": 4, "heap": 20, "age": 40, "swapoff": 1,
        "execute": 20, "share": 30, "forget": 20, "huge": 35, "cut": 35, "far": 15,
    }  # fmt: skip

    @classmethod
    def of(cls, rng: random.Random, geometry: Geometry) -> Self:
        """For machines of this geometry."""
        return cls(rng, 1 << geometry.page_shift, block_pages(geometry), 1 << geometry.pte_bits)

    def __init__(self, rng: random.Random, page: int, block: int, entries: int) -> None:
        self.rng, self.page, self.block, self.entries = rng, page, block, entries
        self.size = 6 * block
        self.base = 64 * entries - 2 * block  # two blocks before the border of two tables
        self.live: dict[int, list[int]] = {}
        self.files = list(range(FILES))
        self.rows: list[Row] = []

    def write(self, count: int) -> tuple[Row, ...]:
        """`count` operations."""
        self.begin()
        while len(self.rows) < count:
            (kind,) = self.rng.choices(list(self.weights), list(self.weights.values()))
            self.more(kind)
        return tuple(self.rows[:count])

    def begin(self) -> list[Row]:
        """The first task, with memory."""
        self._born(1)
        return self.rows

    def more(self, kind: str) -> list[Row]:
        """The next operations, of one of the kinds that `weights` names."""
        before = len(self.rows)
        getattr(self, kind)()
        return self.rows[before:]

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

    def _file(self, share: float = 1.0) -> int:
        """One that has a name, or, but for a share of the cases, none."""
        return self.rng.choice(self.files) if self.rng.random() < share else -1

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
        self._note_mapped(task, start, pages, prot)

    def _note_mapped(self, task: int, start: int, pages: int, prot: int) -> None:
        for at in range(max(0, start), min(start + pages, self.size)):
            self.live[task][at] = prot

    def mmap(self) -> None:
        """Of memory or a file."""
        self._map(self._task(), *self._any(), self.rng.choice(PROTS), self._file(0.4))

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
            self._map(task, start, pages, self.rng.choice(PROTS), self._file(0.5))

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
            self._add(uapi.OP_FORK, parent, child)
            self.live[child] = list(self.live[parent])

    def thread(self) -> None:
        """The same, in the address space of another task."""
        child, parent = self._free(), self._task()
        if child:
            self._add(self.rng.choice((uapi.OP_VFORK, uapi.OP_CLONE_VM, uapi.OP_CLONE_VM)), parent, child)
            self.live[child] = self.live[parent]

    def exit(self) -> None:
        """Of a task, or a new program in it; one task stays."""
        task = self._task()
        if len(self.live) > 1 and self.rng.random() < 0.8:
            self._add(uapi.OP_EXIT, task)
            del self.live[task]
        elif len(self.live) > 1:
            self._add(uapi.OP_EXEC, task, (self.base + 64 * self.entries) * self.page)
            self.live[task] = [-1] * self.size
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
            self._add(uapi.OP_PWRITE, task, self._file(), offset, length, 65536)
        elif kind == 1:
            size = FILE_PAGES if rng.random() < 0.7 else rng.randrange(1, FILE_PAGES)
            self._add(uapi.OP_FTRUNCATE, task, self._file(), size * page)
        elif kind == 2:
            self._add(uapi.OP_DROP_CACHES, task)
        else:
            self._add(uapi.OP_MSYNC, task, *self._bytes(*self._mapped(task)), 4)

    def fallocate(self) -> None:
        """Pages of a file made ahead of their use, or a hole."""
        hole = uapi.FALLOC_FL_PUNCH_HOLE | uapi.FALLOC_FL_KEEP_SIZE
        mode = self.rng.choice((0, uapi.FALLOC_FL_KEEP_SIZE, hole, hole))
        start, pages = self.rng.randrange(FILE_PAGES // 2), self.rng.randrange(1, 2 * self.block)
        self._add(uapi.OP_FALLOCATE, self._task(), self._file(), mode, start * self.page, pages * self.page)

    def unlink(self) -> None:
        """The last name of a file goes, and nobody opens it again."""
        if len(self.files) > FILES // 2:
            self._add(uapi.OP_UNLINK, self._task(), self.files.pop())

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

    # -- operations that belong together -----------------------------------------------

    def _advise(self, task: int, start: int, pages: int, advice: int) -> None:
        self._add(uapi.OP_MADVISE, task, *self._bytes(start, pages), advice)

    def _access(self, task: int, start: int, pages: int, access: int) -> None:
        self._add(uapi.OP_TOUCH, task, self._bytes(start, 1)[0], pages, access)

    def _protect(self, task: int, start: int, pages: int, prot: int) -> None:
        self._add(uapi.OP_MPROTECT, task, *self._bytes(start, pages), prot)
        self._note(task, start, pages, prot)

    def _some(self, start: int, pages: int) -> tuple[int, int]:
        """A part of a range."""
        first = self.rng.randrange(pages)
        return start + first, self.rng.randrange(pages - first) + 1

    def execute(self) -> None:
        """Code is written, made executable and run, as a compiler at run time does; at times it may not be run."""
        task, rng = self._task(), self.rng
        start, pages = self._mapped(task, RW)
        pages = min(pages, self.block)
        self._access(task, start, pages, ACCESS_WRITE)
        self._protect(task, start, pages, rng.choice((5, 5, 7, 1)))
        self._access(task, start, pages, ACCESS_EXEC)
        if rng.random() < 0.5:
            self._protect(task, start, pages, RW)
            self._access(task, *self._some(start, pages), rng.choice((ACCESS_EXEC, ACCESS_WRITE)))

    def share(self) -> None:
        """A file is read through a mapping, then written, and the mapping goes: only page tables knew that it is dirty.

        Then it is mapped again and reclaimed or dropped, and somebody reads it.
        """
        task, rng, file = self._task(), self.rng, self._file()
        start, pages = rng.randrange(5) * self.block, rng.choice((self.block, self.block, 2 * self.block))
        pages = min(pages, self.size - start)
        cells = *self._bytes(start, pages), RW, MAP_FIXED | MAP_SHARED, file, rng.randrange(4) * self.block * self.page
        self._add(uapi.OP_MMAP, task, *cells)
        self._note_mapped(task, start, pages, RW)
        self._access(task, start, pages, ACCESS_READ)
        self._access(task, *self._some(start, pages), ACCESS_WRITE)
        if rng.random() < 0.3:
            self._advise(task, *self._some(start, pages), uapi.MADV_PAGEOUT)
        if rng.random() < 0.5:
            self._add(uapi.OP_MUNMAP, task, *self._bytes(start, pages))
            self._add(uapi.OP_MMAP, task, *cells)
        else:
            self._advise(task, start, pages, uapi.MADV_DONTNEED)
        self._access(task, start, pages, ACCESS_READ)
        if rng.random() < 0.7:
            self._advise(task, start, pages, uapi.MADV_PAGEOUT)
        else:
            self._add(uapi.OP_DROP_CACHES, task)
        self._access(task, start, pages, ACCESS_READ)

    def forget(self) -> None:
        """A private mapping of a file of which some pages were copied and swapped out; the file's own pages go then."""
        task, rng, file = self._task(), self.rng, self._file()
        start, pages = rng.randrange(5) * self.block, self.block
        offset = rng.randrange(4) * self.block * self.page
        self._add(uapi.OP_MMAP, task, *self._bytes(start, pages), RW, MAP_FIXED | MAP_PRIVATE, file, offset)
        self._note_mapped(task, start, pages, RW)
        self._access(task, start, pages, ACCESS_READ)
        self._access(task, *self._some(start, pages), ACCESS_WRITE)
        self._advise(task, start, pages, uapi.MADV_PAGEOUT)
        self._access(task, *self._some(start, pages), ACCESS_READ)
        kind = rng.randrange(3)
        if kind == 0:
            self._add(uapi.OP_FTRUNCATE, task, file, (rng.randrange(FILE_PAGES) + 1) * self.page)
        elif kind == 1:
            hole = uapi.FALLOC_FL_PUNCH_HOLE | uapi.FALLOC_FL_KEEP_SIZE
            self._add(uapi.OP_FALLOCATE, task, file, hole, offset, pages * self.page)
        else:
            self._advise(task, start, pages, uapi.MADV_PAGEOUT)
        self._access(task, start, pages, ACCESS_READ)

    def huge(self) -> None:
        """The part of the arena behind the border of two tables, and as much behind it as a table maps.

        Of shared memory, as a rule, that holds nothing yet, so that a huge page can be read before it is written to.
        """
        task, rng = self._task(), self.rng
        file = rng.choice([-1, *(file for file in self.files if file % 2)])
        start, kind = 2 * self.block, MAP_SHARED if file >= 0 and rng.random() < 0.8 else MAP_PRIVATE
        kind |= MAP_FIXED | (MAP_ANONYMOUS if file < 0 else 0)
        if file >= 0 and rng.random() < 0.7:
            self._add(uapi.OP_FTRUNCATE, task, file, 0)
            self._add(uapi.OP_FTRUNCATE, task, file, FILE_PAGES * self.page)
        self._add(uapi.OP_MMAP, task, *self._bytes(start, self.entries), RW, kind, file, 0)
        self._note_mapped(task, start, self.size - start, RW)
        if rng.random() < 0.7:
            self._advise(task, start, self.entries, uapi.MADV_HUGEPAGE)
        self._access(task, start + rng.randrange(self.block), self.block, rng.choice((ACCESS_READ, ACCESS_WRITE)))
        self._access(task, *self._some(start, 2 * self.block), ACCESS_WRITE)
        self._afterwards(task, start)

    def _afterwards(self, task: int, start: int) -> None:
        """What becomes of a huge page: all of it goes or is reclaimed, part of it, or it may only be read."""
        rng = self.rng
        kind = rng.randrange(6)
        if kind == 0:
            self._protect(task, start, self.entries, 1)
        if kind in (0, 1):
            self._advise(task, start, self.entries, uapi.MADV_COLLAPSE)
        elif kind == 2:
            self._advise(task, start, self.entries, rng.choice((uapi.MADV_PAGEOUT, uapi.MADV_DONTNEED)))
        elif kind == 3:
            self._advise(task, *self._some(start, 2 * self.block), uapi.MADV_DONTNEED)

    def far(self) -> None:
        """Pages go to where no table is yet, across the border of two, are written there, and come back."""
        task = self._task()
        start, pages = self._mapped(task, RW)
        to = 2 * self.block + 8 * self.entries - pages // 2
        (here, size), (there, _) = self._bytes(start, pages), self._bytes(to, pages)
        self._add(uapi.OP_MREMAP, task, here, size, size, 3, there)
        self._access(task, *self._some(to, pages), self.rng.choice((ACCESS_READ, ACCESS_WRITE)))
        self._add(uapi.OP_MREMAP, task, there, size, size, 3, here)

    def cut(self) -> None:
        """The same place, of which a part gets other rights or goes, and the whole is given up after it."""
        task, rng = self._task(), self.rng
        start = 2 * self.block
        part = self._some(start, 4 * self.block)
        if rng.random() < 0.5:
            self._protect(task, *part, rng.choice((1, RW)))
        else:
            self._advise(task, *part, rng.choice((uapi.MADV_DONTNEED, uapi.MADV_FREE, uapi.MADV_REMOVE)))
        self._access(task, start, 4 * self.block, ACCESS_READ)
        advice = rng.choice((uapi.MADV_PAGEOUT, uapi.MADV_PAGEOUT, uapi.MADV_DONTNEED, uapi.MADV_COLLAPSE))
        self._advise(task, start, self.entries, advice)
        self._access(task, start, 4 * self.block, ACCESS_READ)
