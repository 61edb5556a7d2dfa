"""The data oracle: what every page of every task and file shows, against a model of what it must show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core_mm.mm_types import PG_LARGE
from core_mm.page_cache import SWAP_ORDER
from core_mm.uapi import COLUMNS, FILE_RAMFS, FILE_TMPFS_HUGE, OP_NAMES, PROT_EXEC, PROT_WRITE
from mmarch.engine.direct import DirectMachine
from mmarch.engine.machine import Machine
from mmarch.sanitize.entries import EXECUTES, PRESENT, READS, WRITES, Numbers
from mmarch.sanitize.follow import Follow
from mmarch.sanitize.invariants import Finding
from mmarch.sanitize.invariants.spaces import vmas_of
from mmarch.sanitize.model import ON_DISK, PLACE, Area, File, Model, Space
from mmarch.sanitize.state import Flags, Reader, State

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
    large: Flags  # part of a large folio


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
        self.follow = Follow(
            self.model, self._page, reader.constant("page_shift") + reader.bits * reader.levels,
            [kind != FILE_RAMFS for kind in kinds], self._left, self._holds, self._filed, self._large,
        )  # fmt: skip
        self._no_execute = self._can_forbid_execution()
        huge = FILE_TMPFS_HUGE in kinds or reader.constant("shmem_orders") >> reader.constant("pmd_order") & 1
        self._loses = bool(huge) and not memory.get("feature", "zap_pmd_dirty")

    def _can_forbid_execution(self) -> bool:
        hooks = self._reader.entries.hooks
        entry = hooks["pfn_pte"](1, hooks["vm_get_page_prot"](1))
        bits = self._reader.entries.read(np.array([entry], np.int64), np.array([0], np.int64)).bits
        return not int(bits[0]) & EXECUTES

    def after(self, row: int) -> list[Finding]:
        """Operation `row` has run: what its result cannot be."""
        ops, results = self._machine.memory.arrays["ops"], self._machine.memory.arrays["results"]
        return self.follow(row, ops[row * COLUMNS : (row + 1) * COLUMNS].tolist(), int(results[row]))

    def wrong(self, state: State) -> list[Finding]:
        """What does not show what it must."""
        found = []
        for finding in self._all(state):
            found.append(finding)
            if len(found) == SHOWN:
                break
        return found

    def _all(self, state: State) -> Iterator[Finding]:
        mms = self._reader.memory.tables["TASK"]["mm"]
        for task, space in self.model.spaces().items():
            yield from self._space(task, space, self._shows(state, int(mms[task + 1])))
        yield from self._cache(state)

    # -- what the machine shows -------------------------------------------------------

    def _shows(self, state: State, mm: int) -> Shows:
        leaves = state.leaves
        chosen = np.flatnonzero(leaves.mm == mm)
        huge = leaves.huge[chosen]
        size = np.where(huge, 1 << self._reader.bits, 1)
        at = np.repeat(chosen, size)
        step = np.arange(len(at)) - np.repeat(np.cumsum(size) - size, size)
        page, bits = leaves.page[at] + step, leaves.read.bits[at]
        frame = np.where(bits & PRESENT, leaves.read.frame[at] + step, 0)
        frame = np.minimum(frame, self._reader.constant("memory_pages"))
        slot = np.minimum(leaves.read.slot[at], len(state.array("swap_cache")) - 1)
        cached = state.array("swap_cache")[slot]
        content = state.array("content")
        swapped = np.where(cached > 0, content[cached], state.array("swap_content")[slot])
        held = np.where(bits & PRESENT, content[frame], swapped)
        order = np.argsort(page, kind="stable")
        large = state.flags[state.head[np.minimum(frame, state.frames - 1)]] & PG_LARGE != 0
        return Shows(page[order], held[order], bits[order], frame[order], large[order])

    def _left(self, task: int, start: int, end: int) -> list[tuple[int, int, int]]:
        state, mm = self._reader.read(), int(self._reader.memory.tables["TASK"]["mm"][task + 1])
        flags, found = self._reader.memory.tables["VMA"]["vm_flags"], []
        for vma, first, after in vmas_of(state).get(mm, []):
            low, high = max(first // self._page, start), min(after // self._page, end)
            if low < high:
                found.append((low, high, int(flags[vma]) & 7))
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
        return bool(shows.large[at])

    def _filed(self, number: int, index: int) -> int | None:
        memory = self._reader.memory
        frame = int(memory.arrays["i_pages"][int(memory.tables["INODE"]["first"][number + 1]) + index])
        return int(memory.arrays["content"][frame]) if frame > 0 else None

    # -- tasks ------------------------------------------------------------------------

    def _space(self, task: int, space: Space, shows: Shows) -> Iterator[Finding]:
        for area in space.areas:
            low, high = np.searchsorted(shows.page, (area.start, area.end)).tolist()
            if low < high:
                yield from self._area(task, space, area, shows, slice(low, high))
        missing = space.written.keys() - space.lazy - set(shows.page.tolist())
        for page in sorted(missing)[:3]:
            if space.written[page]:
                held = self.describe(space.written[page])
                yield Finding(
                    "content", f"task {task} page {page:#x} is lost: it must show {held}, and has no entry"
                )

    def _area(self, task: int, space: Space, area: Area, shows: Shows, part: slice) -> Iterator[Finding]:
        pages, held = shows.page[part], shows.held[part]
        yield from self._allowed(task, area, shows, part)
        expected = self._expected(space, area, pages)
        for at in np.flatnonzero(held != expected).tolist():
            page, must, does = int(pages[at]), int(expected[at]), int(held[at])
            if page in space.lazy and not area.shared and does == 0:
                space.lazy.discard(page)
                space.written.pop(page, None)
                continue
            if not area.shared and space.copied.get(page) == does:
                continue
            if (
                area.file is not None
                and page not in space.written
                and self._lost(area.file, area.at(page), does)
            ):
                continue
            frame = int(shows.frame[part][at])
            where = f"frame {frame:#x}" if frame else "in swap"
            if area.file is not None and area.at(page) >= area.file.pages and page not in space.written:
                if not (area.file.memory and shows.large[part][at]):
                    yield Finding(
                        "content",
                        f"task {task} page {page:#x} shows {where} behind the end of its file",
                        frame,
                    )
                continue
            yield Finding(
                "content", f"task {task} page {page:#x} must show {self.describe(must)}, and shows "
                f"{self.describe(does)} ({where})", frame,
            )  # fmt: skip

    def _expected(self, space: Space, area: Area, pages: Numbers) -> Numbers:
        numbers = pages.tolist()
        if area.file is None:
            get = space.written.get
            return np.array([get(page, 0) for page in numbers], np.int64)
        content = self.model.content
        return np.array(
            [content(space, area, page) if area.at(page) < area.file.pages or page in space.written else -2
             for page in numbers], np.int64,
        )  # fmt: skip

    def _allowed(self, task: int, area: Area, shows: Shows, part: slice) -> Iterator[Finding]:
        bits = shows.bits[part]
        forbidden = 0
        if not area.prot & PROT_WRITE:
            forbidden |= WRITES
        if not area.prot & PROT_EXEC and self._no_execute:
            forbidden |= EXECUTES
        if not area.prot:
            forbidden |= READS
        for at in np.flatnonzero(bits & forbidden)[:2].tolist():
            names = ((READS, "read"), (WRITES, "written to"), (EXECUTES, "executed"))
            how = ", ".join(name for bit, name in names if int(bits[at]) & forbidden & bit)
            yield Finding("protection", f"task {task} page {int(shows.page[part][at]):#x} can be {how}, which its "
                          f"protection forbids (frame {int(shows.frame[part][at]):#x})",
                          int(shows.frame[part][at]))  # fmt: skip

    # -- files ------------------------------------------------------------------------

    def _cache(self, state: State) -> Iterator[Finding]:
        """What the page cache, swap and disk hold of each file of the workload."""
        inode, index, values = state.cached
        content, slots = state.array("content"), state.array("swap_content")
        frames = np.clip(values, 0, self._reader.constant("memory_pages"))
        held = np.where(values > 0, content[frames], 0)
        stored = np.clip(-values & (1 << SWAP_ORDER) - 1, 0, len(slots) - 1)
        held = np.where(values < 0, slots[np.where(values < 0, stored, 0)], held)
        for file in self.model.files:
            mine = inode == file.number + 1
            here, does = index[mine], held[mine]
            must = np.where(here < file.initial, ON_DISK | file.number << 40 | here, 0)
            place = {page: at for at, page in enumerate(here.tolist())} if file.written else {}
            for page, version in list(file.written.items()):
                at = place.get(page)
                if at is not None:
                    must[at] = version
                elif version and page < file.pages:
                    yield from self._on_disk(file, page, version)
            wrong = np.flatnonzero((does != must) & (here < file.pages)).tolist()
            for at in [at for at in wrong if not self._lost(file, int(here[at]), int(does[at]))][:3]:
                shown, frame = self.describe(int(does[at])), int(values[mine][at])
                yield Finding(
                    "content", f"file {file.number} page {here[at]} must hold {self.describe(int(must[at]))}, and "
                    f"holds {shown} ({f'frame {frame:#x}' if frame > 0 else 'in swap'})", max(frame, 0),
                )  # fmt: skip

    def _lost(self, file: File, page: int, held: int) -> bool:
        """Whether a page is empty that Linux may lose (`zap_pmd_dirty`): then it is empty from now on."""
        if not (self._loses and file.memory and held == 0):
            return False
        file.written.pop(page, None)
        return True

    def _on_disk(self, file: File, page: int, version: int) -> Iterator[Finding]:
        first = int(self._reader.memory.tables["INODE"]["first"][file.number + 1])
        disk = int(self._reader.memory.arrays["file_content"][first + page])
        if disk != version and not self._lost(file, page, disk):
            yield Finding(
                "content", f"file {file.number} page {page} is lost: it must hold {self.describe(version)}, is not "
                f"cached, and the file holds {self.describe(disk)}",
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
