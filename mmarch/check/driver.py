"""A machine and the model side by side: every operation on both, then everything that must agree."""

from __future__ import annotations

from collections import Counter

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
from mmarch.check.model import OK, Model
from mmarch.check.observing import Observer, Seen
from mmarch.check.outcome import CheckFailed
from mmarch.check.swapping import AREA, Keeper
from mmarch.check.system import System, outcome, system

TASKS = 6
FILE_PAGES = 512


class Driver:
    """Operations on the arena; page numbers count from its first page."""

    def __init__(self, context: Context, orders: int = 0, shmem_orders: int = 0) -> None:
        """`orders` are masks of folio orders, 0 for the usual ones."""
        size = FILE_PAGES << context.geometry.page_shift
        files = ((FILE_REGULAR, size), (FILE_SHMEM, size))
        changes: dict[str, object] = {"shmem_orders": shmem_orders}
        if orders:
            changes |= {"anon_orders": orders, "overrides": {"log_ptes": 1, "anon_always": orders}}
        sections, keeper = Sections(), Keeper()
        instead = {
            **replacements(1 << context.geometry.pte_bits), **sections.replacements(), **keeper.replacements(),
        }  # fmt: skip
        self.system: System = system(context, files=files, instead=instead, changes=changes)
        self.contract = Contract(self.system, sections, keeper)
        self.keeper = keeper
        self.observer = Observer(self.system)
        self.model = Model()
        self.page = self.system.page
        self.context = context
        geometry = context.geometry
        block = geometry.cont_ptes if geometry.cont_ptes > 1 else 16
        self.first = (64 << geometry.pte_bits) - 2 * block  # two blocks before the border of two tables

    def _addr(self, page: int) -> int:
        return (self.first + page) * self.page

    def _do(self, op: int, task: int, *arguments: int) -> int:
        try:
            return self.system.do(op, task, *arguments)
        except CheckFailed as error:
            raise CheckFailed(str(error), self.system.steps()) from None

    def _succeeds(self, op: int, task: int, *arguments: int) -> None:
        result = self._do(op, task, *arguments)
        if result < 0:
            raise CheckFailed(f"{self.system.steps()[-1]} returned {outcome(result)}", self.system.steps())

    # -- operations -------------------------------------------------------------------

    def mmap(self, task: int, page: int, pages: int, prot: int, kind: str, index: int = 0) -> None:
        """`kind`: private, or file or shmem with "shared" or "private" mappings of them."""
        file = {"anon": -1, "file": 0, "shmem": 1}[kind.partition("-")[0]]
        shared = kind.endswith("-shared")
        flags = MAP_FIXED | (MAP_SHARED if shared else MAP_PRIVATE) | (MAP_ANONYMOUS if file < 0 else 0)
        offset = index * self.page if file >= 0 else 0
        self._succeeds(uapi.OP_MMAP, task, self._addr(page), pages * self.page, prot, flags, file, offset)
        self.model.mmap(task, page, pages, prot, shared, file, index)

    def munmap(self, task: int, page: int, pages: int) -> None:
        """Unmap."""
        self._succeeds(uapi.OP_MUNMAP, task, self._addr(page), pages * self.page)
        self.model.munmap(task, page, pages)

    def mprotect(self, task: int, page: int, pages: int, prot: int) -> None:
        """Protect; holes make it fail, and then part of it may be done, so that only whole ranges are tried."""
        if self.model.mprotect(task, page, pages, prot):
            self._succeeds(uapi.OP_MPROTECT, task, self._addr(page), pages * self.page, prot)

    def madvise(self, task: int, page: int, pages: int, advice: int) -> None:
        """DONTNEED, FREE, COLD, PAGEOUT, on a range without holes."""
        mapped = self.model.tasks[task].mapped
        if any(at not in mapped for at in range(page, page + pages)):
            return
        anonymous = all(mapped[at].file < 0 for at in range(page, page + pages))
        if advice == uapi.MADV_FREE and not anonymous:
            return
        self._succeeds(uapi.OP_MADVISE, task, self._addr(page), pages * self.page, advice)
        if advice == uapi.MADV_DONTNEED:
            self.model.dontneed(task, page, pages)
        elif advice == uapi.MADV_FREE:
            self.model.free(task, page, pages)

    def mremap(self, task: int, page: int, pages: int, to: int) -> None:
        """Move a range of one mapping."""
        mapped = self.model.tasks[task].mapped
        first = mapped.get(page)
        apart = to + pages <= page or page + pages <= to
        for at in range(page, page + pages):
            here = mapped.get(at)
            if here is None or first is None or not apart:
                return
            if (here.prot, here.shared, here.file) != (first.prot, first.shared, first.file):
                return
            if here.file >= 0 and here.index - first.index != at - page:
                return
        size = pages * self.page
        result = self._do(uapi.OP_MREMAP, task, self._addr(page), size, size, 3, self._addr(to))
        if result >= 0:
            self.model.mremap(task, page, pages, to)
        elif result != -mm_types.EFAULT:  # the range may span two VMAs that look alike
            raise CheckFailed(f"{self.system.steps()[-1]} returned {outcome(result)}", self.system.steps())
        else:
            self.model.munmap(task, to, pages)

    def fork(self, task: int, child: int) -> None:
        """Fork."""
        self._succeeds(uapi.OP_FORK, task, child)
        self.model.fork(task, child)

    def exit(self, task: int) -> None:
        """Exit."""
        self._succeeds(uapi.OP_EXIT, task)
        self.model.exit(task)

    def touch(self, task: int, page: int, pages: int, access: int) -> None:
        """Accesses one by one, so that the first error stops both sides at the same page."""
        for at in range(page, page + pages):
            result = self._do(uapi.OP_TOUCH, task, self._addr(at), 1, access)
            expected = self.model.access(task, at, access)
            if (result == 0) != (expected == OK) or result not in (0, -mm_types.SIGSEGV):
                raise CheckFailed(
                    f"{self.system.steps()[-1]} returned {outcome(result)}, expected {expected}",
                    self.system.steps(),
                )
            if result:
                return
            self._after_access(task, at, access)

    def msync(self, task: int, page: int, pages: int) -> None:
        """Write back, on a range without holes."""
        mapped = self.model.tasks[task].mapped
        if all(at in mapped for at in range(page, page + pages)):
            self._succeeds(uapi.OP_MSYNC, task, self._addr(page), pages * self.page, 4)
            self.model.written_back(task, page, pages)

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
        """Everything: oracle, bookkeeping, contents, permissions, dirty."""
        self.system.judge(self.context.where)
        self.system.audit(self.context.where)
        seen = self.observer.pages()
        found = {
            (task, page): seen.pop((self.observer.mm_of(task), self.first + page), None)
            for task, page, _ in self.model.pages()
        }
        if seen:
            (mm, page), left = next(iter(seen.items()))
            raise CheckFailed(
                f"mm {mm} still maps page {page:#x}: {left}{self.context.where}", self.system.steps()
            )
        for task, page, mapping in self.model.pages():
            self._page(task, page, mapping.prot, found[task, page])
        self._frames(found)
        self._dirty_files(found)

    def _page(self, task: int, page: int, prot: int, found: Seen | None) -> None:
        """One page against what its user may expect."""
        space = self.model.tasks[task]
        kept = page in space.written and page not in space.lazy
        if found is None:
            if kept:
                self._differ(task, page, "was written and is not mapped any more")
            return
        if found.swapped:
            return
        if found.write and not prot & uapi.PROT_WRITE:
            self._differ(task, page, f"is writable without permission: {found}")
        if found.valid and not prot:
            self._differ(task, page, f"can be accessed without permission: {found}")
        dirty = found.dirty or self.observer.folio_dirty(found.pfn) or self.observer.saved(found.pfn)
        if kept and (found.special or not dirty):
            self._differ(task, page, f"was written and is clean: {found}")

    def _frames(self, found: dict[tuple[int, int], Seen | None]) -> None:
        """A frame has one content, and what one process may write to privately is nobody else's."""
        contents: dict[int, object] = {}
        users: Counter[int] = Counter()
        writer: dict[int, tuple[int, int]] = {}
        for task, page, mapping in self.model.pages():
            seen = found[task, page]
            if seen is None or seen.swapped or seen.special:
                continue
            content = (
                ("file", mapping.file, mapping.index) if mapping.shared else self.model.content(task, page)
            )
            if contents.setdefault(seen.pfn, content) != content:
                self._differ(task, page, f"shares frame {seen.pfn:#x} with a page of other contents")
            users[seen.pfn] += 1
            if seen.write and not mapping.shared:
                writer[seen.pfn] = task, page
        for pfn, place in writer.items():
            if users[pfn] > 1:
                self._differ(*place, f"may write to frame {pfn:#x}, which others map")

    def _dirty_files(self, found: dict[tuple[int, int], Seen | None]) -> None:
        """A file page that was written through a mapping is dirty in an entry or in its folio, until written back."""
        dirty: dict[tuple[int, int], bool] = {}
        for task, page, mapping in self.model.pages():
            seen = found[task, page]
            if mapping.shared and mapping.file == 0 and seen is not None and not seen.swapped:
                place = mapping.file, mapping.index
                dirty[place] = dirty.get(place, False) or seen.dirty or self.observer.folio_dirty(seen.pfn)
        for place in self.model.dirty:
            if not dirty.get(place, True):
                what = f"page {place[1]} of file {place[0]} was written and is clean{self.context.where}"
                raise CheckFailed(what, self.system.steps())

    def _differ(self, task: int, page: int, what: str) -> None:
        what = f"page {self.first + page:#x} of task {task} {what}{self.context.where}"
        raise CheckFailed(what, self.system.steps())
