"""Programs that leave large folios mapped in parts, with pages of one folio that differ in what batches ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from core_mm import uapi
from core_mm.uapi import ACCESS_READ, ACCESS_WRITE, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE
from mmarch.check.programs import Caller
from mmarch.sanitize.random_rows import RW

END = (
    uapi.MADV_DONTNEED,
    uapi.MADV_DONTNEED,
    uapi.MADV_FREE,
    uapi.MADV_COLD,
    uapi.MADV_PAGEOUT,
    uapi.MADV_COLLAPSE,
)


class Mixer(Caller):
    """Writes programs about batches."""

    weights: ClassVar[Mapping[str, int]] = {
        **Caller.weights,
        "fork": 5,
        "touch": 15,
        "cut_off": 12,
        "mix": 20,
        "uneven": 12,
    }

    def _new(self, task: int) -> tuple[int, int]:
        """New memory, some of which is written to: first page and pages."""
        rng = self.rng
        start, pages = rng.randrange(4) * self.block, rng.choice((1, 1, 2)) * self.block
        flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS
        self._add(uapi.OP_MMAP, task, *self._bytes(start, pages), RW, flags, -1, 0)
        self._note_mapped(task, start, pages, RW)
        self._access(task, start, pages, ACCESS_WRITE)
        return start, pages

    def cut_off(self) -> None:
        """New folios lose pages at both ends, or in their middle."""
        task, rng = self._task(), self.rng
        start, pages = self._new(task)
        for first, last in ((0, rng.randrange(3)), (pages - rng.randrange(3), pages), self._some(0, pages)):
            if first < last and rng.random() < 0.6:
                self._add(uapi.OP_MUNMAP, task, *self._bytes(start + first, last - first))
                self._note(task, start + first, last - first, -1)
        self._change(task, start, pages)

    def mix(self) -> None:
        """Pages of a folio that are clean or dirty, old or young, exclusive or not, may be written to or not."""
        task, rng = self._task(), self.rng
        start, pages = self._new(task) if rng.random() < 0.5 else self._mapped(task, RW)
        for _ in range(rng.randrange(1, 4)):
            self._change(task, start, min(pages, 2 * self.block))
        self._whole(task, start, pages)

    def uneven(self) -> None:
        """Pages of one folio of which some can be written to, and what changes all of them."""
        task = self._task()
        start, pages = self._new(task)
        self._inherited(task)
        self._access(task, *self._some(start, pages), ACCESS_WRITE)
        self._whole(task, start, pages)

    def _change(self, task: int, start: int, pages: int) -> None:
        """Part of it."""
        rng, part = self.rng, self._some(start, pages)
        kind = rng.randrange(6)
        if kind == 0:
            self._protect(task, *part, rng.choice((0, 1, RW)))
        elif kind == 1:
            self._advise(task, *part, rng.choice((uapi.MADV_FREE, uapi.MADV_COLD, uapi.MADV_DONTNEED)))
        elif kind == 2:
            self._access(task, *part, rng.choice((ACCESS_READ, ACCESS_WRITE)))
        elif kind == 3:
            self._add(uapi.OP_CLEAR_REFS, task, 1)
            self._access(task, *part, ACCESS_READ)
        elif kind == 4:
            self._inherited(task)
            self._access(task, *part, ACCESS_WRITE)
        else:
            self._advise(task, start, pages, uapi.MADV_FREE)
            self._access(task, *part, ACCESS_WRITE)

    def _inherited(self, task: int) -> None:
        """By a child that ends at once, as a rule: what is written to after it can be written to, and nothing else."""
        if child := self._free():
            self._add(uapi.OP_FORK, task, child)
            if self.rng.random() < 0.7:
                self._add(uapi.OP_EXIT, child)
            else:
                self.live[child] = list(self.live[task])

    def _whole(self, task: int, start: int, pages: int) -> None:
        """All of it, in a call that may take it in batches."""
        rng = self.rng
        kind = rng.randrange(4)
        if kind == 0:
            for prot in rng.choice(((7,), (1, RW), (5, 7))):
                self._protect(task, start, pages, prot)
        elif kind == 1:
            to = rng.randrange(self.size)
            at, size = self._bytes(start, pages)
            self._add(uapi.OP_MREMAP, task, at, size, size, 3, self._bytes(to, 1)[0])
            self._note(task, start, pages, -1)
            self._note_mapped(task, to, pages, RW)
        elif kind == 2:
            self._advise(task, start, pages, rng.choice(END))
        else:
            self.fork()
