"""The model after each operation of a workload, by what the manual pages say of its system calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from core_mm import mm_types, uapi
from core_mm.mm_types import EAGAIN, EFAULT, ENOMEM, SIGBUS, SIGSEGV, VM_DONTCOPY, VM_WIPEONFORK
from mmarch.runs.run import error_name
from mmarch.sanitize.invariants import Finding
from mmarch.sanitize.model import BUS, OK, SEGV, Area, Model, Space, version

ACCESS = 7  # bits of a protection
GUARD_PAGES, STACK_BYTES = 256, 8 << 20  # stack_guard_gap, the usual RLIMIT_STACK
ADDRESS_BITS = 48
MADV_DONTNEED_LOCKED = 24
SIGNALS = {SEGV: -SIGSEGV, BUS: -SIGBUS}
ACCESSES = {uapi.ACCESS_READ: "read", uapi.ACCESS_WRITE: "write", uapi.ACCESS_EXEC: "fetch"}
READING = uapi.MADV_NORMAL, uapi.MADV_RANDOM, uapi.MADV_SEQUENTIAL
HUGE = uapi.MADV_HUGEPAGE, uapi.MADV_NOHUGEPAGE
MARKS: dict[int, dict[str, int]] = {
    uapi.MADV_DONTFORK: {"forked": False}, uapi.MADV_DOFORK: {"forked": True},
    uapi.MADV_WIPEONFORK: {"wiped": True}, uapi.MADV_KEEPONFORK: {"wiped": False},
    **{advice: {"reading": advice} for advice in READING}, **{advice: {"huge": advice} for advice in HUGE},
}  # fmt: skip
FLAGS = {
    uapi.MADV_RANDOM: mm_types.VM_RAND_READ, uapi.MADV_SEQUENTIAL: mm_types.VM_SEQ_READ,
    uapi.MADV_HUGEPAGE: mm_types.VM_HUGEPAGE, uapi.MADV_NOHUGEPAGE: mm_types.VM_NOHUGEPAGE,
}  # fmt: skip
Left = Callable[[int, int, int], list[tuple[int, int, int]]]
Holds = Callable[[int, int], int | None]


@cache
def marked(flags: int) -> dict[str, Any]:
    """What advice has made of a mapping, by its vm_flags."""
    reading = next((advice for advice in READING[1:] if flags & FLAGS[advice]), uapi.MADV_NORMAL)
    huge = next((advice for advice in HUGE if flags & FLAGS[advice]), 0)
    forked, wiped = not flags & VM_DONTCOPY, bool(flags & VM_WIPEONFORK)
    return {"forked": forked, "wiped": wiped, "reading": reading, "huge": huge}


class Follow:
    """Applies operations to a model.

    left   (task, first page, after) -> (first, after, vm_flags) of what the machine maps there
    holds  (task, page) -> the version that is mapped there, None if nothing is
    large  (task, page) -> whether a large folio is mapped there
    filed  (file, page) -> the version that is cached there, or in swap. All are asked after a call that ran out of
           memory half-way, of which nobody can say what it has done
    """

    def __init__(
        self, model: Model, page_size: int, levels_bits: int, holes: Iterable[bool], left: Left, holds: Holds,
        filed: Holds, large: Callable[[int, int], bool],
    ) -> None:  # fmt: skip
        self.model, self._page = model, page_size
        self._top = 1 << min(levels_bits, ADDRESS_BITS)
        self._holes, self._left, self._holds, self._filed = tuple(holes), left, holds, filed
        self._large, self.starved = large, False
        self._do: dict[int, Callable[[int, int, Sequence[int], int], list[Finding] | None]] = {
            uapi.OP_MMAP: self._mmap, uapi.OP_MUNMAP: self._munmap, uapi.OP_BRK: self._brk,
            uapi.OP_MPROTECT: self._mprotect, uapi.OP_MADVISE: self._madvise, uapi.OP_MREMAP: self._mremap,
            uapi.OP_TOUCH: self._touch, uapi.OP_FORK: self._fork, uapi.OP_VFORK: self._thread,
            uapi.OP_CLONE_VM: self._thread, uapi.OP_EXEC: self._exec, uapi.OP_EXIT: self._exit,
            uapi.OP_FTRUNCATE: self._truncate, uapi.OP_PWRITE: self._pwrite, uapi.OP_UNLINK: self._unlink,
            uapi.OP_FALLOCATE: self._fallocate,
        }  # fmt: skip

    def __call__(
        self, row: int, operation: Sequence[int], result: int, starved: bool = False
    ) -> list[Finding]:
        """Operation `row` returned `result`; what cannot be. `starved`: an allocation of it failed on purpose."""
        self.starved = starved
        op, task, *cells = operation
        if op == uapi.OP_SPAWN and result == 0:
            self.model.tasks[task] = Space()
        elif task in self.model.tasks and op in self._do:
            return self._do[op](row, task, cells, result) or []
        return []

    def _pages(self, size: int) -> int:
        return -(-size // self._page)

    def range_of(self, cells: Sequence[int]) -> tuple[int, int] | None:
        """Pages [start, end) of an address and a length, None if they make no range."""
        start, size = cells[0], self._pages(cells[1]) * self._page
        if start % self._page or start < 0 or size <= 0 or start + size > self._top:
            return None
        return start // self._page, (start + size) // self._page

    # -- mappings ---------------------------------------------------------------------

    def _mmap(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        where = self.range_of(cells)
        if where is None or result < 0:
            self._adopt(task, where, result)
            return
        _, _, prot, flags, number, offset = cells
        kind = flags & uapi.MAP_TYPE
        file, index = None, 0
        if not flags & uapi.MAP_ANONYMOUS and number >= 0:
            file, index = self.model.files[number], offset // self._page
        elif kind != uapi.MAP_PRIVATE:
            file = self.model.shared_memory(where[1] - where[0])
        self.model.mmap(
            task, Area(
                *where, prot & ACCESS, kind != uapi.MAP_PRIVATE, file, index, bool(flags & uapi.MAP_GROWSDOWN),
                bool(flags & uapi.MAP_LOCKED), huge=uapi.MADV_NOHUGEPAGE if flags & uapi.MAP_STACK else 0,
            ),
        )  # fmt: skip
        if flags & (uapi.MAP_LOCKED | uapi.MAP_POPULATE):
            self.model.populate(task, *where)

    def _munmap(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        where = self.range_of(cells)
        if where is not None and result == 0:
            self.model.munmap(task, *where)
        else:
            self._adopt(task, where, result)

    def _adopt(self, task: int, where: tuple[int, int] | None, result: int) -> None:
        """A call failed half-way: what is still mapped of a range, with which protection and marks."""
        if where is None or result not in (-ENOMEM, -EFAULT, -EAGAIN):
            return
        space, there = self.model.tasks[task], self._left(task, *where)
        at = where[0]
        for first, after, flags in [*there, (where[1], where[1], 0)]:
            space.forget(at, first)
            space.replace(at, first, [])
            marks = marked(flags)
            parts = [replace(area, prot=flags & ACCESS, **marks) for area in space.inside(first, after)]
            space.replace(first, after, parts)
            at = after

    def _brk(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        space, new = self.model.tasks[task], cells[0]
        if not space.start_brk and 0 < new < self._top:
            space.start_brk = space.brk = new
        if result == new and space.start_brk <= new:
            self.model.brk(task, self._pages(space.brk), self._pages(new))
            space.brk = new

    def _mprotect(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        where = self.range_of(cells)
        if where is None or result not in (0, -ENOMEM):
            return
        whole = self.model.mprotect(task, *where, cells[2] & ACCESS)
        if whole and result:
            self._adopt(task, where, result)
        for area in self.model.tasks[task].inside(*where):
            if area.locked:
                self.model.populate(task, area.start, area.end)

    def _madvise(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        where, advice = self.range_of(cells), cells[2]
        if where is None:
            return
        if advice in (uapi.MADV_DONTNEED, MADV_DONTNEED_LOCKED):
            self.model.dontneed(task, *where, locked_too=advice == MADV_DONTNEED_LOCKED)
        elif advice == uapi.MADV_FREE:
            self.model.free(task, *where)
        elif advice == uapi.MADV_REMOVE:
            self.model.remove(task, *where, lambda number: number < 0 or self._holes[number])
        elif advice == uapi.MADV_POPULATE_WRITE:
            self.model.populate(task, *where)
        elif advice in MARKS:
            self.model.advise(task, *where, **MARKS[advice])
            self._adopt(task, where, result)

    def _mremap(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        old, old_size, new_size, flags, to = cells[:5]
        start, pages, wanted = old // self._page, self._pages(old_size), self._pages(new_size)
        if result < 0:
            if flags & uapi.MREMAP_FIXED:
                self._moved_before(task, start, pages if pages == wanted else 0, to // self._page)
                self._adopt(task, self.range_of((to, new_size)), result)
                self._adopt(task, self.range_of((old, old_size)), result)
            return
        there = result // self._page
        fixed = flags & (uapi.MREMAP_FIXED | uapi.MREMAP_DONTUNMAP)
        if not fixed and there == start:
            if wanted < pages:
                self.model.munmap(task, start + wanted, start + pages)
            elif wanted > pages:
                self.model.grow(task, start + pages, wanted - pages)
            return
        if not pages:
            self._duplicate(task, start, there, wanted)
            return
        if wanted != pages:
            self.model.munmap(task, there, there + wanted)
        if wanted < pages:
            self.model.munmap(task, start + wanted, start + pages)
            pages = wanted
        areas = self.model.tasks[task].inside(start, start + pages)
        self.model.move(task, start, start + pages, there, bool(flags & uapi.MREMAP_DONTUNMAP))
        if flags & uapi.MREMAP_DONTUNMAP:
            self._unlocked(task, start)
        if self.starved:
            self._stayed(task, start, start + pages, areas)
        if wanted > pages:
            self.model.grow(task, there + pages, wanted - pages)

    def _unlocked(self, task: int, page: int) -> None:
        """MREMAP_DONTUNMAP unlocks all of the mapping that it takes pages of (mm/mremap.c:dontunmap_complete)."""
        space = self.model.tasks[task]
        for first, after, _ in self._left(task, 0, self._top // self._page):
            if first <= page < after:
                areas = [replace(area, locked=False) for area in space.inside(first, after)]
                space.replace(first, after, areas)

    def _moved_before(self, task: int, start: int, pages: int, there: int) -> None:
        """Memory ran out after the first of several mappings had been moved."""
        left, arrived = (self._mapped(task, first, first + pages) for first in (start, there))
        moved = [
            page
            for page in range(start, start + pages)
            if page not in left and page - start + there in arrived
        ]
        for page in moved:
            self.model.move(task, page, page + 1, page - start + there)

    def _mapped(self, task: int, start: int, end: int) -> set[int]:
        """Pages of a range that the machine maps."""
        return {page for first, after, _ in self._left(task, start, end) for page in range(first, after)}

    def _stayed(self, task: int, start: int, end: int, areas: Sequence[Area]) -> None:
        """Without memory to split a mapping, what was moved stays mapped where it was, and empty (move_vma)."""
        left, space = self._mapped(task, start, end), self.model.tasks[task]
        for area in areas:
            for page in range(area.start, area.end):
                if page in left and space.area(page) is None:
                    space.replace(page, page + 1, [area.part(page, page + 1)])

    def _duplicate(self, task: int, start: int, there: int, pages: int) -> None:
        """mremap of no bytes: shared memory is mapped a second time."""
        area = self.model.tasks[task].area(start)
        if area is not None:
            self.model.mmap(task, replace(area, start=there, end=there + pages, index=area.at(start)))

    # -- tasks ------------------------------------------------------------------------

    def _fork(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        if result == 0:
            self.model.fork(task, cells[0])
        else:  # it may have come some way
            space = self.model.tasks[task]
            space.shared = set(space.written)

    def _thread(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        if result == 0:
            self.model.thread(task, cells[0])

    def _exec(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        if result == 0:
            self.model.exec(task, cells[0])

    def _exit(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        self.model.exit(task)

    # -- files ------------------------------------------------------------------------

    def _truncate(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        if result == 0:
            self._grow(cells[0], self._pages(cells[1]))
            self.model.truncate(cells[0], self._pages(cells[1]))

    def _grow(self, number: int, pages: int) -> None:
        """To so many pages if they are more; what was written behind the end, to a folio there, may be gone or not."""
        file = self.model.files[number]
        for index in [index for index in file.written if file.pages <= index < pages]:
            file.written[index] = self._filed(number, index) or 0
        file.pages = max(file.pages, pages)

    def _pwrite(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        number, offset, size = cells[:3]
        if result == -ENOMEM:
            for index in range(offset // self._page, self._pages(offset + size)):
                if self._filed(number, index) == version(row, index):
                    self.model.write(number, row, index, index + 1)
        elif result == 0 and size:
            self._grow(number, self._pages(offset + size))
            self.model.write(number, row, offset // self._page, self._pages(offset + size))

    def _unlink(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        if result == 0:
            self.model.unlink(cells[0])

    def _fallocate(self, row: int, task: int, cells: Sequence[int], result: int) -> None:
        number, mode, offset, size = cells[:4]
        if result:
            return
        if mode & uapi.FALLOC_FL_PUNCH_HOLE:
            self.model.files[number].zero(self._pages(offset), (offset + size) // self._page)
        elif not mode & uapi.FALLOC_FL_KEEP_SIZE:
            self._grow(number, self._pages(offset + size))

    # -- accesses ---------------------------------------------------------------------

    def _touch(self, row: int, task: int, cells: Sequence[int], result: int) -> list[Finding]:
        addr, pages, access = cells[:3]
        if not 0 <= addr < self._top:
            return [] if result == -SIGSEGV else [self._wrong(task, addr // self._page, access, SEGV, result)]
        first = addr // self._page
        expected, at = OK, first
        if self.starved and result == -SIGSEGV and self.model.tasks[task].area(first) is None:
            return []  # a stack that could not grow (mm/mmap.c:expand_stack)
        before = self._before(task, first, pages) if result == -ENOMEM else {}
        for at in range(first, first + min(pages, (self._top - addr + self._page - 1) // self._page)):
            expected = self.model.access(task, at, access, row)
            if expected == SEGV and self._expand(task, at):
                expected = self.model.access(task, at, access, row)
            if expected == BUS and self._behind(task, at, access, row):
                self.model.reach(task, self._area(task, at), at, access, row)
                expected = OK
            if expected != OK:
                break
        if result == -ENOMEM:
            self._undo(task, before, row)
        elif result != SIGNALS.get(expected, 0):
            return [self._wrong(task, at, access, expected, result)]
        return []

    def _area(self, task: int, page: int) -> Area:
        area = self.model.tasks[task].area(page)
        assert area is not None
        return area

    def _behind(self, task: int, page: int, access: int, row: int) -> bool:
        """Whether a page of shared memory behind its end is mapped all the same, with the folio it is part of.

        Of a private mapping also one that was mapped so until this write made a copy of it.
        """
        area = self._area(task, page)
        if area.file is None or not area.file.memory:
            return False
        copied = (
            access == uapi.ACCESS_WRITE and not area.shared and self._holds(task, page) == version(row, page)
        )
        return copied or self._large(task, page)

    def _before(self, task: int, first: int, pages: int) -> dict[int, int | None]:
        """What was written to pages before an access that will run out of memory."""
        space = self.model.tasks[task]
        self._expand(task, first)
        return {
            page: self.model.written_to(space, area, page)
            for page in range(first, first + pages)
            if (area := space.area(page)) is not None
        }

    def _undo(self, task: int, before: dict[int, int | None], row: int) -> None:
        """Writes that did not happen: those behind the last one that can be seen; two pages may be one of a file."""
        space = self.model.tasks[task]
        held = {self._holds(task, page) for page in before}
        done = max((page for page in before if version(row, page) in held), default=-1)
        areas = {page: area for page in before if (area := space.area(page)) is not None}
        for page, area in areas.items():
            self.model.put(space, area, page, before[page])
        for page, area in areas.items():
            if page <= done:
                self.model.reach(task, area, page, uapi.ACCESS_WRITE, row)

    def _expand(self, task: int, page: int) -> bool:
        """Whether a stack grows down to a page."""
        space = self.model.tasks[task]
        if space.area(page) is not None:
            return False
        stack = space.above(page)
        if stack is None or not stack.stack or (stack.end - page) * self._page > STACK_BYTES:
            return False
        at = space.areas.index(stack)
        below = space.areas[at - 1] if at else None
        if below is not None and not below.stack and below.prot & ACCESS and page - below.end < GUARD_PAGES:
            return False
        space.replace(stack.start, stack.end, [stack.down_to(page)])
        return True

    def _wrong(self, task: int, page: int, access: int, expected: str, result: int) -> Finding:
        names = {-SIGSEGV: SEGV, -SIGBUS: BUS, -EFAULT: "faulted without end", 0: "went through"}
        should = "goes through" if expected == OK else f"ends with {expected}"
        return Finding(
            "access", f"task {task}: a {ACCESSES.get(access, access)} of page {page:#x} {should}, "
            f"and here {names.get(result, f'returned {error_name(-result)}')}",
        )  # fmt: skip
