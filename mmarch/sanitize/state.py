"""All that invariants speak of, read from a machine's memory between two operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core_mm.mm_types import PG_ANON, PG_BUDDY, PG_LARGE, PG_ORDER_SHIFT, PG_SWAPBACKED, PG_TABLE
from mmarch.engine.direct import DirectMachine
from mmarch.engine.machine import Config, Machine
from mmarch.sanitize.entries import PRESENT, SPECIAL, Numbers, entries_of
from mmarch.sanitize.tables import Hung, Leaves, Walk

Flags = NDArray[np.bool_]
KINDS = ("file", "anon", "shmem")


class Reader:
    """Reads the states of one machine."""

    def __init__(self, machine: Machine, config: Config | None = None) -> None:
        self.machine = machine
        self.memory = machine.memory
        self.entries = entries_of(config or machine.config)
        self.bits, self.levels = self.constant("pte_bits"), self.constant("levels")
        self.walk = Walk(self.memory, self.entries, self.bits, self.levels)

    def constant(self, name: str) -> int:
        """A value of `cfg`."""
        return self.memory.get("cfg", name)

    def scalar(self) -> Callable[[str], int]:
        """Values of `mach` now."""
        if isinstance(self.machine, DirectMachine):
            live: SimpleNamespace = self.machine.mach
            return lambda name: int(getattr(live, name))
        return lambda name: self.memory.get("mach", name)

    def read(self) -> State:
        """The state now."""
        get, mms = self.scalar(), self.memory.tables["MM"]
        top = get("next_mm")
        users, pgds = mms["mm_users"][:top], mms["pgd"][:top]
        live = [mm for mm in np.flatnonzero(users).tolist() if mm >= 2]
        roots = {mm: int(pgds[mm]) for mm in live}
        leaves, hung = self.walk.leaves(roots, get("next_table"))
        return State(self, get, roots, leaves, hung)


@dataclass
class State:
    """One moment.

    leaves  every entry of the lowest levels
    frames  frames that were ever handed out, number 0 left free
    """

    reader: Reader
    get: Callable[[str], int]
    roots: dict[int, int]
    leaves: Leaves
    hung: Hung
    wanted: dict[str, Any] = field(default_factory=dict)

    def column(self, table: str, name: str, rows: int) -> NDArray[Any]:
        """The first `rows` rows of a column."""
        return self.reader.memory.tables[table][name][:rows]  # type: ignore[no-any-return]

    def array(self, name: str) -> Numbers:
        """A flat array, all of it."""
        return self.reader.memory.arrays[name]

    def constant(self, name: str) -> int:
        """A value of `cfg`."""
        return self.reader.constant(name)

    def page(self, name: str) -> NDArray[Any]:
        """A column of struct page, of the frames in `frames`."""
        return self.column("PAGE", name, self.frames)

    @cached_property
    def frames(self) -> int:
        """One more than the last frame that was ever handed out."""
        return min(self.get("frontier"), self.constant("memory_pages") + 1)

    @cached_property
    def flags(self) -> Numbers:
        """PG_* and order of each frame."""
        return self.page("flags").astype(np.int64)

    @cached_property
    def head(self) -> Numbers:
        """The first frame of the folio that each frame in use is part of; 0 of one that is free."""
        heads, pages = self.used, self.pages_of(self.used)
        starts = np.cumsum(pages) - pages
        frames = np.repeat(heads - starts, pages) + np.arange(int(pages.sum()))
        whose = np.zeros(self.frames, np.int64)
        inside = frames < self.frames
        whose[frames[inside]] = np.repeat(heads, pages)[inside]
        return whose

    @cached_property
    def buddy(self) -> Numbers:
        """First frames of free blocks, single ones on the list of these among them."""
        return np.flatnonzero(self.flags & PG_BUDDY)

    @cached_property
    def used(self) -> Numbers:
        """First frames of everything that is allocated, by their own account."""
        own = self.page("head") == np.arange(self.frames)
        return np.flatnonzero(own & (self.page("refcount") != 0) & (self.flags & PG_BUDDY == 0))

    def pages_of(self, heads: Numbers) -> Numbers:
        """How many pages the folios `heads` have."""
        flags = self.flags[heads]
        return np.where(flags & PG_LARGE, 1 << np.minimum(flags >> PG_ORDER_SHIFT, 20), 1)

    @cached_property
    def kind(self) -> Numbers:
        """Of each frame's folio: index in KINDS."""
        flags = self.flags[self.head]
        return np.where(flags & PG_ANON, 1, np.where(flags & PG_SWAPBACKED, 2, 0))

    # -- entries ----------------------------------------------------------------------

    @cached_property
    def mapping(self) -> Flags:
        """Leaves that map a page of a folio: those of zero pages and the like do not."""
        read, zero = self.leaves.read, self.get("huge_zero_page")
        there = (read.bits & PRESENT != 0) & (read.bits & SPECIAL == 0)
        pages: Flags = there & ~(self.leaves.huge & (read.frame == zero)) & (read.frame < self.frames)
        return pages

    @cached_property
    def mapped(self) -> Numbers:
        """PTEs that map each frame."""
        return self._count(self.mapping & ~self.leaves.huge)

    @cached_property
    def mapped_huge(self) -> Numbers:
        """PMD leaves that map a folio from each frame on."""
        return self._count(self.mapping & self.leaves.huge)

    def _count(self, chosen: Flags) -> Numbers:
        return np.bincount(self.leaves.read.frame[chosen], minlength=self.frames)

    @cached_property
    def swapped(self) -> Flags:
        """Leaves that stand for a page in swap."""
        read = self.leaves.read
        away: Flags = (read.bits & PRESENT == 0) & ~read.migration
        return away

    def whose(self, frame: int, limit: int = 3) -> str:
        """Where a frame is mapped, for messages."""
        found = np.flatnonzero(self.mapping & (self.leaves.read.frame == frame))[:limit].tolist()
        places = [f"mm {self.leaves.mm[at]} page {int(self.leaves.page[at]):#x}" for at in found]
        return f"({', '.join(places)})" if places else "(nowhere)"

    @cached_property
    def cached(self) -> tuple[Numbers, Numbers, Numbers]:
        """The page cache: inode, page in it, and what `i_pages` says there, which is not 0."""
        inodes = self.get("next_inode")
        first = self.column("INODE", "first", inodes)
        values = self.array("i_pages")[: self.get("next_file_page")]
        at = np.flatnonzero(values)
        order = np.argsort(first[1:], kind="stable") + 1
        owner = order[np.searchsorted(first[order], at, side="right") - 1] if len(order) else at
        return owner, at - first[owner], values[at]

    @cached_property
    def tables_of_frames(self) -> Numbers:
        """Frames that hold a page table, by the flag."""
        return np.flatnonzero((self.flags & PG_TABLE != 0) & (self.flags & PG_BUDDY == 0))
