"""The page tables of one task at one moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core_mm.mm_types import VM_EXEC, VM_READ, VM_SHARED, VM_WRITE
from mmarch.errors import InputError
from mmarch.history.replay import Replay
from mmarch.runs.configure import Setup
from mmarch.runs.entries import LEVELS, Entries
from mmarch.runs.leaves import Leaves, leaves
from mmarch.runs.ranges import ranges
from mmarch.runs.result import Range


@dataclass(frozen=True)
class Leaf:
    """An entry that maps memory, or says where it was swapped to. `level` 0 is a PTE, 1 a PMD; `size` in bytes."""

    address: int
    size: int
    level: int
    entry: int
    text: str


@dataclass(frozen=True)
class Mapping:
    """A VMA: [start, end) in bytes; `file` is the workload's number of its file, -1 for anonymous memory."""

    start: int
    end: int
    flags: int
    file: int

    def __str__(self) -> str:
        kind = "anon" if self.file < 0 else f"file {self.file}"
        letters = ((VM_READ, "r"), (VM_WRITE, "w"), (VM_EXEC, "x"))
        permits = "".join(letter if self.flags & bit else "-" for bit, letter in letters)
        return f"{permits}{'s' if self.flags & VM_SHARED else 'p'} {kind}"


@dataclass(frozen=True)
class Tables:
    """Leaves in order of address, and mappings."""

    operation: int
    task: int
    page_shift: int
    pte_bits: int
    leaves: Leaves
    mappings: tuple[Mapping, ...]
    entries: Entries
    replay: Replay
    end: int

    @cached_property
    def addresses(self) -> NDArray[np.int64]:
        """Of the leaves."""
        return self.leaves.pages << self.page_shift

    @property
    def levels(self) -> NDArray[np.int64]:
        """Of the leaves, 0 of a PTE, 1 of a PMD."""
        return self.leaves.levels

    @property
    def raws(self) -> NDArray[np.int64]:
        """The leaves as they lie in memory."""
        return self.leaves.raws

    @cached_property
    def folios(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of each frame, the order of its folio and its inode, 0 for anonymous memory."""
        return self.replay.folios(self.end)

    def size(self, level: int) -> int:
        """Bytes that an entry of this level maps."""
        return 1 << self.page_shift + level * self.pte_bits

    def __len__(self) -> int:
        return len(self.addresses)

    def __getitem__(self, address: int) -> Leaf | None:
        """The leaf that translates `address`, if there is one."""
        at = int(np.searchsorted(self.addresses, address, side="right")) - 1
        leaf = self.leaf(at) if at >= 0 else None
        return leaf if leaf and address < leaf.address + leaf.size else None

    def leaf(self, number: int) -> Leaf:
        """By its place in the order of addresses."""
        level, raw = int(self.levels[number]), int(self.raws[number])
        return Leaf(int(self.addresses[number]), self.size(level), level, raw, self.entries.attributes(raw))

    def __iter__(self) -> Iterator[Leaf]:
        return (self.leaf(number) for number in range(len(self)))

    def ranges(self, first: int, last: int) -> Iterator[Range]:
        """Leaves that begin in bytes [first, last), like neighbours together."""
        return ranges(self.leaves, self.entries, self.page_shift, first, last)

    def mapping(self, address: int) -> Mapping | None:
        """The mapping that `address` lies in."""
        at = bisect_right(self.mappings, address, key=lambda mapping: mapping.start) - 1
        return self.mappings[at] if at >= 0 and address < self.mappings[at].end else None


def tables_at(replay: Replay, entries: Entries, setup: Setup, end: int, at: int, task: int) -> Tables:
    """The tables of `task` after event number `end`, in operation `at`."""
    geometry = setup.geometry
    tasks = replay.tasks(end)
    if task not in tasks:
        raise InputError(_ended(replay, end, at, task, tasks))
    slot, made = replay.pgd(end, tasks[task], geometry.levels - 1)
    found = leaves(replay.entries(end), entries, slot, geometry.levels - 1, geometry.pte_bits)
    mappings = tuple(
        Mapping(start, stop, flags, inode - 1)
        for start, stop, flags, inode in replay.vmas(made, end, tasks[task])
    )
    return Tables(at, task, geometry.page_shift, geometry.pte_bits, found, mappings, entries, replay, end)


def _ended(replay: Replay, end: int, at: int, task: int, tasks: Iterable[int]) -> str:
    """Why there is nothing to show, and what is."""
    alive, ever = (", ".join(map(str, sorted(some))) for some in (tasks, replay.all_tasks))
    others = f"tasks that have one: {alive}" if alive else f"all have ended; tasks of the run: {ever}"
    if last := replay.ended(end, task):
        return (
            f"task {task} ended in operation {last}: the last one that shows it is --at {last - 1}; {others}"
        )
    return f"task {task} has no address space after operation {at}; {others}"


__all__ = ["LEVELS", "Leaf", "Mapping", "Tables", "tables_at"]
