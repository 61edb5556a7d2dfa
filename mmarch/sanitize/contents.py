"""The data oracle: what every page of every task and file shows, against a model of what it must show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core_mm.mm_types import EAGAIN, ENOMEM, PG_LARGE
from core_mm.page_cache import SWAP_ORDER
from core_mm.uapi import COLUMNS, FILE_RAMFS, FILE_TMPFS_HUGE, OP_MSYNC, OP_NAMES
from mmarch.engine.direct import DirectMachine
from mmarch.engine.machine import Machine
from mmarch.runs.run import error_name
from mmarch.sanitize import layout
from mmarch.sanitize.answers import MS_SYNC, Caller
from mmarch.sanitize.entries import EXECUTES, PRESENT, READS, WRITES, Numbers
from mmarch.sanitize.expected import Plan, on_disk
from mmarch.sanitize.follow import Follow
from mmarch.sanitize.invariants import Finding
from mmarch.sanitize.invariants.spaces import vmas_of
from mmarch.sanitize.model import ON_DISK, PLACE, Area, File, Model, Space
from mmarch.sanitize.owned import unowned
from mmarch.sanitize.state import Flags, Reader, State
from mmarch.sanitize.unsaved import dirty_folios, unnoticed, unsaved_anonymous, unsaved_files
from mmarch.sanitize.versions import found

SHMEM_KINDS = (1, 2, 5)
SHOWN = 10
UNINITIALISED = -1


@dataclass(frozen=True)
class Shows:
    """What the entries of one address space show, a page each, in order."""

    page: Numbers
    held: Numbers
    bits: Numbers
    frame: Numbers  # 0 of what is in swap
    first: Numbers  # of the leaf

    def part(self, chosen: Numbers) -> Shows:
        """Some of them."""
        columns = self.page, self.held, self.bits, self.frame, self.first
        return Shows(*(column[chosen] for column in columns))


def named(result: int) -> str:
    """What an operation returned, or the name of its error."""
    return str(result) if result >= 0 else error_name(-result)


class Contents:
    """Follows a machine that keeps versions from its first operation on; see core_mm/content.py."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._machine: Machine = reader.machine
        memory, self._page = reader.memory, reader.constant("page_size")
        memory.set("cfg", "content", 1)
        if isinstance(self._machine, DirectMachine):
            self._machine.cfg.content = 1
        inodes = memory.tables["INODE"]
        self._files = reader.scalar()("next_inode") - 1
        kinds = inodes["kind"][1 : self._files + 1].tolist()
        sizes = (-(-inodes["size"][1 : self._files + 1] // self._page)).tolist()
        self.model = Model(
            ((pages, kind not in SHMEM_KINDS) for pages, kind in zip(sizes, kinds, strict=True)), ()
        )
        for file in self.model.files:
            at = int(inodes["first"][file.number + 1])
            memory.arrays["file_content"][at : at + file.initial] = (ON_DISK | file.number << 40) + np.arange(
                file.initial
            )
        holes = [kind != FILE_RAMFS for kind in kinds]
        self.follow = Follow(
            self.model, self._page, reader.constant("page_shift") + reader.bits * reader.levels,
            holes, self._left, self._holds, self._filed, self._large,
        )  # fmt: skip
        self._caller = Caller(
            self.model, self._page, self.follow.range_of, reader.constant("nr_tasks") - 1, holes
        )
        self._in_memory = np.isin(kinds, SHMEM_KINDS)
        self._noticing = ~np.isin(kinds, (*SHMEM_KINDS, FILE_RAMFS))
        self._no_execute = self._can_forbid_execution()
        huge = FILE_TMPFS_HUGE in kinds or reader.constant("shmem_orders") >> reader.constant("pmd_order") & 1
        self._plans: dict[int, Plan] = {}  # of each task that is the first in its address space
        self._loses = bool(huge) and not memory.get("feature", "zap_pmd_dirty")
        self._frees_shared = not memory.get("feature", "swapin_cached")

    def _can_forbid_execution(self) -> bool:
        hooks = self._reader.entries.hooks
        entry = hooks["pfn_pte"](1, hooks["vm_get_page_prot"](1))
        bits = self._reader.entries.read(np.array([entry], np.int64), np.array([0], np.int64)).bits
        return not int(bits[0]) & EXECUTES

    def after(self, row: int, starved: bool = False) -> list[Finding]:
        """Operation `row` has run: what its result cannot be."""
        ops, results = self._machine.memory.arrays["ops"], self._machine.memory.arrays["results"]
        operation, result = ops[row * COLUMNS : (row + 1) * COLUMNS].tolist(), int(results[row])
        found = list(self._answered(operation, result, starved))
        found = found or self.follow(row, operation, result, starved)
        return found or list(self._synced(operation, result))

    def _synced(self, operation: list[int], result: int) -> Iterator[Finding]:
        """After msync(MS_SYNC) the disk holds what the range shows of files."""
        op, task, start, size, flags, *_ = operation
        if op != OP_MSYNC or result or flags != MS_SYNC or size <= 0 or task not in self.model.tasks:
            return
        first, after = start // self._page, -(-(start + size) // self._page)
        for area in self.model.tasks[task].inside(first, after):
            if area.shared and area.file is not None and area.file.number >= 0 and self._noticing[area.file.number]:
                pages, versions = area.file.written.arrays()
                inside = (pages >= area.index) & (pages < min(area.at(area.end), area.file.pages))
                for page, version in zip(pages[inside].tolist(), versions[inside].tolist(), strict=True):
                    yield from self._on_disk(area.file, page, version, synced=True)

    def _answered(self, operation: list[int], result: int, starved: bool) -> Iterator[Finding]:
        op, task, *cells = operation
        answers = self._caller.answers(op, task, cells) if task in self.model.tasks else None
        if answers is None or result in answers:
            return
        if result not in (-ENOMEM, -EAGAIN) or not (starved or self._short_of_memory()):
            right = " or ".join(map(named, sorted(answers)))
            what = f"task {task}: {OP_NAMES[op]} returned {named(result)}; right is {right}"
            yield Finding("answer", what)

    def _short_of_memory(self) -> bool:
        """Whether a call may have found none; fault injection takes care of that too."""
        free, all_of_it = self._reader.scalar()("free_pages"), self._reader.constant("memory_pages")
        return 2 * free < all_of_it or self._reader.constant("fail_dup_swap") > 0

    def wrong(self, state: State) -> list[Finding]:
        """What does not show what it must."""
        found = []
        for finding in self._all(state):
            found.append(finding)
            if len(found) == SHOWN:
                break
        return found

    def _all(self, state: State) -> Iterator[Finding]:
        mms, seen = self._reader.memory.tables["TASK"]["mm"], []
        for task, space in self.model.spaces().items():
            mm = int(mms[task + 1])
            yield from layout.differences(state, mm, task, space.areas, self._files)
            shows = self._shows(state, mm)
            yield from self._space(task, space, shows)
            seen.append((task, space, shows))
        yield from self._cache(state)
        dirty = dirty_folios(state)
        yield from unsaved_files(state, self._in_memory, self._loses, dirty)
        yield from unsaved_anonymous(state, dirty)
        yield from unnoticed(state, self._noticing, dirty)
        for task, space, shows in seen:
            yield from unowned(state, task, space, shows.page, shows.first)

    # -- what the machine shows -------------------------------------------------------

    def _shows(self, state: State, mm: int) -> Shows:
        leaves = state.leaves
        chosen = np.flatnonzero(leaves.mm == mm)
        at, step = self._pages_of(chosen, leaves.huge[chosen])
        page, bits = leaves.page[at] + step, leaves.read.bits[at]
        frame = np.where(bits & PRESENT, leaves.read.frame[at] + step, 0)
        frame = np.minimum(frame, self._reader.constant("memory_pages"))
        slot = np.minimum(leaves.read.slot[at], len(state.array("swap_cache")) - 1)
        cached = state.array("swap_cache")[slot]
        content = state.array("content")
        swapped = np.where(cached > 0, content[cached], state.array("swap_content")[slot])
        held = np.where(bits & PRESENT, content[frame], swapped)
        shows = Shows(page, held, bits, frame, np.minimum(leaves.read.frame[at], frame))
        return shows if (np.diff(page) >= 0).all() else shows.part(np.argsort(page, kind="stable"))

    def _pages_of(self, leaves: Numbers, huge: Flags) -> tuple[Numbers, Numbers]:
        """The leaf of every page, and which of its pages that is."""
        if not huge.any():
            return leaves, np.zeros(len(leaves), np.int64)
        size = np.where(huge, 1 << self._reader.bits, 1)
        return np.repeat(leaves, size), np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)

    def _left(self, task: int, start: int, end: int) -> list[tuple[int, int, int]]:
        state, mm = self._reader.read(), int(self._reader.memory.tables["TASK"]["mm"][task + 1])
        flags, found = self._reader.memory.tables["VMA"]["vm_flags"], []
        for vma, first, after in vmas_of(state).get(mm, []):
            low, high = max(first // self._page, start), min(after // self._page, end)
            if low < high:
                found.append((low, high, int(flags[vma])))
        return found

    def _holds(self, task: int, page: int) -> int | None:
        mm = int(self._reader.memory.tables["TASK"]["mm"][task + 1])
        shows = self._shows(self._reader.read(), mm)
        at = int(np.searchsorted(shows.page, page))
        return int(shows.held[at]) if at < len(shows.page) and shows.page[at] == page else None

    def _large(self, task: int, page: int) -> bool:
        mm = int(self._reader.memory.tables["TASK"]["mm"][task + 1])
        shows = self._shows(self._reader.read(), mm)
        at = int(np.searchsorted(shows.page, page))
        if at >= len(shows.page) or shows.page[at] != page:
            return False
        return self._in_large(int(shows.frame[at]))

    def _in_large(self, frame: int) -> bool:
        """Whether it is part of a large folio."""
        pages = self._reader.memory.tables["PAGE"]
        return bool(pages["flags"][pages["head"][frame]] & PG_LARGE) if frame else False

    def _filed(self, number: int, index: int) -> int | None:
        memory = self._reader.memory
        cached = int(memory.arrays["i_pages"][int(memory.tables["INODE"]["first"][number + 1]) + index])
        if cached < 0:
            return int(memory.arrays["swap_content"][-cached & (1 << SWAP_ORDER) - 1])
        return int(memory.arrays["content"][cached]) if cached else None

    # -- tasks ------------------------------------------------------------------------

    def _space(self, task: int, space: Space, shows: Shows) -> Iterator[Finding]:
        plan = self._plans.get(task)
        if plan is None or plan.areas != space.areas:
            plan = self._plans[task] = Plan(list(space.areas))
        area = plan.where(shows.page)
        inside = np.flatnonzero(area >= 0)
        shows, area = shows.part(inside), area[inside]
        yield from self._allowed(task, shows, plan.forbidden[area] if len(area) else area)
        if len(area):
            expected = plan.expected(space, shows.page, area)
            for at in np.flatnonzero(shows.held != expected).tolist():
                yield from self._differs(task, space, plan.areas[area[at]], shows, at, int(expected[at]))
        written, held = space.written.arrays()
        missing = written[~found(shows.page, written)[0] & (held != 0)].tolist()
        for page in [page for page in missing if page not in space.lazy and not self._freed(space, page)][:3]:
            yield Finding(
                "content", f"task {task} page {page:#x} is lost: it must show {self.describe(space.written[page])}, "
                "and has no entry",
            )  # fmt: skip

    def _freed(self, space: Space, page: int) -> bool:
        """Whether Linux may lose a page that another process gave up: then it is empty from now on.

        Without `swapin_cached`, MADV_FREE does not ask who shares a page that is clean and not in the swap cache.
        """
        if not self._frees_shared or space.written.get(page) not in self.model.free_for_all:
            return False
        space.written.pop(page, None)
        return True

    def _differs(
        self, task: int, space: Space, area: Area, shows: Shows, at: int, must: int
    ) -> Iterator[Finding]:
        """A page that does not show what was expected, unless it may."""
        page, does, frame = int(shows.page[at]), int(shows.held[at]), int(shows.frame[at])
        if page in space.lazy and not area.shared and does == 0:
            space.lazy.discard(page)
            space.written.pop(page, None)
            return
        if not area.shared and (space.copied.get(page) == does or (does == 0 and self._freed(space, page))):
            return
        if area.file is not None and page not in space.written and self._lost(area.file, area.at(page), does):
            return
        where = f"frame {frame:#x}" if frame else "in swap"
        if area.file is not None and area.at(page) >= area.file.pages and page not in space.written:
            if not (area.file.memory and self._in_large(frame)):
                what = f"task {task} page {page:#x} shows {where} behind the end of its file"
                yield Finding("content", what, frame)
            return
        yield Finding(
            "content", f"task {task} page {page:#x} must show {self.describe(must)}, and shows "
            f"{self.describe(does)} ({where})", frame,
        )  # fmt: skip

    def _allowed(self, task: int, shows: Shows, forbidden: Numbers) -> Iterator[Finding]:
        if not self._no_execute:
            forbidden = forbidden & ~EXECUTES
        wrong = shows.bits & forbidden
        for at in np.flatnonzero(wrong)[:2].tolist():
            names = ((READS, "read"), (WRITES, "written to"), (EXECUTES, "executed"))
            how = ", ".join(name for bit, name in names if int(wrong[at]) & bit)
            frame = int(shows.frame[at])
            what = f"task {task} page {int(shows.page[at]):#x} can be {how}, which its protection forbids"
            yield Finding("protection", f"{what} (frame {frame:#x})", frame)

    # -- files ------------------------------------------------------------------------

    def _cache(self, state: State) -> Iterator[Finding]:
        """What the page cache, swap and disk hold of each file of the workload."""
        inode, index, values = state.cached
        yield from self._gone(state, inode, index)
        held = self._held(state, values)
        mine = np.flatnonzero((inode >= 1) & (inode <= len(self.model.files)))
        which, index, values, held = inode[mine] - 1, index[mine], values[mine], held[mine]
        files = self.model.files
        if not files:
            return
        must = on_disk(files, which, index)
        for file in files:
            if file.written:
                yield from self._written(file, np.flatnonzero(which == file.number), index, must)
        ends = np.array([file.pages for file in files], np.int64)
        wrong = np.flatnonzero((held != must) & (index < ends[which])).tolist()
        wrong = [at for at in wrong if not self._lost(files[which[at]], int(index[at]), int(held[at]))]
        for at in wrong[:3]:
            shown, frame = self.describe(int(held[at])), int(values[at])
            yield Finding(
                "content", f"file {which[at]} page {index[at]} must hold {self.describe(int(must[at]))}, and "
                f"holds {shown} ({f'frame {frame:#x}' if frame > 0 else 'in swap'})", max(frame, 0),
            )  # fmt: skip

    def _gone(self, state: State, inode: Numbers, index: Numbers) -> Iterator[Finding]:
        """Cached pages of what has neither a name nor a mapping; nobody can have written to it since."""
        gone = state.column("INODE", "users", state.get("next_inode")) == 0
        gone[1 : self._files + 1] = [not (file.names or file.pages) for file in self.model.files]
        for at in np.flatnonzero(gone[inode])[:2].tolist():
            what = (
                f"file {inode[at] - 1} is gone"
                if inode[at] <= self._files
                else f"shared memory {inode[at]} is gone"
            )
            yield Finding("content", f"{what}, and page {index[at]} of it is still cached or in swap")

    def _held(self, state: State, values: Numbers) -> Numbers:
        """What is in the frames and slots that the page cache names."""
        content, slots = state.array("content"), state.array("swap_content")
        frames = np.clip(values, 0, self._reader.constant("memory_pages"))
        stored = np.clip(-values & (1 << SWAP_ORDER) - 1, 0, len(slots) - 1)
        return np.where(values > 0, content[frames], slots[np.where(values < 0, stored, 0)])

    def _written(self, file: File, mine: Numbers, index: Numbers, must: Numbers) -> Iterator[Finding]:
        """Enters what cached pages of a file must hold that were written to; what is lost of the others."""
        pages, versions = file.written.arrays()
        there, at = found(pages, index[mine])
        must[mine[there]] = versions[at[there]]
        away = np.ones(len(pages), np.bool_)
        away[at[there]] = False
        gone = np.flatnonzero(away & (versions != 0) & (pages < file.pages))
        if len(gone):
            first = int(self._reader.memory.tables["INODE"]["first"][file.number + 1])
            disk = self._reader.memory.arrays["file_content"][first + pages[gone]]
            for place in gone[disk != versions[gone]].tolist():
                yield from self._on_disk(file, int(pages[place]), int(versions[place]))

    def _lost(self, file: File, page: int, held: int) -> bool:
        """Whether a page is empty that Linux may lose (`zap_pmd_dirty`): then it is empty from now on."""
        if not (self._loses and file.memory and held == 0):
            return False
        file.written.pop(page, None)
        return True

    def _on_disk(self, file: File, page: int, version: int, synced: bool = False) -> Iterator[Finding]:
        first = int(self._reader.memory.tables["INODE"]["first"][file.number + 1])
        disk = int(self._reader.memory.arrays["file_content"][first + page])
        if disk != version and not self._lost(file, page, disk):
            yield Finding(
                "content", f"file {file.number} page {page} is lost: it must hold {self.describe(version)}, is not "
                f"{'written' if synced else 'cached'}, and the file holds {self.describe(disk)}",
            )  # fmt: skip

    # -- words ------------------------------------------------------------------------

    def describe(self, version: int) -> str:
        """A version, for people."""
        if version == 0:
            return "zeros"
        if version == UNINITIALISED:
            return "what an earlier owner left"
        if version < 0:
            return "nothing"
        if version & ON_DISK:
            number, page = (version ^ ON_DISK) >> 40, version & (1 << 40) - 1
            return f"page {page} of file {number} as it was"
        row, place = (version >> 32) - 1, version & PLACE
        ops = self._machine.memory.arrays["ops"]
        op = OP_NAMES.get(int(ops[row * COLUMNS]), "?") if 0 <= row * COLUMNS < len(ops) else "?"
        return f"what operation {row} ({op}) wrote to page {place:#x}"
