"""Tier stateful: functions of core-mm asked by hand what no program makes them asked: what guards stand for."""

from __future__ import annotations

from core_mm import gup, huge_memory, mmap, move_page_tables, pgtable, rmap, vma, vma_merge, vma_tree
from core_mm.folio import folio_alloc
from core_mm.memory import copy, fault
from core_mm.mm_types import PG_ANON, VM_PFNMAP, VM_SHARED
from core_mm.mprotect import can_change_pte_writable
from core_mm.uapi import ACCESS_WRITE, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, OP_MMAP, OP_MPROTECT, OP_TOUCH
from core_mm.vm_fault import VM_FAULT_SIGBUS
from core_mm.vmstat import FAULT_ANON
from mmarch.check.context import Context
from mmarch.check.registry import check
from mmarch.check.tiers.swaps import AT, Run

NONE, R, RW, PRIVATE = 0, 1, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
PAGES, NO_FILE = 4, -1  # of a mapping


@check(
    "stateful.guards",
    source="mm/vma.c, mm/gup.c, mm/memory.c, mm/mprotect.c, mm/mremap.c, mm/rmap.c: what they ask before they act",
    turns=True,
)
def guards(context: Context) -> None:
    """What is not there, is another's, may not be written or is in the way already is left alone by who is asked."""
    for step in (
        bare_frames, holes, never_writable, no_file, read_only, within, in_the_way, mapped_by, shared_frames,
    ):  # fmt: skip
        step(Hands(context))


class Hands(Run):
    """A machine whose task 1 maps what is asked for."""

    def map(self, page: int, pages: int = PAGES, prot: int = RW) -> int:
        """Some pages, from this one on; the mapping."""
        self.made.do(OP_MMAP, 1, self.at(page), pages * self.made.page, prot, PRIVATE, NO_FILE, 0)
        return self.vma(page)

    def at(self, page: int) -> int:
        """Its address."""
        return AT + page * self.made.page

    def vma(self, page: int) -> int:
        """That has it."""
        return int(self.core(vma_tree.find_vma, self.mm, self.at(page)))

    @property
    def mm(self) -> int:
        """Of task 1."""
        return self.field("TASK", "mm", 2)

    def touch(self, page: int, pages: int = 1) -> None:
        """Write."""
        self.same("a write", self.made.do(OP_TOUCH, 1, self.at(page), pages, ACCESS_WRITE), 0)

    def pmdp(self, page: int) -> int:
        """Its entry in the second table, made if need be."""
        return int(self.core(pgtable.pmd_alloc, self.mm, self.at(page)))

    def ptep(self, page: int) -> int:
        """Its entry."""
        return int(self.core(pgtable.pte_offset_map, self.pmdp(page), self.at(page)))

    def bits(self, ptep: int) -> tuple[bool, bool, bool]:
        """Writable, dirty, young."""
        hooks, pte = self.machine.hooks, int(self.machine.ptes[ptep])
        return bool(hooks["pte_write"](pte)), bool(hooks["pte_dirty"](pte)), bool(hooks["pte_young"](pte))

    def exclusive(self, order: int = 0) -> int:
        """The first page of an anonymous folio that nobody else has."""
        folio = int(self.core(folio_alloc, order))
        pages = self.machine.memory.tables["PAGE"]
        pages["flags"][folio] |= PG_ANON
        pages["anon_exclusive"][folio] = 1
        return folio


def bare_frames(run: Hands) -> None:
    """A mapping of bare frames is no part of another one, whichever of both is asked (VM_SPECIAL)."""
    flags, first = run.machine.memory.tables["VMA"]["vm_flags"], run.map(0)
    usual, size = int(flags[first]), PAGES * run.made.page
    for special in (VM_PFNMAP, 0):
        arguments = first, 0, run.at(PAGES), run.at(2 * PAGES), run.at(PAGES) // run.made.page, usual | special
        flags[first] = usual | special
        found = run.core(vma_merge.vma_merge_new_range, *arguments, run.field("VMA", "vm_file", first), 0, 0)
        run.same("a mapping that a new range makes larger", found, 0 if special else first)
    run.same("its end", run.field("VMA", "vm_end", first), run.at(2 * PAGES))
    second = run.map(2 * PAGES, prot=R)
    for special in (VM_PFNMAP, 0):
        flags[first] = usual | special
        rights = int(flags[first])
        found = run.core(
            vma_merge.vma_merge_existing_range, second, run.at(2 * PAGES), run.at(2 * PAGES) + size, rights
        )
        run.same("a mapping that takes over its neighbour", found, 0 if special else first)


def holes(run: Hands) -> None:
    """What is mapped of a range is filled, what is beyond its end is not, and what is not mapped is no error."""
    run.map(0)
    run.map(3 * PAGES)
    for last, filled in ((2 * PAGES, PAGES), (3 * PAGES, 0), (3 * PAGES + 1, 1), (6 * PAGES, PAGES - 1)):
        before = run.made.count(FAULT_ANON)
        run.machine.cfg.anon_orders = 0
        run.same("mm_populate()", run.core(gup.mm_populate, run.mm, run.at(0), last * run.made.page), 0)
        run.same(f"pages that come, of {last}", run.made.count(FAULT_ANON) - before, filled)


