"""Tier stateful: what advice, population, protection and fork make of every entry and folio, whatever the range."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from core_mm.mm_types import PG_DIRTY, PG_ORDER_SHIFT, PG_REFERENCED, PG_SWAPBACKED, PG_SWAPCACHE
from core_mm.pgtable import pmd_off
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    MADV_COLD,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_PAGEOUT,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    OP_CLEAR_REFS,
    OP_EXIT,
    OP_FORK,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_SPAWN,
    OP_TOUCH,
)
from core_mm.vma_tree import find_vma
from mmarch.check.advising import FRESH, Advising, Folio
from mmarch.check.context import Context
from mmarch.check.converted import Entry, Table
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, in_order, outcome, system

PAGES, BORDER, MARGIN = 24, 8, 8  # of the window; where in it a table ends; around it
R, RW, PRIVATE = 1, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
PARENT, CHILD = 8, 9  # tasks; the rows of their address spaces are like no constant then
CALLS, FEWEST, ELSEWHERE, EPISODE = 300, 250, 8, 40
ORDERS = (0, 0, 0, 2, 2, 3)  # of folios of a write
ALL = 1  # of clear_refs
ADVICE = {
    "zap": MADV_DONTNEED, "cold": MADV_COLD, "pageout": MADV_PAGEOUT, "free": MADV_FREE,
    "read": MADV_POPULATE_READ, "write": MADV_POPULATE_WRITE,
}  # fmt: skip
ACCOUNTS: dict[str, Callable[[Advising, int, int, int], int | None]] = {
    "zap": Advising.zap, "cold": Advising.cold, "pageout": Advising.pageout, "free": Advising.free,
    "read": Advising.populate_read, "write": Advising.populate_write,
}  # fmt: skip
OTHERS = ["protect", "map", "refs", "fork"]
MOSTLY = ["cold", "pageout", "free"]  # more often than others
EXACT = ("zap", "map", "cold", "free", "refs")  # whose flushes are of what has changed, and no more
DRAINING = ("cold", "free", "read", "write")  # lru_add_drain(), and no new folio after it


def shown(folio: Folio) -> dict[str, object]:
    """What is known of it afterwards."""
    return {name: getattr(folio, name) for name in ("first", "pages", "referenced", "dirty", "swapbacked")}


class World:
    """One window of memory, of one task or of it and its child."""

    def __init__(self, context: Context, rng: random.Random) -> None:
        self.rng, self.where, self.flushed = rng, context.where, list[tuple[int, int]]()
        orders = 1 << 2 | 1 << 3
        changes = {"anon_orders": orders, "log_rows": 0, "overrides": {"log_ptes": 0, "anon_always": 0}}
        self.made: System = system(context, judged=False, changes=changes)
        self.page = self.made.page
        size = self.page << context.geometry.pte_bits
        self.at = 64 * size - BORDER * self.page
        self.border = 64 * size
        self.tables = {task: Table(self.made, task, self.border) for task in (PARENT, CHILD)}
        self.machine = self.tables[PARENT].machine
        self.memory = self.machine.memory
        self.tasks = [PARENT]
        for task in range(2, PARENT + 1):
            self._do(OP_SPAWN, task)
        cell = self.machine.cells["tlb_flush"]
        cell["target"] = self._watched(cell["target"])
        self._map(-MARGIN, PAGES + MARGIN)
        self._do(OP_TOUCH, PARENT, self.at - MARGIN * self.page, 1, ACCESS_WRITE)
        self._do(OP_TOUCH, PARENT, self.at + PAGES * self.page, 1, ACCESS_WRITE)

    def _watched(self, winner: Callable[..., Any]) -> Callable[..., Any]:
        gathers = self.memory.tables["GATHER"]

        def tlb_flush(tlb: int) -> Any:
            self.flushed.append((int(gathers["start"][tlb]), int(gathers["end"][tlb])))
            return winner(tlb)

        return tlb_flush

    def _do(self, op: int, task: int, *arguments: int) -> int:
        return self.made.do(op, task, *arguments)

    def _bytes(self, start: int, end: int) -> tuple[int, int]:
        return self.at + start * self.page, (end - start) * self.page

    def _map(self, start: int, end: int) -> None:
        self._do(OP_MMAP, PARENT, *self._bytes(start, end), RW, PRIVATE, -1, 0)

    # -- what there is ------------------------------------------------------------------

    def account(self) -> Advising:
        """As the machine has it."""
        tables = self.memory.tables
        entries, areas = dict[int, list[Entry]](), dict[int, list[int]]()
        prots, filled = dict[int, list[int]](), dict[int, list[bool]]()
        for task in self.tasks:
            table = self.tables[task]
            table.mm = int(tables["TASK"]["mm"][task + 1])
            addresses = range(self.at, self.at + PAGES * self.page, self.page)
            entries[task] = [self._entry(table, address) for address in addresses]
            areas[task] = [int(self.machine.bound(find_vma)(table.mm, address)) for address in addresses]
            filled[task] = [bool(tables["VMA"]["anon_vma"][vma]) for vma in areas[task]]
            prots[task] = [int(tables["VMA"]["vm_flags"][vma]) & RW for vma in areas[task]]
        frames = {entry.frame for own in entries.values() for entry in own if entry.kind == "page"}
        folios = dict[int, Folio]()
        for frame in sorted(frames):
            if frame not in folios:
                folio = self._folio(frame)
                folios.update(dict.fromkeys(folio.frames, folio))
        return Advising(
            self._has, BORDER, entries, areas, prots, filled, folios, self._cached(entries),
            self.tables[PARENT].may_be_clean(),
        )  # fmt: skip

    def _cached(self, entries: dict[int, list[Entry]]) -> set[int]:
        slots, pages = self.memory.arrays["swap_cache"], self.memory.tables["PAGE"]
        swapped = {entry.frame for own in entries.values() for entry in own if entry.kind == "swap"}
        return {slot for slot in swapped if pages["flags"][pages["head"][slots[slot]]] >> PG_ORDER_SHIFT}

    def _has(self, name: str) -> int:
        return self.memory.get("feature", name)

    def _ptep(self, table: Table, address: int) -> int:
        pmdp = self.machine.bound(pmd_off)(table.mm, address)
        pmd = int(self.machine.ptes[pmdp]) if pmdp else 0
        if not pmdp or table.hooks["pmd_none"](pmd):
            return 0
        return int(table.hooks["table_slot"](pmd)) * table.nr + address // self.page % table.nr

    def _entry(self, table: Table, address: int) -> Entry:
        ptep = self._ptep(table, address)
        if not ptep:
            return Entry()
        pte = table.hooks["ptep_get"](ptep)
        seen = table.seen(pte)
        if seen.kind == "swap":
            return Entry("swap", seen.frame, exclusive=bool(table.hooks["pte_swp_exclusive"](pte)))
        return seen._replace(exclusive=False) if seen.kind == "zero" else seen

    def _folio(self, frame: int) -> Folio:
        pages, references = self.memory.tables["PAGE"], self.memory.arrays["swap_map"]
        first = int(pages["head"][frame])
        flags = int(pages["flags"][first])
        nr, cached = 1 << (flags >> PG_ORDER_SHIFT), bool(flags & PG_SWAPCACHE)
        slot = int(pages["private"][first])
        return Folio(
            first, nr, bool(flags & PG_REFERENCED), bool(flags & PG_DIRTY), bool(flags & PG_SWAPBACKED), cached,
            cached and bool(references[slot : slot + nr].any()),
            frozenset(page for page in range(first, first + nr) if not pages["written"][page]),
        )  # fmt: skip

    # -- what is compared ---------------------------------------------------------------

    def judge(self, right: Advising, start: int, end: int, exact: bool) -> None:
        """CheckFailed where the last call has made something else of the window."""
        found = self.account()
        used = {
            (entry.kind, entry.frame)
            for task, own in right.entries.items()
            for page, entry in enumerate(own)
            if "frame" not in right.loose.get((task, page), ())
        }
        for task, own in right.entries.items():
            for page, wanted in enumerate(own):
                loose, entry = right.loose.get((task, page), set()), found.entries[task][page]
                self._same(task, page, wanted, entry, loose, used)
                if "frame" in loose:
                    right.unknown.add(entry.frame)
            self._counted(task, found.entries[task])
        for frame in found.folios.keys() & right.folios.keys() - right.unknown:
            left, due = (shown(folios[frame]) for folios in (found.folios, right.folios))
            if left != due:
                self._fail(f"the folio of frame {frame:#x} is {left}; right is {due}")
        self._flushed(right.flushed, start, end, exact)

    def _counted(self, task: int, own: list[Entry]) -> None:
        """Pages of the window and two beside it, and what is in swap."""
        mm, counts = self.tables[task].mm, self.memory.tables["MM"]
        left = [int(counts[name][mm]) for name in ("rss_anon", "rss_swap", "rss_file", "rss_shmem")]
        kinds = [entry.kind for entry in own]
        due = [kinds.count("page") + 2, kinds.count("swap"), 0, 0]
        if left != due:
            self._fail(f"task {task} counts (anon, swap, file, shmem) {left} pages; right is {due}")

    def _same(
        self, task: int, page: int, wanted: Entry, found: Entry, loose: set[str], used: set[tuple[str, int]]
    ) -> None:
        wanted = wanted._replace(**{name: getattr(found, name) for name in loose})
        if wanted.frame == FRESH and (found.kind, found.frame) not in used:
            wanted = wanted._replace(frame=found.frame)
        if wanted.write and found.dirty and not self.tables[PARENT].may_be_clean():
            wanted = wanted._replace(dirty=True)
        if found != wanted:
            self._fail(f"page {page} of task {task} is {found}; right is {wanted}")

    def _flushed(self, due: set[int], start: int, end: int, exact: bool) -> None:
        ranges = [((a - self.at) // self.page, (b - self.at) // self.page) for a, b in self.flushed]
        for first, after in ranges:
            if not start <= first < after <= end:
                self._fail(f"pages [{first}, {after}) are flushed of [{start}, {end})")
            if exact and not {first, after - 1} <= due:
                self._fail(f"pages [{first}, {after}) are flushed; those that changed are {sorted(due)}")
        left = sorted(page for page in due if not any(first <= page < after for first, after in ranges))
        if left and exact:
            self._fail(f"pages {left} are not flushed")

    def _fail(self, what: str) -> None:
        steps = self.made.steps()
        raise CheckFailed(f"after {steps[-1]}, {what}{self.where}", steps)

    # -- what is done -------------------------------------------------------------------

    def range(self) -> tuple[int, int]:
        """Few pages, or many; begins and ends anywhere, and as often where something else does."""
        rng = self.rng
        start = rng.choice((rng.randrange(PAGES), 4 * rng.randrange(PAGES // 4), BORDER - 1, BORDER, 0))
        length = rng.choice((1, 1, 2, 3, 4, 4, 8, BORDER, PAGES))
        return start, min(start + length, PAGES)

    def vary(self) -> None:
        """Some entries become young or old, dirty or clean, writable or not; some folios referenced and dirty."""
        for task in self.tasks:
            table = self.tables[task]
            table.mm = int(self.memory.tables["TASK"]["mm"][task + 1])
            for page in self.rng.sample(range(PAGES), PAGES // 2):
                self._vary(table, self.at + page * self.page)

    def _vary(self, table: Table, address: int) -> None:
        seen, ptep, hooks = self._entry(table, address), self._ptep(table, address), table.hooks
        if seen.kind != "page":
            return
        pages, rng = self.memory.tables["PAGE"], self.rng
        pte = hooks["ptep_get_and_clear"](table.mm, address, ptep)
        pte = hooks["pte_mkold"](hooks["pte_mkclean"](pte))
        for make in rng.sample(("pte_mkyoung", "pte_mkdirty"), rng.randrange(3)):
            pte = hooks[make](pte)
        hooks["set_ptes"](table.mm, address, ptep, pte, 1)
        first = pages["head"][seen.frame]
        pages["flags"][first] = pages["flags"][first] & ~(PG_REFERENCED | PG_DIRTY) | sum(
            rng.sample((PG_REFERENCED, PG_DIRTY), rng.randrange(3))
        )

    def touch(self) -> None:
        """Memory comes, in folios of some size."""
        start, end = self.range()
        self.machine.cfg.anon_always = 1 << self.rng.choice(ORDERS) & ~1
        access = self.rng.choice((ACCESS_WRITE, ACCESS_WRITE, ACCESS_READ))
        self._do(OP_TOUCH, self.rng.choice(self.tasks), self._bytes(start, end)[0], end - start, access)
        self.machine.cfg.anon_always = 0

    def step(self) -> None:
        """One call, and what it leaves."""
        before, (start, end) = self.account(), self.range()
        task, right = self.rng.choice(self.tasks), before.copy()
        del self.flushed[:]
        name = self.rng.choice([*OTHERS, *ADVICE, *MOSTLY])
        if name in ADVICE:
            row: tuple[int, ...] = (OP_MADVISE, task, *self._bytes(start, end), ADVICE[name])
            result = ACCOUNTS[name](right, task, start, end) or 0
        else:
            row, result = self._other(name, right, task, start, end)
        found = self._do(*row)
        if found != result:
            self._fail(f"it returned {outcome(found)}; right is {outcome(result)}")
        if name in DRAINING and not result and self.made.get("lru_added") != self.made.get("lru_emptied"):
            self._fail("new folios still wait for their lists")
        if name in ("fork", "refs"):
            del self.flushed[:]  # all of a task's memory may be
        self.judge(right, start, end, name in EXACT)

    def _other(
        self, name: str, right: Advising, task: int, start: int, end: int
    ) -> tuple[tuple[int, ...], int]:
        """What is no advice: the operation, and what it returns."""
        address, size = self._bytes(start, end)
        if name == "protect":
            prot = self.rng.choice((R, RW))
            right.protect(task, start, end, prot)
            return (OP_MPROTECT, task, address, size, prot), 0
        if name == "map":
            right.zap(task, start, end)
            return (OP_MMAP, task, address, size, RW, PRIVATE, -1, 0), address
        if name == "refs":
            right.clear_refs(task)
            return (OP_CLEAR_REFS, task, ALL), 0
        if len(self.tasks) == 1:
            self.tasks.append(CHILD)
            right.fork(PARENT, CHILD)
            return (OP_FORK, PARENT, CHILD), 0
        self.tasks.remove(CHILD)
        del right.entries[CHILD]
        return (OP_EXIT, CHILD), 0


@check(
    "stateful.advising",
    hooks=("clear_young_dirty_ptes", "wrprotect_ptes", "clear_full_ptes"),
    source="mm/madvise.c; mm/gup.c:faultin_page; mm/memory.c:copy_pte_range; mm/mprotect.c:change_pte_range",
)
def advising(context: Context) -> None:
    """Of any range of pages and folios, calls change those entries, folios and translations that they are to."""
    for number, variant in enumerate(context.variants()):
        left = max(ELSEWHERE if number else FEWEST, round(CALLS * variant.share))
        world = World(variant, variant.rng(f"advising {number}"))
        for call in range(left):
            if call % 2 == 0:
                world.touch()
                world.vary()
            world.step()
            if call % EPISODE == EPISODE - 1:
                in_order(world.made, variant.where)
        in_order(world.made, variant.where)
