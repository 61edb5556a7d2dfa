"""Address spaces as their users know them: dictionaries of pages, and nothing of the kernel.

A page holds a content, a number: 0 for zeros never written, a new number for every write. Files have
contents of their own, which shared mappings write and private ones read until they write. Nothing here
knows page tables, folios or flags, and nothing is shared with core-mm or an architecture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from core_mm.uapi import ACCESS_EXEC, ACCESS_READ, ACCESS_WRITE, PROT_EXEC, PROT_READ, PROT_WRITE

SEGV, OK = "SIGSEGV", "ok"
NEEDS = {ACCESS_READ: PROT_READ | PROT_WRITE | PROT_EXEC, ACCESS_WRITE: PROT_WRITE, ACCESS_EXEC: PROT_EXEC}


@dataclass(frozen=True)
class Mapping:
    """What a page of an address space is: protection, private or shared, and the file page behind it."""

    prot: int
    shared: bool = False
    file: int = -1
    index: int = 0

    def but(self, prot: int) -> Mapping:
        """With another protection."""
        return Mapping(prot, self.shared, self.file, self.index)


@dataclass
class Space:
    """An address space: mappings, and the private pages that were written.

    lazy  pages that MADV_FREE allows to become zeros until they are written again
    """

    mapped: dict[int, Mapping] = field(default_factory=dict)
    written: dict[int, int] = field(default_factory=dict)
    lazy: set[int] = field(default_factory=set)

    def copy(self) -> Space:
        """fork."""
        return Space(dict(self.mapped), dict(self.written), set(self.lazy))


class Model:
    """Tasks with address spaces; every method is a system call or an access."""

    def __init__(self) -> None:
        self.tasks: dict[int, Space] = {1: Space()}
        self.files: dict[tuple[int, int], int] = {}
        self.dirty: set[tuple[int, int]] = set()  # file pages written since they were last written back
        self._last = 0

    def mmap(self, task: int, page: int, pages: int, prot: int, shared: bool, file: int, index: int) -> None:
        """A new mapping over whatever was there."""
        self.munmap(task, page, pages)
        for i in range(pages):
            self.tasks[task].mapped[page + i] = Mapping(prot, shared, file, index + i if file >= 0 else 0)

    def munmap(self, task: int, page: int, pages: int) -> None:
        """Forget a range."""
        space = self.tasks[task]
        for at in range(page, page + pages):
            space.mapped.pop(at, None)
            space.written.pop(at, None)
            space.lazy.discard(at)

    def mprotect(self, task: int, page: int, pages: int, prot: int) -> bool:
        """Whether all of the range was mapped; only then it is changed."""
        space = self.tasks[task]
        if any(at not in space.mapped for at in range(page, page + pages)):
            return False
        for at in range(page, page + pages):
            space.mapped[at] = space.mapped[at].but(prot)
        return True

    def dontneed(self, task: int, page: int, pages: int) -> None:
        """Private pages fall back to what is behind them."""
        space = self.tasks[task]
        for at in range(page, page + pages):
            space.written.pop(at, None)
            space.lazy.discard(at)

    def free(self, task: int, page: int, pages: int) -> None:
        """Private anonymous pages may fall back at any time until they are written."""
        space = self.tasks[task]
        for at in range(page, page + pages):
            if at in space.written and space.mapped[at].file < 0:
                space.lazy.add(at)

    def mremap(self, task: int, page: int, pages: int, to: int) -> None:
        """Move a range over whatever was there."""
        space = self.tasks[task]
        moved = [
            (space.mapped[at], space.written.get(at), at in space.lazy) for at in range(page, page + pages)
        ]
        self.munmap(task, to, pages)
        self.munmap(task, page, pages)
        for i, (mapping, content, lazy) in enumerate(moved):
            space.mapped[to + i] = mapping
            if content is not None:
                space.written[to + i] = content
            if lazy:
                space.lazy.add(to + i)

    def fork(self, task: int, child: int) -> None:
        """The child gets a copy."""
        self.tasks[child] = self.tasks[task].copy()

    def exit(self, task: int) -> None:
        """The task is gone."""
        del self.tasks[task]

    def access(self, task: int, page: int, access: int) -> str:
        """One access; a write gives the page a content that no other page has."""
        space = self.tasks[task]
        mapping = space.mapped.get(page)
        if mapping is None or not mapping.prot & NEEDS[access]:
            return SEGV
        if access == ACCESS_WRITE:
            self._last += 1
            if mapping.shared:
                self.files[mapping.file, mapping.index] = self._last
                self.dirty.add((mapping.file, mapping.index))
            else:
                space.written[page] = self._last
                space.lazy.discard(page)
        return OK

    def content(self, task: int, page: int) -> object:
        """What a read would see: a number, or the file page that it is."""
        space = self.tasks[task]
        if page in space.written:
            return space.written[page]
        mapping = space.mapped[page]
        return ("file", mapping.file, mapping.index) if mapping.file >= 0 else 0

    def written_back(self, task: int, page: int, pages: int) -> None:
        """msync: the file pages mapped there are clean."""
        for at in range(page, page + pages):
            mapping = self.tasks[task].mapped.get(at)
            if mapping is not None and mapping.shared:
                self.dirty.discard((mapping.file, mapping.index))

    def pages(self) -> Iterator[tuple[int, int, Mapping]]:
        """Every mapped page: task, page, mapping."""
        for task, space in self.tasks.items():
            for page, mapping in space.mapped.items():
                yield task, page, mapping
