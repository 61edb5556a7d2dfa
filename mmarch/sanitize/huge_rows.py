"""Random operations on huge pages: whole and in part, of memory and of files, one and many, and what becomes one."""

from __future__ import annotations

from core_mm import uapi
from core_mm.uapi import ACCESS_READ, ACCESS_WRITE, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED
from mmarch.sanitize.random_rows import FILE_PAGES, RW, Writer


class Huge(Writer):
    """A writer that knows them."""

    def swapped(self) -> None:
        """Small pages of a table, some in swap, some of them zeros, become one huge page or are moved."""
        task, rng = self._task(), self.rng
        start, pages = 2 * self.block, self.entries
        flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS
        self._add(uapi.OP_MMAP, task, *self._bytes(start, pages), rng.choice((1, RW, RW)), flags, -1, 0)
        self._note_mapped(task, start, self.size - start, RW)
        self._advise(task, start, pages, uapi.MADV_NOHUGEPAGE)
        self._access(task, *self._some(start, 2 * self.block), ACCESS_READ)
        self._access(task, *self._some(start, 2 * self.block), ACCESS_WRITE)
        self._advise(task, *self._some(start, pages), rng.choice((uapi.MADV_PAGEOUT, uapi.MADV_DONTNEED)))
        self._advise(task, start, pages, uapi.MADV_HUGEPAGE)
        self._advise(task, start, pages, uapi.MADV_COLLAPSE)
        self._access(task, *self._some(start, pages), rng.choice((ACCESS_READ, ACCESS_WRITE)))

    def crowd(self) -> None:
        """Many huge pages go at once."""
        task, units = self._task(), 12
        start, pages = 2 * self.block + 80 * self.entries, units * self.entries
        flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS
        self._add(uapi.OP_MMAP, task, *self._bytes(start, pages), RW, flags, -1, 0)
        self._advise(task, start, pages, uapi.MADV_HUGEPAGE)
        for unit in range(units):
            self._access(task, start + unit * self.entries, 1, ACCESS_WRITE)
        self._add(uapi.OP_MUNMAP, task, *self._bytes(start, pages))

    def giant(self) -> None:
        """A huge page, of memory or of a file, to which everything happens, whole and in part; a child may share it."""
        task, rng, file = self._task(), self.rng, self._file(0.5)
        start, pages = 2 * self.block, self.entries
        flags = MAP_FIXED | (MAP_SHARED if file >= 0 and rng.random() < 0.8 else MAP_PRIVATE)
        flags |= MAP_ANONYMOUS if file < 0 else 0
        if file >= 0:
            self._add(uapi.OP_FTRUNCATE, task, file, FILE_PAGES * self.page)
        if file >= 0 and rng.random() < 0.7:  # the cache has a folio of that size
            whole = FILE_PAGES * self.page
            self._add(uapi.OP_FALLOCATE, task, file, 3, 0, whole)
            self._add(uapi.OP_DROP_CACHES, task)
            self._add(uapi.OP_PWRITE, task, file, 0, whole, whole)
        self._add(uapi.OP_MMAP, task, *self._bytes(start, pages), rng.choice((1, RW, RW, RW)), flags, file, 0)
        self._note_mapped(task, start, self.size - start, RW)
        if rng.random() < 0.1:
            self._advise(task, start, pages, uapi.MADV_NOHUGEPAGE)
            self._access(task, start, 1, ACCESS_READ)
        self._advise(task, start, pages, uapi.MADV_HUGEPAGE)
        self._access(
            task, start + rng.randrange(pages), 1, rng.choice((ACCESS_READ, ACCESS_WRITE, ACCESS_WRITE))
        )
        child = self._free() if rng.random() < 0.4 else 0
        if child:
            self._add(uapi.OP_FORK, task, child)
            self.live[child] = list(self.live[task])
        for _ in range(rng.randrange(2, 5)):
            part = (start, pages) if rng.random() < 0.7 else self._some(start, pages)
            self._treat(rng.choice((task, child or task)), part, file)
            self._access(
                task, start + rng.randrange(pages), 1, rng.choice((ACCESS_READ, ACCESS_READ, ACCESS_WRITE))
            )
        if child:
            self._add(uapi.OP_EXIT, child)
            del self.live[child]
        if rng.random() < 0.5:
            self._add(uapi.OP_MUNMAP, task, *self._bytes(start, pages))

    def _treat(self, task: int, part: tuple[int, int], file: int) -> None:
        """One thing of those that a huge page can meet."""
        rng, where = self.rng, self._bytes(*part)
        kind = rng.randrange(6)
        if kind == 0:
            self._add(uapi.OP_MPROTECT, task, *where, rng.choice((0, 1, RW, RW, 7)))
        elif kind == 1:
            self._add(uapi.OP_CLEAR_REFS, task, rng.randrange(1, 4))
        elif kind == 2:
            self._add(uapi.OP_LRU_GEN_AGE, task, rng.randrange(2))
        elif kind == 3 and file >= 0:
            self._add(uapi.OP_MSYNC, task, *where, 4)
        else:
            advice = (
                uapi.MADV_COLD, uapi.MADV_COLD, uapi.MADV_FREE, uapi.MADV_FREE, uapi.MADV_PAGEOUT, uapi.MADV_DONTNEED,
                uapi.MADV_COLLAPSE, uapi.MADV_REMOVE, uapi.MADV_POPULATE_WRITE, uapi.MADV_POPULATE_READ,
            )  # fmt: skip
            self._advise(task, *part, rng.choice(advice))
            if rng.random() < 0.2:
                self._advise(task, *part, uapi.MADV_COLLAPSE)
