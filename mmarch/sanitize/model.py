"""Address spaces and files as their users know them, and nothing of the kernel.

A page holds a version, a number: 0 for zeros, a new one for every write. Files have pages of their own, which
shared mappings write and private ones read until they write. Nothing here knows page tables, folios or flags, and
nothing is shared with core-mm or an architecture. Addresses are page numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from core_mm.uapi import ACCESS_EXEC, ACCESS_READ, ACCESS_WRITE, PROT_EXEC, PROT_READ, PROT_WRITE
from mmarch.sanitize.versions import Versions

SEGV, BUS, OK = "SIGSEGV", "SIGBUS", "ok"
NEEDS = {ACCESS_READ: PROT_READ | PROT_WRITE | PROT_EXEC, ACCESS_WRITE: PROT_WRITE, ACCESS_EXEC: PROT_EXEC}
PLACE = (1 << 32) - 1
ON_DISK = 1 << 62  # versions of what a file held before anybody wrote to it


def version(row: int, place: int) -> int:
    """Of what operation `row` writes to a page: no two writes of a workload have the same."""
    return (row + 1) << 32 | place & PLACE


@dataclass
class File:
    """A file or shared memory.

    number   of the workload's files; shared anonymous memory has its own below 0
    initial  pages that hold something since before the workload
    written  page -> version of those that were written, or zeroed, since
    names    0 after unlink: what nobody maps any more is gone
    memory   shared memory: a large folio may show what is behind the end, which Linux leaves so on purpose
    """

    number: int
    pages: int
    initial: int = 0
    written: Versions = field(default_factory=Versions)
    names: int = 1
    memory: bool = False

    def content(self, index: int) -> int:
        """Of a page."""
        if index in self.written:
            return self.written[index]
        return ON_DISK | self.number << 40 | index if index < self.initial else 0

    def truncate(self, pages: int) -> None:
        """To so many pages; what was behind them is gone for good."""
        if pages < self.pages:
            self.initial = min(self.initial, pages)
            self.written = Versions((index, held) for index, held in self.written.items() if index < pages)
        self.pages = pages

    def zero(self, first: int, after: int) -> None:
        """A hole."""
        for index in [index for index in self.written if first <= index < after]:
            del self.written[index]
        self.written.update((index, 0) for index in range(first, min(after, self.initial)))


@dataclass(frozen=True)
class Area:
    """Pages [start, end) that are mapped alike; `index` is the file page that `start` shows.

    reading  MADV_NORMAL, MADV_RANDOM or MADV_SEQUENTIAL
    huge     MADV_HUGEPAGE, MADV_NOHUGEPAGE, or 0
    """

    start: int
    end: int
    prot: int
    shared: bool = False
    file: File | None = None
    index: int = 0
    stack: bool = False
    locked: bool = False
    forked: bool = True
    wiped: bool = False
    reading: int = 0
    huge: int = 0

    def part(self, start: int, end: int) -> Area:
        """Of it."""
        return replace(self, start=start, end=end, index=self.index + start - self.start)

    def at(self, page: int) -> int:
        """The file page that `page` shows."""
        return self.index + page - self.start

    def down_to(self, page: int) -> Area:
        """A stack that has grown."""
        return replace(self, start=page, index=self.index + page - self.start)


@dataclass
class Space:
    """An address space: areas in order, and the private pages that were written.

    lazy    pages that MADV_FREE allows to become zeros until they are written again
    copied  private pages of files that a call may have copied ahead of a write, with what they held then
    shared  private pages that a fork may have left in other address spaces, until they are written again
    """

    areas: list[Area] = field(default_factory=list)
    written: Versions = field(default_factory=Versions)
    lazy: set[int] = field(default_factory=set)
    copied: dict[int, int] = field(default_factory=dict)
    shared: set[int] = field(default_factory=set)
    start_brk: int = 0
    brk: int = 0

    def area(self, page: int) -> Area | None:
        """What maps a page."""
        at = bisect_right(self.areas, page, key=lambda area: area.start) - 1
        return self.areas[at] if at >= 0 and page < self.areas[at].end else None

    def above(self, page: int) -> Area | None:
        """The first area that ends above a page."""
        at = bisect_right(self.areas, page, key=lambda area: area.end)
        return self.areas[at] if at < len(self.areas) else None

    def inside(self, start: int, end: int) -> list[Area]:
        """Areas and parts of areas in a range."""
        at = bisect_right(self.areas, start, key=lambda area: area.end)
        found = []
        while at < len(self.areas) and self.areas[at].start < end:
            area = self.areas[at]
            found.append(area.part(max(area.start, start), min(area.end, end)))
            at += 1
        return found

    def replace(self, start: int, end: int, areas: Iterable[Area]) -> None:
        """`areas` instead of whatever is mapped in a range; private pages stay."""
        first = bisect_right(self.areas, start, key=lambda area: area.end)
        last = first
        kept = []
        while last < len(self.areas) and self.areas[last].start < end:
            area = self.areas[last]
            kept += [area.part(area.start, start)] if area.start < start else []
            kept += [area.part(end, area.end)] if area.end > end else []
            last += 1
        self.areas[first:last] = sorted([*kept, *areas], key=lambda area: area.start)

    def pages(self, start: int, end: int) -> list[int]:
        """Private pages of a range that were written."""
        if end - start < len(self.written):
            return [page for page in range(start, end) if page in self.written]
        return [page for page in self.written if start <= page < end]

    def forget(self, start: int, end: int) -> None:
        """Private pages of a range fall back to what is behind them."""
        for page in self.pages(start, end):
            del self.written[page]
            self.lazy.discard(page)
            self.shared.discard(page)
        for page in [page for page in self.copied if start <= page < end]:
            del self.copied[page]


class Model:
    """Tasks with address spaces, threads with the same one; every method is a system call or an access.

    files  of the workload: pages, and whether they hold something already
    free_for_all  versions of pages that MADV_FREE gave up in one address space; fork may have left them in others
    """

    def __init__(self, files: Iterable[tuple[int, bool]] = (), tasks: Iterable[int] = (1,)) -> None:
        self.tasks: dict[int, Space] = {task: Space() for task in tasks}
        self.files = [
            File(number, pages, pages if full else 0, memory=not full)
            for number, (pages, full) in enumerate(files)
        ]
        self.free_for_all: set[int] = set()
        self._shared = 0

    def spaces(self) -> dict[int, Space]:
        """Every address space once, by the first of its tasks."""
        found: dict[int, tuple[int, Space]] = {}
        for task, space in self.tasks.items():
            found.setdefault(id(space), (task, space))
        return dict(found.values())

    # -- system calls -----------------------------------------------------------------

    def mmap(self, task: int, area: Area) -> None:
        """A new mapping over whatever was there."""
        space = self.tasks[task]
        space.forget(area.start, area.end)
        space.replace(area.start, area.end, [area])
        self._evict()

    def shared_memory(self, pages: int) -> File:
        """What a shared anonymous mapping maps."""
        self._shared -= 1
        return File(self._shared, pages, names=0, memory=True)

    def munmap(self, task: int, start: int, end: int) -> None:
        """Forget a range."""
        space = self.tasks[task]
        space.forget(start, end)
        space.replace(start, end, [])
        self._evict()

    def mprotect(self, task: int, start: int, end: int, prot: int) -> bool:
        """Up to the first gap; whether there was none."""
        space = self.tasks[task]
        for area in space.inside(start, end):
            if area.start != start:
                return False
            space.replace(area.start, area.end, [replace(area, prot=prot)])
            start = area.end
        return start == end

    def advise(self, task: int, start: int, end: int, **marks: Any) -> None:
        """Whether fork copies a range, or empties it; how it is read; what pages it wants."""
        space = self.tasks[task]
        for area in space.inside(start, end):
            if marks.get("wiped") and (area.file or area.shared):
                return
            space.replace(area.start, area.end, [replace(area, **marks)])

    def dontneed(self, task: int, start: int, end: int, locked_too: bool = False) -> None:
        """Private pages fall back to what is behind them; what is locked ends it."""
        space = self.tasks[task]
        for area in space.inside(start, end):
            if area.locked and not locked_too:
                return
            space.forget(area.start, area.end)

    def free(self, task: int, start: int, end: int) -> None:
        """Private anonymous pages may fall back at any time until they are written; another mapping ends it."""
        space = self.tasks[task]
        for area in space.inside(start, end):
            if area.file or area.locked:
                return
            given_up = list(space.pages(area.start, area.end))
            space.lazy.update(given_up)
            self.free_for_all.update(space.written[page] for page in given_up)

    def populate(self, task: int, start: int, end: int) -> None:
        """A call may have prepared a range for writes, as far as it came: private pages of files are copies then."""
        space = self.tasks[task]
        for area in space.inside(start, end):
            if area.file is not None and not area.shared and area.prot & PROT_WRITE:
                behind = area.end if area.file.memory else area.start + area.file.pages - area.index
                for page in range(area.start, min(area.end, behind)):
                    if page not in space.written and page not in space.copied:
                        space.copied[page] = area.file.content(area.at(page))

    def remove(
        self, task: int, start: int, end: int, holes: Callable[[int], bool] = lambda number: True
    ) -> None:
        """MADV_REMOVE: holes in files that shared, writable mappings show, if they can have `holes`; else it ends."""
        for area in self.tasks[task].inside(start, end):
            if area.file is None or area.locked or not area.shared or not area.prot & PROT_WRITE:
                return
            if not holes(area.file.number):
                return
            area.file.zero(area.index, area.index + area.end - area.start)

    def move(self, task: int, start: int, end: int, to: int, keep: bool = False) -> None:
        """mremap: a range goes to `to`, over whatever was there; `keep` leaves an empty mapping behind."""
        space = self.tasks[task]
        areas = space.inside(start, end)
        pages = {
            page: (space.written[page], page in space.lazy, page in space.shared)
            for page in space.pages(start, end)
        }
        copied = {page: held for page, held in space.copied.items() if start <= page < end}
        for area in areas:  # gaps stay gaps, and leave alone what they come to lie over
            there = area.start - start + to
            space.forget(there, there + area.end - area.start)
            space.replace(there, there + area.end - area.start, [])
        space.forget(start, end)
        space.replace(start, end, [replace(area, locked=False) for area in areas] if keep else [])
        for area in areas:
            there = area.start - start + to
            moved = replace(area, start=there, end=there + area.end - area.start)
            space.replace(moved.start, moved.end, [moved])
        for page, (held, lazy, shared) in pages.items():
            space.written[page - start + to] = held
            if lazy:
                space.lazy.add(page - start + to)
            if shared:
                space.shared.add(page - start + to)
        space.copied.update((page - start + to, held) for page, held in copied.items())
        self._evict()

    def grow(self, task: int, end: int, pages: int) -> None:
        """mremap: the area that ends at `end` goes on for more pages."""
        space = self.tasks[task]
        area = space.area(end - 1)
        if area is not None:
            space.replace(area.start, end + pages, [replace(area, end=end + pages)])
            if area.locked:
                self.populate(task, end, end + pages)

    def brk(self, task: int, old: int, new: int) -> None:
        """The heap ends at page `new` instead of `old`."""
        if new < old:
            self.munmap(task, new, old)
        elif new > old:
            self.mmap(task, Area(old, new, PROT_READ | PROT_WRITE))

    def fork(self, task: int, child: int) -> None:
        """The child gets a copy, but for what it was advised not to get."""
        parent = self.tasks[task]
        parent.shared = set(parent.written)
        areas = [area for area in parent.areas if area.forked]
        copy = Space(
            [replace(area, locked=False) for area in areas], Versions(parent.written), set(parent.lazy),
            dict(parent.copied), set(parent.shared), parent.start_brk, parent.brk,
        )  # fmt: skip
        for area in parent.areas:
            if area.wiped or not area.forked:
                copy.forget(area.start, area.end)
        self.tasks[child] = copy

    def thread(self, task: int, child: int) -> None:
        """The child runs in the same address space."""
        self.tasks[child] = self.tasks[task]

    def exec(self, task: int, start_brk: int = 0) -> None:
        """A new, empty address space."""
        self.tasks[task] = Space(start_brk=start_brk, brk=start_brk)
        self._evict()

    def exit(self, task: int) -> None:
        """The task is gone."""
        del self.tasks[task]
        self._evict()

    # -- files ------------------------------------------------------------------------

    def truncate(self, number: int, pages: int) -> None:
        """Private copies of what is behind the end go too, but for those of shared memory that does not shrink."""
        file = self.files[number]
        for space in self.spaces().values() if pages < file.pages or not file.memory else ():
            for area in space.areas:
                if area.file is file and area.at(area.end) > pages:
                    space.forget(max(area.start, area.start + pages - area.index), area.end)
        file.truncate(pages)

    def write(self, number: int, row: int, first: int, after: int) -> None:
        """write(2) by operation `row` to pages [first, after)."""
        file = self.files[number]
        file.written.update((index, version(row, index)) for index in range(first, after))

    def unlink(self, number: int) -> None:
        """The last name goes."""
        self.files[number].names = 0
        self._evict()

    def _evict(self) -> None:
        unnamed = [file for file in self.files if not file.names and file.pages]
        if unnamed:
            mapped = {id(area.file) for space in self.spaces().values() for area in space.areas}
            for file in unnamed:
                if id(file) not in mapped:
                    file.truncate(0)

    # -- accesses ---------------------------------------------------------------------

    def access(self, task: int, page: int, access: int, row: int) -> str:
        """One access by operation `row`; a write gives the page a version that no other page has."""
        space = self.tasks[task]
        area = space.area(page)
        if area is None or not area.prot & NEEDS[access]:
            return SEGV
        if area.file is not None and area.at(page) >= area.file.pages and page not in space.written:
            return BUS
        self.reach(task, area, page, access, row)
        return OK

    def reach(self, task: int, area: Area, page: int, access: int, row: int) -> None:
        """What an access does that goes through."""
        space = self.tasks[task]
        if access == ACCESS_WRITE:
            if area.shared and area.file is not None:
                area.file.written[area.at(page)] = version(row, page)
            else:
                space.written[page] = version(row, page)
                space.lazy.discard(page)
                space.shared.discard(page)
                space.copied.pop(page, None)

    def content(self, space: Space, area: Area, page: int) -> int:
        """What a read would see."""
        if not area.shared and page in space.written:
            return space.written[page]
        return area.file.content(area.at(page)) if area.file is not None else 0

    def written_to(self, space: Space, area: Area, page: int) -> int | None:
        """The version that was last written to a page; None if what is behind it shows."""
        if area.shared and area.file is not None:
            return area.file.written.get(area.at(page))
        return space.written.get(page)

    def put(self, space: Space, area: Area, page: int, held: int | None) -> None:
        """That is what was last written to it."""
        written, place = space.written, page
        if area.shared and area.file is not None:
            written, place = area.file.written, area.at(page)
        else:
            space.shared.add(page)  # for all one knows
        if held is None:
            written.pop(place, None)
        else:
            written[place] = held
