"""Random operations that programs seldom make: wrong calls, flags and advice that few ask for, stacks, whole tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from core_mm import uapi
from core_mm.uapi import (
    ACCESS_EXEC,
    ACCESS_READ,
    ACCESS_WRITE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
)
from mmarch.sanitize.huge_rows import Huge
from mmarch.sanitize.random_rows import FILE_PAGES, RW, TASKS, Writer

ADVICE = (
    uapi.MADV_NORMAL, uapi.MADV_RANDOM, uapi.MADV_SEQUENTIAL, uapi.MADV_WILLNEED, uapi.MADV_NOHUGEPAGE,
    uapi.MADV_HUGEPAGE, uapi.MADV_DONTFORK, uapi.MADV_DOFORK, 16, 17, 24,
)  # fmt: skip
HUGE_NUMBERS = (1 << 40, 1 << 52, 1 << 60, -1)


class Rare(Huge):
    """Seldom operations among usual ones."""

    weights: ClassVar[Mapping[str, int]] = {
        **{name: count // 10 for name, count in Writer.weights.items()},
        "advise": 30, "read": 30, "text": 20, "special": 40, "remap": 50, "tables": 25, "watch": 20, "wrong": 30,
        "bytes": 20, "giant": 60, "crowd": 4, "nameless": 10, "swapped": 20, "text_end": 10, "locked": 20,
        "stack": 20, "sleep": 30, "join": 30,
    }  # fmt: skip

    def advise(self) -> None:
        """What changes flags alone, of which some do not concern the twin."""
        task = self._task()
        self._advise(task, *self._mapped(task), self.rng.choice(ADVICE))

    def read(self) -> None:
        """A file that is not cached is read page by page, or in leaps, through a mapping that says how."""
        task, rng = self._task(), self.rng
        start, pages = rng.randrange(3) * self.block, 2 * self.block
        kind = MAP_FIXED | rng.choice((MAP_PRIVATE, MAP_SHARED))
        self._add(uapi.OP_DROP_CACHES, task)
        self._add(
            uapi.OP_MMAP,
            task,
            *self._bytes(start, pages),
            rng.choice((1, RW)),
            kind,
            self._file(),
            self._offset(),
        )
        self._note_mapped(task, start, pages, 1)
        self._advise(
            task, start, pages, rng.choice((uapi.MADV_NORMAL, uapi.MADV_SEQUENTIAL, uapi.MADV_RANDOM))
        )
        step = rng.choice((1, 1, 3))
        for page in range(start + rng.randrange(3), start + pages, step):
            self._access(task, page, 1, ACCESS_READ)
        if rng.random() < 0.3:
            self._advise(task, start, pages, uapi.MADV_DONTNEED)
            self._advise(task, start, pages, uapi.MADV_RANDOM)
            self._access(task, *self._some(start, pages), ACCESS_READ)

    def text_end(self) -> None:
        """The end of a file is read through a mapping for which there is no table yet."""
        task, pages = self._task(), self.block
        start, offset = 40 * self.entries, (FILE_PAGES - pages) * self.page
        file = self._file()
        self._add(uapi.OP_FTRUNCATE, task, file, FILE_PAGES * self.page)
        self._add(uapi.OP_DROP_CACHES, task)
        self._add(uapi.OP_MMAP, task, *self._bytes(start, pages), 1, MAP_FIXED | MAP_SHARED, file, offset)
        self._access(task, start + self.rng.randrange(pages), 1, ACCESS_READ)
        self._add(uapi.OP_MUNMAP, task, *self._bytes(start, pages))

    def locked(self) -> None:
        """Locked memory, of which a part goes with the end of its file, gets other rights, or grows elsewhere."""
        task, rng, file = self._task(), self.rng, self._file(0.6)
        start, pages = rng.randrange(3) * self.block, self.block
        flags = (
            MAP_FIXED | uapi.MAP_LOCKED | (MAP_SHARED if file >= 0 and rng.random() < 0.7 else MAP_PRIVATE)
        )
        flags |= MAP_ANONYMOUS if file < 0 else 0
        prot = rng.choice((0, 1, RW))
        if file >= 0:
            self._add(uapi.OP_FTRUNCATE, task, file, FILE_PAGES * self.page)
        self._add(uapi.OP_MMAP, task, *self._bytes(start, pages), prot, flags, file, 0)
        self._note_mapped(task, start, pages, RW)
        if file >= 0 and rng.random() < 0.6:
            self._add(uapi.OP_FTRUNCATE, task, file, rng.randrange(1, pages) * self.page + rng.choice((0, 1)))
        else:
            self._protect(task, start, pages, RW)
        to = 12 * self.entries
        if rng.random() < 0.4:
            self._add(uapi.OP_MUNMAP, task, *self._bytes(to, 2 * pages))
            (old, size), (there, _) = self._bytes(start, pages), self._bytes(to, pages)
            self._add(uapi.OP_MREMAP, task, old, size, 2 * size, uapi.MREMAP_MAYMOVE, there)
        else:
            self._add(uapi.OP_MUNMAP, task, *self._bytes(start, pages))

    def text(self) -> None:
        """A program's text is run from a file that is not cached, and written to by a debugger."""
        task, rng = self._task(), self.rng
        start, pages = rng.randrange(3) * self.block, rng.choice((self.block, 3 * self.block))
        self._add(uapi.OP_DROP_CACHES, task)
        cells = *self._bytes(start, pages), 5, MAP_FIXED | MAP_PRIVATE, self._file(), self._offset()
        self._add(uapi.OP_MMAP, task, *cells)
        self._note_mapped(task, start, pages, 5)
        self._access(task, *self._some(start, pages), ACCESS_EXEC)
        self._protect(task, *self._some(start, pages), rng.choice((7, RW)))
        self._access(task, *self._some(start, pages), ACCESS_WRITE)

    def _offset(self) -> int:
        return self.rng.choice((0, self.block, FILE_PAGES // 2, FILE_PAGES - self.block)) * self.page

    def special(self) -> None:
        """A mapping that is locked, shared without a name, only where nothing is, or populated."""
        task, rng = self._task(), self.rng
        start, pages = self._any()
        flags = rng.choice(
            (
                MAP_PRIVATE | uapi.MAP_LOCKED, MAP_SHARED | uapi.MAP_LOCKED, MAP_SHARED,
                MAP_PRIVATE | uapi.MAP_NORESERVE, MAP_PRIVATE | uapi.MAP_STACK,
                MAP_PRIVATE | uapi.MAP_POPULATE, MAP_SHARED | uapi.MAP_POPULATE,
            )
        )  # fmt: skip
        flags |= rng.choice((MAP_FIXED, MAP_FIXED, uapi.MAP_FIXED_NOREPLACE))
        file = self._file(0.4)
        flags |= MAP_ANONYMOUS if file < 0 else 0
        prot = rng.choice((0, 1, RW, RW, 7))
        self._add(uapi.OP_MMAP, task, *self._bytes(start, pages), prot, flags, file, 0)
        self._note_mapped(task, start, pages, prot)
        if rng.random() < 0.5:
            self._advise(task, *self._some(start, pages), rng.choice((*ADVICE, uapi.MADV_COLD)))
        if rng.random() < 0.3:
            self._protect(task, *self._some(start, pages), rng.choice((0, 1, RW)))
        if rng.random() < 0.5:
            self._advise(task, start, pages, uapi.MADV_PAGEOUT)

    def remap(self) -> None:
        """Grow and shrink in place, leave the old mapping behind, map shared memory twice, move to where nothing is."""
        task, rng = self._task(), self.rng
        start, pages = self._mapped(task)
        flags = rng.choice((0, 0, 1, 1, 5, 5, 7, 3))
        kept = flags & uapi.MREMAP_DONTUNMAP
        new = pages if kept else max(1, rng.choice((pages // 2, pages, 2 * pages, pages + self.block)))
        to = self._any()[0]
        if not flags & uapi.MREMAP_FIXED:  # the kernel chooses a place where nothing is
            to = 12 * self.entries + rng.randrange(self.entries)
            self._add(uapi.OP_MUNMAP, task, *self._bytes(to, new))
        old, there = (self.base + start) * self.page, (self.base + to) * self.page
        size = 0 if flags == uapi.MREMAP_MAYMOVE and rng.random() < 0.2 else pages * self.page
        if flags == uapi.MREMAP_MAYMOVE and size and rng.random() < 0.5:
            there = old
        if flags == 3 and rng.random() < 0.3:  # across a hole, with which the range may end
            self._add(uapi.OP_MUNMAP, task, *self._bytes(start + pages // 2, max(1, pages - pages // 2)))
            new = pages
        self._add(uapi.OP_MREMAP, task, old, size, new * self.page, flags, there)
        self._access(task, *self._some(to, new), rng.choice((ACCESS_READ, ACCESS_WRITE)))

    def tables(self) -> None:
        """Whole tables, of one level or two, go to where none are, and come back."""
        task, rng = self._task(), self.rng
        deep = rng.random() < 0.3 and self.entries <= 512  # else it is terabytes
        unit = self.entries * (self.entries if deep else 1)
        here, there = (rng.randrange(2, 5) * unit + (5 * unit if there else 0) for there in (False, True))
        offset = rng.choice((0, 0, 0, 1, self.block, self.entries // 2))
        size = rng.choice((1, 1, 2)) * unit * self.page
        at, to = (place * self.page + offset * self.page for place in (here, there))
        self._add(uapi.OP_MMAP, task, at, size, RW, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if rng.random() < 0.3:
            self._add(uapi.OP_MADVISE, task, at, size, uapi.MADV_HUGEPAGE)
        for _ in range(3):
            page = rng.randrange(min(size // self.page, 2 * self.entries))
            self._add(uapi.OP_TOUCH, task, at + page * self.page, rng.randrange(1, self.block), ACCESS_WRITE)
        if rng.random() < 0.3:
            self._add(uapi.OP_MADVISE, task, at, 2 * self.entries * self.page, uapi.MADV_PAGEOUT)
        flags = uapi.MREMAP_MAYMOVE | uapi.MREMAP_FIXED | rng.choice((0, 0, uapi.MREMAP_DONTUNMAP))
        child = self._free() if rng.random() < 0.4 else 0
        if child:
            self._add(uapi.OP_FORK, task, child)
            self._add(uapi.OP_EXIT, child)
        skipped = rng.choice((0, 0, self.block * self.page))
        moved = size - skipped
        self._add(uapi.OP_MREMAP, task, at + skipped, moved, moved, flags, to + skipped)
        self._add(uapi.OP_TOUCH, task, to + skipped, self.block, rng.choice((ACCESS_READ, ACCESS_WRITE)))
        if rng.random() < 0.5:
            self._add(uapi.OP_MREMAP, task, to, size, size, 3, at)
        self._add(uapi.OP_MUNMAP, task, at, size)
        self._add(uapi.OP_MUNMAP, task, to, size)

    def watch(self) -> None:
        """Accessed flags of one kind of memory are cleared, soft-dirty ones, a peak; or aging as reclaim does it."""
        task, rng = self._task(), self.rng
        if rng.random() < 0.6:
            self._add(uapi.OP_CLEAR_REFS, task, rng.randrange(1, 6))
        else:
            self._add(uapi.OP_LRU_GEN_AGE, task, 1)
        self._access(task, *self._mapped(task, 1), ACCESS_READ)

    def wrong(self) -> None:
        """One call with one nonsensical argument."""
        task, rng = self._task(), self.rng
        addr, size = self._bytes(*self._mapped(task))
        kind = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS
        op, *cells = rng.choice(
            (
                (uapi.OP_MMAP, addr, size, RW, kind, -1, 0), (uapi.OP_MUNMAP, addr, size), (uapi.OP_BRK, addr),
                (uapi.OP_MPROTECT, addr, size, 1), (uapi.OP_MADVISE, addr, size, uapi.MADV_DONTNEED),
                (uapi.OP_MREMAP, addr, size, size, 3, addr + size), (uapi.OP_TOUCH, addr, 1, ACCESS_READ),
                (uapi.OP_FORK, task), (uapi.OP_MSYNC, addr, size, 4), (uapi.OP_CLEAR_REFS, 1),
                (uapi.OP_FALLOCATE, self._file(), 0, 0, size), (uapi.OP_PWRITE, self._file(), 0, size, 1 << 16),
                (uapi.OP_FTRUNCATE, self._file(), size), (uapi.OP_SPAWN,), (uapi.OP_MADVISE, addr, 0, uapi.MADV_COLD),
            )
        )  # fmt: skip
        if cells:
            at = 0 if op == uapi.OP_TOUCH else rng.randrange(len(cells))
            near = (
                () if self._names_a_file(op, at) else (cells[at] + 1, -cells[at])
            )  # as numbers of other files are
            cells[at] = rng.choice((*near, *HUGE_NUMBERS))
        strange = op in (uapi.OP_SPAWN, uapi.OP_FORK)
        self._add(op, rng.choice((task, TASKS, -1)) if strange else task, *cells)
        if op != uapi.OP_TOUCH and self.live:
            self._map(task, 0, self.size, RW, -1)

    def _names_a_file(self, op: int, cell: int) -> bool:
        """Whether an argument is the number of a file."""
        return op in (uapi.OP_FALLOCATE, uapi.OP_PWRITE, uapi.OP_FTRUNCATE) and cell == 0

    def bytes(self) -> None:
        """Files end, and have holes, within pages and folios; some of what goes is in swap or dirty on disk."""
        task, rng, file = self._task(), self.rng, self._file()
        start, pages = rng.randrange(3) * self.block, 2 * self.block
        self._add(uapi.OP_FTRUNCATE, task, file, FILE_PAGES * self.page)
        self._add(uapi.OP_MMAP, task, *self._bytes(start, pages), RW, MAP_FIXED | MAP_SHARED, file, 0)
        self._note_mapped(task, start, pages, RW)
        if rng.random() < 0.5:
            self._add(uapi.OP_PWRITE, task, file, 0, pages * self.page, rng.choice((4096, 65536, 1 << 20)))
        self._access(task, *self._some(start, pages), rng.choice((ACCESS_READ, ACCESS_WRITE)))
        if rng.random() < 0.5:
            self._advise(task, *self._some(start, pages), uapi.MADV_PAGEOUT)
        edge, odd = rng.randrange(pages) * self.page, rng.choice((0, 1, self.page // 2))
        if rng.random() < 0.5:
            self._add(uapi.OP_FTRUNCATE, task, file, edge + odd)
        else:
            mode = rng.choice((0, 1, 3, 3, 3, 2, 16))
            size = rng.choice((rng.randrange(1, pages) * self.page + odd, self.page // 2))
            self._add(uapi.OP_FALLOCATE, task, file, mode, edge + odd, size)
        self._access(task, *self._some(start, pages), rng.choice((ACCESS_READ, ACCESS_WRITE)))

    def stack(self) -> None:
        """A stack grows, and runs into what is below it; part of it loses its rights."""
        task, rng = self._task(), self.rng
        top, pages = 20 * self.entries + self.base, rng.randrange(1, 8)
        gap = rng.choice((1, 100, 300, 600))
        flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS
        if rng.random() < 0.5:
            below = (top - pages - gap - 4) * self.page
            self._add(
                uapi.OP_MMAP,
                task,
                below,
                4 * self.page,
                rng.choice((0, RW)),
                flags | rng.choice((0, 256)),
                -1,
                0,
            )
        at = (top - pages) * self.page
        self._add(uapi.OP_MMAP, task, at, pages * self.page, RW, flags | uapi.MAP_GROWSDOWN, -1, 0)
        down = rng.choice((1, gap // 2 + 1, gap + 1, 1 << 12))
        self._add(uapi.OP_TOUCH, task, at - down * self.page, 1, rng.choice((ACCESS_READ, ACCESS_WRITE)))
        if rng.random() < 0.5:
            prot = rng.choice((1, RW)) | uapi.PROT_GROWSDOWN
            self._add(uapi.OP_MPROTECT, task, at, self.page, prot)
        if rng.random() < 0.5:
            self._add(uapi.OP_MUNMAP, task, at - 700 * self.page, (700 + pages) * self.page)

    def sleep(self) -> None:
        """Memory of a parent and a child is swapped out; one of them goes, the other writes, or all comes back."""
        task, rng, child = self._task(), self.rng, self._free()
        start, pages = self._mapped(task, RW)
        self._access(task, start, min(pages, 2 * self.block), ACCESS_WRITE)
        if child:
            self._add(uapi.OP_FORK, task, child)
            self.live[child] = list(self.live[task])
        self._advise(task, start, pages, rng.choice((uapi.MADV_PAGEOUT, uapi.MADV_PAGEOUT, uapi.MADV_FREE)))
        if child and rng.random() < 0.5:
            self._advise(
                child, *self._some(start, pages), rng.choice((uapi.MADV_PAGEOUT, uapi.MADV_DONTNEED))
            )
        if rng.random() < 0.5:
            self._access(task, *self._some(start, pages), ACCESS_READ)
            self._advise(task, *self._some(start, pages), rng.choice((uapi.MADV_FREE, uapi.MADV_COLD)))
        for _ in range(2):
            who = rng.choice([task, child] if child else [task])
            self._access(who, *self._some(start, pages), rng.choice((ACCESS_READ, ACCESS_WRITE)))
        if child and rng.random() < 0.5:
            self._add(uapi.OP_EXIT, child)
            del self.live[child]
        if rng.random() < 0.1:
            self._add(uapi.OP_SWAPOFF, task)

    def join(self) -> None:
        """Neighbouring mappings, with pages and without, become one, whichever comes last; one may be a child's."""
        task, rng = self._task(), self.rng
        start, part = rng.randrange(3) * self.block, self.block // 2
        places = [start + i * part for i in range(3)]
        file = self._file(0.2)
        flags = MAP_FIXED | MAP_PRIVATE | (MAP_ANONYMOUS if file < 0 else 0)
        self._add(uapi.OP_MUNMAP, task, *self._bytes(start, 3 * part))
        rng.shuffle(places)
        for place in places:
            offset = (place - start) * self.page if file >= 0 else 0
            self._add(uapi.OP_MMAP, task, *self._bytes(place, part), RW, flags, file, offset)
            if rng.random() < 0.6:
                self._access(task, place, 1, ACCESS_WRITE)
            child = self._free() if rng.random() < 0.2 else 0
            if child:
                self._add(uapi.OP_FORK, task, child)
                self.live[child] = list(self.live[task])
        self._note_mapped(task, start, 3 * part, RW)
        for place in places[: rng.randrange(1, 3)]:
            self._add(uapi.OP_MPROTECT, task, *self._bytes(place, part), 1)
            self._access(task, place, 1, ACCESS_READ)
        self._add(uapi.OP_MPROTECT, task, *self._bytes(rng.choice(places), part), 1)
        self._add(uapi.OP_MPROTECT, task, *self._bytes(start, 3 * part), RW)

    def nameless(self) -> None:
        """Shared memory without a name comes, goes, and comes again, larger and smaller than what went."""
        task, rng = self._task(), self.rng
        start, flags = 2 * self.block + 60 * self.entries, MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS
        for _ in range(2):
            at = start
            for _ in range(3):
                pages = rng.choice((2, self.block, 2 * self.block))
                self._add(uapi.OP_MMAP, task, *self._bytes(at, pages), RW, flags, -1, 0)
                self._access(task, *self._some(at, pages), ACCESS_WRITE)
                at += pages + rng.randrange(2)
            self._add(uapi.OP_MUNMAP, task, *self._bytes(start, at - start))
