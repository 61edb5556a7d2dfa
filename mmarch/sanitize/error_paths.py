"""A program that leads to every allocation of core-mm, for runs in which each of them fails."""

from __future__ import annotations

from core_mm import uapi
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    COLUMNS,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_GROWSDOWN,
    MAP_PRIVATE,
    MAP_SHARED,
)
from mmarch.sanitize.random_rows import RW, Row

PRIVATE, SHARED = MAP_FIXED | MAP_PRIVATE, MAP_FIXED | MAP_SHARED
HUGE = 8  # huge pages: what fails first differs from one to the next
FEW = 4  # pages
FARTHEST = 1 << 46  # bytes


class ErrorPaths:
    """Writes it; `entries` of a table, places are counted in tables."""

    def __init__(self, page: int, entries: int) -> None:
        self.page, self.entries = page, entries
        self.rows: list[Row] = []

    def write(self) -> tuple[Row, ...]:
        """All of it."""
        self.add(uapi.OP_SPAWN, 1)
        self.heap_and_stack()
        self.merges()
        self.joins()
        self.files()
        self.moves()
        self.tasks()
        self.huge()
        self.swap()
        return tuple(self.rows)

    def add(self, op: int, task: int, *cells: int) -> None:
        """A call."""
        self.rows.append((op, task, *cells, *[0] * (COLUMNS - 2 - len(cells))))

    def at(self, table: int, page: int = 0) -> int:
        """The address of a page of a table."""
        return (table * self.entries + page) * self.page

    def map(self, addr: int, pages: int, flags: int, file: int = -1, task: int = 1) -> None:
        """Map pages of a file from its start on, or of memory."""
        flags |= MAP_ANONYMOUS if file < 0 else 0
        self.add(uapi.OP_MMAP, task, addr, pages * self.page, RW, flags, file)

    def touch(self, addr: int, pages: int, access: int, task: int = 1) -> None:
        """Access pages."""
        self.add(uapi.OP_TOUCH, task, addr, pages, access)

    def advise(self, addr: int, pages: int, advice: int, task: int = 1) -> None:
        """Advise a range."""
        self.add(uapi.OP_MADVISE, task, addr, pages * self.page, advice)

    def heap_and_stack(self) -> None:
        """A heap begins, a stack grows, a page of zeros is written to; nothing had pages before."""
        self.add(uapi.OP_BRK, 1, self.at(200))
        self.add(uapi.OP_BRK, 1, self.at(200, FEW))
        self.add(uapi.OP_BRK, 1, self.at(200, FEW - 1))
        self.map(self.at(210, FEW), FEW, PRIVATE | MAP_GROWSDOWN)
        self.touch(self.at(210, FEW - 2), 1, ACCESS_WRITE)
        self.map(self.at(220), 1, PRIVATE)
        self.touch(self.at(220), 1, ACCESS_READ)
        self.touch(self.at(220), 1, ACCESS_WRITE)

    def merges(self) -> None:
        """A mapping closes the gap between one without pages and one with; another is split and joined again."""
        self.map(self.at(230), FEW, PRIVATE)
        self.map(self.at(230, 2 * FEW), FEW, PRIVATE)
        self.touch(self.at(230, 2 * FEW), FEW, ACCESS_WRITE)
        self.map(self.at(230, FEW), FEW, PRIVATE)
        for prot in (1, RW):
            self.add(uapi.OP_MPROTECT, 1, self.at(230, 2 * FEW), self.page, prot)
        self.advise(self.at(230), FEW, uapi.MADV_DONTFORK)
        self.map(self.at(232), FEW, PRIVATE)
        self.map(self.at(232, 2 * FEW), FEW, PRIVATE)
        self.touch(self.at(232, 2 * FEW), FEW, ACCESS_WRITE)
        self.add(uapi.OP_MREMAP, 1, self.at(232), FEW * self.page, 2 * FEW * self.page, 0, self.at(232))

    def joins(self) -> None:
        """A mapping with pages gets the rights of neighbours without, on one side and both; of two that differ, one."""
        for table, pages, first in ((234, 2, 1), (235, 2, 0), (236, 3, 1)):
            place = self.at(table, first * FEW)
            self.map(self.at(table), pages * FEW, PRIVATE)
            self.add(uapi.OP_MPROTECT, 1, place, FEW * self.page, 7)
            self.touch(place, FEW, ACCESS_WRITE)
            self.add(uapi.OP_MPROTECT, 1, place, FEW * self.page, RW)
        self.map(self.at(237), 3 * FEW, PRIVATE)
        self.add(uapi.OP_MPROTECT, 1, self.at(237, FEW), FEW * self.page, 7)
        self.touch(self.at(237), FEW, ACCESS_WRITE)
        self.touch(self.at(237, 2 * FEW), FEW, ACCESS_WRITE)
        self.add(uapi.OP_MPROTECT, 1, self.at(237, FEW), FEW * self.page, RW)

    def files(self) -> None:
        """Shared memory without a name, a file that is read page by page, a copy of one of its pages."""
        self.map(self.at(246), 2 * FEW, SHARED)
        self.touch(self.at(246), 2 * FEW, ACCESS_WRITE)
        self.map(self.at(241), FEW, SHARED, 0)
        self.advise(self.at(241), FEW, uapi.MADV_RANDOM)
        self.touch(self.at(241), FEW, ACCESS_READ)
        self.map(self.at(242), FEW, PRIVATE, 1)
        self.touch(self.at(242), FEW, ACCESS_WRITE)
        self.add(uapi.OP_PWRITE, 1, 1, 64 * self.page, FEW * self.page, 1 << 16)
        self.add(uapi.OP_FALLOCATE, 1, 1, 0, 96 * self.page, FEW * self.page)

    def moves(self) -> None:
        """To where there are no tables of any level; away, and back to a neighbour without pages, on either side."""
        self.map(self.at(250), FEW, PRIVATE)
        self.touch(self.at(250), FEW, ACCESS_WRITE)
        size, far = FEW * self.page, min(self.at(self.entries * self.entries), FARTHEST)
        self.add(uapi.OP_MREMAP, 1, self.at(250), size, size, 3, far)
        self.add(uapi.OP_MREMAP, 1, far, size - self.page, size - 2 * self.page, 0, far)
        for table, beside in ((252, 0), (254, 2 * FEW)):
            place, away = self.at(table, FEW), self.at(table, 8 * FEW)
            self.map(place, FEW, PRIVATE)
            self.touch(place, FEW, ACCESS_WRITE)
            self.add(uapi.OP_MREMAP, 1, place, size, size, 3, away)
            self.map(self.at(table, beside), FEW, PRIVATE)
            self.add(uapi.OP_MREMAP, 1, away, size, size, 3, place)

    def tasks(self) -> None:
        """A child that writes and runs a new program."""
        self.add(uapi.OP_FORK, 1, 2)
        self.touch(self.at(230, 2 * FEW), FEW, ACCESS_WRITE, 2)
        self.add(uapi.OP_EXEC, 2, self.at(200))
        self.add(uapi.OP_EXIT, 2)

    def huge(self) -> None:
        """Huge pages of zeros that are written to, huge pages at once, and children of them, in a task of their own."""
        self.add(uapi.OP_SPAWN, 4)
        for number in range(HUGE):
            place = self.at(260 + 2 * number)
            self.map(place, self.entries, PRIVATE, task=4)
            self.advise(place, self.entries, uapi.MADV_HUGEPAGE, 4)
            if number % 2:
                self.touch(place, 1, ACCESS_READ, 4)
            self.touch(place, 1, ACCESS_WRITE, 4)
            if number < FEW:
                self.add(uapi.OP_FORK, 4, 3)
                self.add(uapi.OP_EXIT, 3)
        for table, swapped in ((280, 0), (282, FEW)):
            self.map(self.at(table), self.entries, PRIVATE, task=4)
            self.touch(self.at(table), FEW, ACCESS_WRITE, 4)
            self.advise(self.at(table), swapped, uapi.MADV_PAGEOUT, 4)
            self.advise(self.at(table), self.entries, uapi.MADV_COLLAPSE, 4)

    def swap(self) -> None:
        """Out, in, and given up; a hole begins and ends within folios that are out."""
        self.advise(self.at(230), 3 * FEW, uapi.MADV_PAGEOUT)
        self.advise(self.at(246), 2 * FEW, uapi.MADV_PAGEOUT)
        self.touch(self.at(230, 2 * FEW), FEW, ACCESS_READ)
        for access in (ACCESS_READ, ACCESS_WRITE):
            self.touch(self.at(246), 2 * FEW, access)
            self.advise(self.at(246), 2 * FEW, uapi.MADV_PAGEOUT)
        self.touch(self.at(246), 2 * FEW, ACCESS_WRITE)
        for page in (0, FEW):
            self.advise(self.at(246, page), FEW, uapi.MADV_PAGEOUT)
        self.advise(self.at(246, 1), 2 * FEW - 2, uapi.MADV_REMOVE)
        self.advise(self.at(230), 3 * FEW, uapi.MADV_PAGEOUT)
        self.add(uapi.OP_SWAPOFF, 1)
