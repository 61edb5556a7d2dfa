"""A huge page in a state of its entries and owners; for checks of what becomes of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product

from core_mm import huge_memory
from core_mm.mm_types import PG_DIRTY
from core_mm.swapops import MIGRATION, YOUNG
from core_mm.uapi import (
    ACCESS_WRITE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    OP_EXIT,
    OP_FORK,
    OP_MMAP,
    OP_MUNMAP,
    OP_TOUCH,
)
from mmarch.check.converted import Entry, Table
from mmarch.check.outcome import CheckFailed
from mmarch.check.system import System

RW, PRIVATE = 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
State = tuple[bool, bool, bool, bool, int]
# (write, exclusive, mapped by)
OWNERS = ((True, True, 1), (False, True, 1), (False, False, 1), (False, False, 2))
STATES: list[State] = [
    (young, dirty, *owner) for young, dirty, owner in product((True, False), (True, False), OWNERS)
]


class Case:
    """A huge page in one state, all of it mapped by one or two tasks."""

    def __init__(
        self, made: System, rng: random.Random, state: State, flushed: list[tuple[int, int]]
    ) -> None:
        young, dirty, write, exclusive, tasks = state
        self.made, self.rng = made, rng
        self.nr = int(made.get("zero_page") and made.machine.memory.get("cfg", "ptrs_per_pte"))
        self.size = self.nr * made.page
        self.at = 64 * self.size
        made.do(OP_MMAP, 1, self.at, self.size, RW, PRIVATE, -1, 0)
        made.do(OP_TOUCH, 1, self.at, 1, ACCESS_WRITE)
        if tasks == 2:
            made.do(OP_FORK, 1, 2)
        self.tables = [Table(made, task, self.at) for task in range(1, tasks + 1)]
        self.table = self.tables[0]
        self.pages, self.machine = self.table.pages, self.table.machine
        if not self.table.leaf:
            raise CheckFailed("memory that is written to, and may have huge pages, has none")
        self.folio = self.table.entries()[0].frame
        self.pages["flags"][self.folio] &= ~PG_DIRTY
        for table in self.tables:
            table.give_leaf(Entry("page", self.folio, young, dirty, write, exclusive))
        self.before = self.others = self.table.entries()
        self.hooks, self.flushed = self.table.hooks, flushed
        self.held = 0  # references of nobody's entries

    def call(self, function: Callable[..., int], *arguments: int) -> int:
        """A function of core-mm."""
        return int(self.machine.bound(function)(*arguments))

    def moved(self, entries: list[Entry]) -> list[Entry]:
        """The same once they were migration entries, in which not every machine has a bit for young, a hint."""
        entry = MIGRATION | YOUNG | self.folio
        if self.hooks["pte_to_swp_entry"](self.hooks["swp_entry_to_pte"](entry)) & YOUNG:
            return entries
        return [entry._replace(young=False) for entry in entries]

    def flag(self, flag: int) -> bool:
        """Of the folio."""
        return bool(self.pages["flags"][self.folio] & flag)

    def same(self, what: str, found: object, right: object) -> None:
        """CheckFailed if it is not."""
        if found != right:
            raise CheckFailed(f"{what} is {found}; right is {right}")

    def counted(self, what: str) -> None:
        """The folio's references and mappings are those of the entries."""
        leaves = sum(table.leaf and table.entries()[0].frame == self.folio for table in self.tables)
        pages = range(self.folio, self.folio + self.nr)
        ptes = [
            entry.frame for table in self.tables if not table.leaf for entry in table.entries()
            if entry.kind == "page" and entry.frame in pages
        ]  # fmt: skip
        self.same(
            f"{what}: references", int(self.pages["refcount"][self.folio]), leaves + len(ptes) + self.held
        )
        self.same(f"{what}: mappings", int(self.pages["private"][self.folio + 1]), leaves + len(ptes))
        self.same(f"{what}: leaves that map it", int(self.pages["private"][self.folio + 2]), leaves)

    def split(self) -> None:
        """The first task's leaf becomes a table, to which each page can be made different."""
        self.call(huge_memory.split_huge_pmd, self.table.vma, self.table.pmdp, self.at)

    def vary(self, accessed: bool = True) -> None:
        """Entries of the first task's table differ; in whether they are young and dirty if `accessed` says so."""
        alone, states = len(self.tables) == 1, {}
        for i in self.rng.sample(range(self.nr), min(self.nr, 60)):
            write = alone and self.rng.random() < 0.4
            young, dirty = self.before[0].young, self.before[0].dirty
            if accessed:
                young, dirty = self.rng.random() < 0.5, self.rng.random() < 0.5
            exclusive = write or (alone and self.rng.random() < 0.5)
            states[i] = Entry("page", self.folio + i, young, dirty, write, exclusive)
        self.table.give(states)
        self.before = self.table.entries()

    def end(self) -> None:
        """Nothing of it is left."""
        if len(self.tables) == 2:
            self.made.do(OP_EXIT, 2)
        self.made.do(OP_MUNMAP, 1, self.at, self.size)
        self.same("pages that are still counted", self.table.rss(), 0)
