"""A machine and the model side by side: every operation on both, then everything that must agree."""

from __future__ import annotations

from collections.abc import Sequence

from core_mm import mm_types, uapi
from core_mm.uapi import (
    ACCESS_WRITE,
    FILE_REGULAR,
    FILE_SHMEM,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
)
from mmarch.check.context import Context
from mmarch.check.contract import Contract, replacements
from mmarch.check.lazy import Sections
from mmarch.check.observing import Observer
from mmarch.check.outcome import CheckFailed
from mmarch.check.swapping import AREA, Keeper
from mmarch.check.system import System, outcome, system
from mmarch.sanitize.contents import Contents
from mmarch.sanitize.invariants import Finding, broken
from mmarch.sanitize.model import Area
from mmarch.sanitize.random_rows import FILE_PAGES, FILES, Row, block_pages

# Calls that succeed wherever there is no hole in their range, and whatever there is in it.
WHOLE = (uapi.OP_MPROTECT, uapi.OP_MSYNC, uapi.OP_MADVISE)
ALWAYS = (uapi.OP_MUNMAP, uapi.OP_FORK, uapi.OP_EXIT, uapi.OP_LRU_GEN_AGE, uapi.OP_CLEAR_REFS)
ADVICE = (uapi.MADV_DONTNEED, uapi.MADV_COLD, uapi.MADV_PAGEOUT)