def never_writable(run: Hands) -> None:
    """An entry that nobody may use is not made writable, whoever has its page."""
    hook, page, area = run.machine.hooks, run.exclusive(), run.map(0)
    for flags, right in ((RW, 1), (NONE, 0)):
        pte = hook["pfn_pte"](page, hook["vm_get_page_prot"](flags))
        run.same("can_change_pte_writable()", bool(run.core(can_change_pte_writable, area, pte)), bool(right))
        run.same(
            "can_change_pmd_writable()", bool(run.core(huge_memory.can_change_pmd_writable, area, pte)), bool(right)
        )
    run.machine.memory.tables["PAGE"]["anon_exclusive"][page] = 0
    pte = hook["pfn_pte"](page, hook["vm_get_page_prot"](RW))
    run.same("what others have as well", bool(run.core(can_change_pte_writable, area, pte)), False)


def no_file(run: Hands) -> None:
    """A shared mapping without a file has no memory, and tells no file system of writes."""
    area = run.map(0)
    run.machine.memory.tables["VMA"]["vm_flags"][area] |= VM_SHARED
    run.machine.memory.tables["VMA"]["vm_file"][area] = 0
    run.same("vm_ops_needs_writenotify()", run.core(vma.vm_ops_needs_writenotify, area), 0)
    asked = area, run.at(0), run.pmdp(0), 0, 0, ACCESS_WRITE
    run.same("do_anonymous_page()", run.core(fault.do_anonymous_page, *asked), VM_FAULT_SIGBUS)


def read_only(run: Hands) -> None:
    """A new page is writable and dirty where its mapping may be written."""
    run.machine.cfg.anon_orders = 0
    for first, prot, right in ((0, RW, True), (2 * PAGES, R, False)):
        run.map(first)
        run.touch(first)
        run.same("mprotect()", run.made.do(OP_MPROTECT, 1, run.at(first), PAGES * run.made.page, prot), 0)
        area, folio = run.vma(first), int(run.core(folio_alloc, 0))
        run.core(fault.map_anon_folio, area, run.at(first + 1), run.pmdp(first + 1), folio, 0, 0, 0)
        run.same("whether it is writable, dirty", run.bits(run.ptep(first + 1))[:2], (right, right))


def within(run: Hands) -> None:
    """An address that a mapping has makes it no larger."""
    area = run.map(0)
    run.same("expand_stack()", run.core(mmap.expand_stack, run.mm, run.at(1)), area)
    run.same("where it begins", run.field("VMA", "vm_start", area), run.at(0))
    run.same("expand_stack() beyond all", run.core(mmap.expand_stack, run.mm, run.at(1 << 20)), 0)


def in_the_way(run: Hands) -> None:
    """Where a table hangs none is moved to."""
    entries, ptes = 1 << run.top, run.machine.ptes
    far = entries * entries
    for first, level in ((entries, pgtable.pmd_off), (far, pgtable.pud_off)):
        area = run.map(0)
        run.map(first)
        for page in (0, first):
            run.touch(page)
        places = [int(run.core(level, run.mm, run.at(page))) for page in (0, first)]
        held = [int(ptes[place]) for place in places]
        move = move_page_tables.move_normal_pmd if level is pgtable.pmd_off else move_page_tables.move_normal_pud
        run.same("a table that is moved to another's place", run.core(move, area, run.at(0), *places), 0)
        run.same("both tables", [int(ptes[place]) for place in places], held)


def mapped_by(run: Hands) -> None:
    """A page that several entries map is one that several may have; a mapping of nobody's counts as several."""
    page, counts = run.exclusive(), run.machine.memory.tables["PAGE"]["mapcount"]
    for times in range(4):
        counts[page] = times
        run.same(f"mapped {times} times", bool(run.core(rmap.folio_maybe_mapped_shared, page)), times > 1)
    counts[page] = 0
    large = run.exclusive(2)
    run.core(rmap.add_large_mapcount, large, 1, 0)
    run.same("a large folio that nobody's mapping maps", run.field("PAGE", "index", large + 1), 1)


def shared_frames(run: Hands) -> None:
    """What fork copies of a shared mapping is clean and old for the child, and as it was for the parent."""
    hook, flags = run.machine.hooks, run.machine.memory.tables["VMA"]["vm_flags"]
    source, target = run.map(0), run.map(2 * PAGES)
    for page in (0, 2 * PAGES):
        run.touch(page)
    flags[source] |= VM_SHARED
    pte = hook["pte_mkyoung"](hook["pte_mkdirty"](hook["pfn_pte"](run.exclusive(), hook["vm_get_page_prot"](RW))))
    there, here = run.ptep(2 * PAGES + 1), run.ptep(1)
    hook["set_ptes"](run.mm, run.at(1), here, pte, 1)
    before = int(run.machine.ptes[here])
    run.core(copy.install_copies, target, source, there, here, pte, run.at(2 * PAGES + 1), 1)
    run.same("dirty and young for the child", run.bits(there)[1:], (False, False))
    run.same("the parent's entry", int(run.machine.ptes[here]), before)