def files(context: Context) -> tuple[tuple[int, int], ...]:
    """On disk and in memory by turns, as random programs have them: kind and bytes of each."""
    size = FILE_PAGES << context.geometry.page_shift
    return ((FILE_REGULAR, size), (FILE_SHMEM, size)) * (FILES // 2)


class Driver:
    """Operations on the arena; page numbers count from its first page."""

    def __init__(self, context: Context, orders: int = 0, shmem_orders: int = 0) -> None:
        """`orders` are masks of folio orders, 0 for the usual ones."""
        changes: dict[str, object] = {"shmem_orders": shmem_orders}
        if orders:
            changes |= {"anon_orders": orders, "overrides": {"log_ptes": 1, "anon_always": orders}}
        sections, keeper = Sections(), Keeper()
        instead = {
            **replacements(1 << context.geometry.pte_bits), **sections.replacements(), **keeper.replacements(),
        }  # fmt: skip
        self.system: System = system(context, files=files(context), instead=instead, changes=changes)
        self.contract = Contract(self.system, sections, keeper)
        self.keeper = keeper
        self.observer = Observer(self.system)
        self.contents = Contents(self.system.reader)
        self.contents.after(0)  # the first task
        self.model = self.contents.model
        self.page = self.system.page
        self.context = context
        geometry = context.geometry
        self.first = (64 << geometry.pte_bits) - 2 * block_pages(geometry)  # two blocks before the border of two tables

    def _addr(self, page: int) -> int:
        return (self.first + page) * self.page

    def _do(self, op: int, task: int, *arguments: int) -> int:
        try:
            result = self.system.do(op, task, *arguments)
        except CheckFailed as error:
            raise CheckFailed(str(error), self.system.steps()) from None
        self._fail(self.contents.after(len(self.system.operations) - 1))
        return result

    def _fail(self, found: Sequence[Finding]) -> None:
        if found:
            raise CheckFailed(f"{found[0]}{self.context.where}", self.system.steps())

    def _succeeds(self, op: int, task: int, *arguments: int) -> None:
        result = self._do(op, task, *arguments)
        if result < 0:
            raise CheckFailed(f"{self.system.steps()[-1]} returned {outcome(result)}", self.system.steps())

    # -- operations -------------------------------------------------------------------

    def call(self, row: Row) -> None:
        """Any operation of a task that lives; accesses page by page."""
        op, task, *cells = row
        if op != uapi.OP_SPAWN and task not in self.model.tasks:
            return
        page, pages = cells[0] // self.page - self.first, cells[1] // self.page
        if op == uapi.OP_TOUCH:
            self.touch(task, page, cells[1], cells[2])
        elif op == uapi.OP_MREMAP and cells[1] == cells[2]:
            self.mremap(task, page, pages, cells[4] // self.page - self.first)
        elif op in ALWAYS or (op in WHOLE and self._owed(op, task, page, pages, cells[2])):
            self._succeeds(op, task, *cells)
        else:
            self._do(op, task, *cells)

    def _owed(self, op: int, task: int, page: int, pages: int, advice: int) -> bool:
        return bool(self._areas(task, page, pages)) and (op != uapi.OP_MADVISE or advice in ADVICE)

    def mmap(self, task: int, page: int, pages: int, prot: int, kind: str, index: int = 0) -> None:
        """`kind`: private, or file or shmem with "shared" or "private" mappings of them."""
        file = {"anon": -1, "file": 0, "shmem": 1}[kind.partition("-")[0]]
        shared = kind.endswith("-shared")
        flags = MAP_FIXED | (MAP_SHARED if shared else MAP_PRIVATE) | (MAP_ANONYMOUS if file < 0 else 0)
        offset = index * self.page if file >= 0 else 0
        self._succeeds(uapi.OP_MMAP, task, self._addr(page), pages * self.page, prot, flags, file, offset)

    def munmap(self, task: int, page: int, pages: int) -> None:
        """Unmap."""
        self._succeeds(uapi.OP_MUNMAP, task, self._addr(page), pages * self.page)

    def _areas(self, task: int, page: int, pages: int) -> list[Area]:
        """What a range maps; nothing if it has holes."""
        first = self.first + page
        found = self.model.tasks[task].inside(first, first + pages)
        return found if sum(area.end - area.start for area in found) == pages else []

    def mprotect(self, task: int, page: int, pages: int, prot: int) -> None:
        """Protect a range without holes."""
        if self._areas(task, page, pages):
            self._succeeds(uapi.OP_MPROTECT, task, self._addr(page), pages * self.page, prot)

    def madvise(self, task: int, page: int, pages: int, advice: int) -> None:
        """DONTNEED, FREE, COLD, PAGEOUT, on a range without holes."""
        areas = self._areas(task, page, pages)
        if areas and not (advice == uapi.MADV_FREE and any(area.file for area in areas)):
            self._succeeds(uapi.OP_MADVISE, task, self._addr(page), pages * self.page, advice)

    def mremap(self, task: int, page: int, pages: int, to: int) -> None:
        """Move a range; that of one mapping can be moved, away from itself."""
        size = pages * self.page
        owed = self._movable(task, page, pages, to)
        result = self._do(uapi.OP_MREMAP, task, self._addr(page), size, size, 3, self._addr(to))
        if owed and result < 0 and result != -mm_types.EFAULT:  # the range may span two VMAs that look alike
            raise CheckFailed(f"{self.system.steps()[-1]} returned {outcome(result)}", self.system.steps())

    def _movable(self, task: int, page: int, pages: int, to: int) -> bool:
        areas = self._areas(task, page, pages)
        if not areas or not (to + pages <= page or page + pages <= to):
            return False
        first = areas[0]
        return all(
            (area.prot, area.shared, area.file) == (first.prot, first.shared, first.file)
            and (not area.file or area.index - first.index == area.start - first.start)
            for area in areas
        )

    def fork(self, task: int, child: int) -> None:
        """Fork."""
        self._succeeds(uapi.OP_FORK, task, child)

    def exit(self, task: int) -> None:
        """Exit."""
        self._succeeds(uapi.OP_EXIT, task)

    def touch(self, task: int, page: int, pages: int, access: int) -> None:
        """Accesses one by one, so that the first error stops both sides at the same page."""
        for at in range(page, page + pages):
            if self._do(uapi.OP_TOUCH, task, self._addr(at), 1, access):
                return
            self._after_access(task, at, access)

    def msync(self, task: int, page: int, pages: int) -> None:
        """Write back, on a range without holes."""
        if self._areas(task, page, pages):
            self._succeeds(uapi.OP_MSYNC, task, self._addr(page), pages * self.page, 4)

    def age(self) -> None:
        """One pass of the multi-generational LRU."""
        self._succeeds(uapi.OP_LRU_GEN_AGE, 1)

    def swapoff(self) -> None:
        """Give swap up."""
        self._succeeds(uapi.OP_SWAPOFF, 1)
        if not self.keeper.calls[AREA]:
            raise CheckFailed(f"core-mm gives the swap area up without {AREA}", self.system.steps())

    def clear_refs(self, task: int) -> None:
        """Clear accessed flags."""
        self._succeeds(uapi.OP_CLEAR_REFS, task, 1)

    # -- what must agree --------------------------------------------------------------

    def _after_access(self, task: int, page: int, access: int) -> None:
        seen = self.observer.look(self.observer.mm_of(task), self.first + page)
        if seen is None:
            self._differ(task, page, "was accessed and is not mapped")
            return
        if seen.swapped or not seen.valid or not seen.young:
            self._differ(task, page, f"was accessed and is {seen}")
        if access == ACCESS_WRITE and not (
            seen.write and (seen.dirty or self.observer.folio_dirty(seen.pfn))
        ):
            self._differ(task, page, f"was written and is {seen}")

    def compare(self) -> None:
        """Everything: TLB oracle, bookkeeping, contents, permissions, what would be lost."""
        self.system.judge(self.context.where)
        state = self.system.reader.read()
        self._fail(broken(state))
        self._fail(self.contents.wrong(state))

    def _differ(self, task: int, page: int, what: str) -> None:
        what = f"page {self.first + page:#x} of task {task} {what}{self.context.where}"
        raise CheckFailed(what, self.system.steps())
