"""Tier stateful: what becomes of the entries of a huge page that is split, moved, collapsed or protected."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import product

from core_mm import folio_split, huge_memory, migrate, mprotect
from core_mm.folio import folio_put
from core_mm.mm_types import EAGAIN, PG_DIRTY, PG_LARGE, PG_REFERENCED, PG_SWAPBACKED
from core_mm.mmu_gather import tlb_finish_mmu, tlb_flush_pmd_range, tlb_flush_pte_range, tlb_gather_mmu
from core_mm.mprotect import MM_CP_TRY_CHANGE_WRITABLE
from core_mm.uapi import (
    ACCESS_READ,
    FILE_SHMEM,
    MADV_COLD,
    MADV_COLLAPSE,
    MADV_DONTNEED,
    MADV_FREE,
    MAP_FIXED,
    MAP_SHARED,
    OP_CLEAR_REFS,
    OP_EXIT,
    OP_FORK,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_MUNMAP,
    OP_TOUCH,
)
from mmarch.check.context import Context
from mmarch.check.converted import Entry, Table
from mmarch.check.huge_case import OWNERS, PRIVATE, RW, STATES, Case, State
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, in_order, system

R, HUGE_PAGES = 1, 10


def split_pmd(case: Case) -> None:
    """Every entry has what the leaf had; who else maps the page still does so by a leaf."""
    rss = case.table.rss()
    address = case.at + case.rng.randrange(case.nr) * case.made.page
    case.call(huge_memory.split_huge_pmd, case.table.vma, case.table.pmdp, address)
    case.table.holds("a leaf is split", case.before, leaf=False)
    for other in case.tables[1:]:
        other.holds("another's leaf is split", case.before, leaf=True)
    case.same("a split PMD's folio: dirty", case.flag(PG_DIRTY), case.before[0].dirty)
    case.same("a split PMD's rss", case.table.rss(), rss)
    case.counted("a leaf is split")


def freeze(case: Case) -> None:
    """The same with migration entries, and back."""
    address = case.at + case.rng.randrange(case.nr) * case.made.page
    case.held = 1
    case.pages["refcount"][case.folio] += 1
    case.call(huge_memory.split_huge_pmd_freeze, case.table.vma, case.table.pmdp, address)
    moved = case.moved(case.before)
    case.table.holds("a leaf is frozen", [e._replace(kind="migration") for e in moved], leaf=False)
    case.counted("a leaf is frozen")
    case.same("a page that nobody maps: exclusive", int(case.pages["anon_exclusive"][case.folio]), 0)
    back(case, [moved] + [case.before] * (len(case.tables) - 1))


def back(case: Case, right: list[list[Entry]]) -> None:
    """Migration entries go, and every entry is as it was; nothing has become of those that there were."""
    dirty = any(entry.dirty for entries in right for entry in entries if entry.kind == "page")
    case.same("a page on the move: dirty", case.flag(PG_DIRTY), dirty)
    case.call(migrate.remove_migration_ptes, case.folio, 0)
    for table, entries in zip(case.tables, right, strict=True):
        table.holds("after a migration", entries, leaf=table.leaf)
    case.counted("after a migration")
    case.held -= 1
    case.call(folio_put, case.folio)


def move(case: Case) -> None:
    """All mappings, of a leaf or of different entries, become migration entries, and are restored."""
    if case.rng.random() < 0.5:
        case.split()
        case.vary()
    right = [case.moved(table.entries()) for table in case.tables]
    case.held = 1
    case.pages["refcount"][case.folio] += 1
    case.call(migrate.try_to_migrate, case.folio)
    for table, entries in zip(case.tables, right, strict=True):
        table.holds("a folio moves", [e._replace(kind="migration") for e in entries], leaf=False)
    case.same("references of a folio on the move", int(case.pages["refcount"][case.folio]), 1)
    back(case, right)


def split_folio(case: Case) -> None:
    """Every page becomes a folio, mapped as before; one that nobody wrote to may give way to the zero page."""
    if case.rng.random() < 0.5:
        case.split()
        case.vary()
    right, rss = [table.entries() for table in case.tables], case.table.rss()
    case.pages["written"][case.folio : case.folio + case.nr] = 1
    empty = case.rng.sample(range(1, case.nr), 5)
    case.pages["written"][[case.folio + i for i in empty]] = 0
    leaves = [table.leaf for table in case.tables]
    case.pages["refcount"][case.folio] += 2
    case.same("splitting what another refers to", case.call(folio_split.split_folio, case.folio), -EAGAIN)
    for table, entries, leaf in zip(case.tables, right, leaves, strict=True):
        table.holds("a folio stays whole", entries, leaf)
    case.pages["refcount"][case.folio] -= 1
    index, mapping = int(case.pages["index"][case.folio]), int(case.pages["mapping"][case.folio])
    case.same("splitting a folio", case.call(folio_split.split_folio, case.folio), 0)
    zero = empty if case.machine.feature.split_to_zeropage else []
    dirty = any(entry.dirty for entries in right for entry in entries)
    for table, entries in zip(case.tables, right, strict=True):
        fresh = Entry("zero", int(case.machine.mach.zero_page), young=True)
        entries = case.moved(entries)
        table.holds(
            "a folio is split", [fresh if i in zero else e for i, e in enumerate(entries)], leaf=False
        )
    case.same("pages counted after a folio is split", rss - case.table.rss(), len(zero))
    for i in range(case.nr):
        page = case.folio + i
        if i not in zero:
            one = {
                name: int(case.pages[name][page])
                for name in ("head", "index", "mapping", "refcount", "mapcount")
            }
            users = len(case.tables)
            wanted = {
                "head": page, "index": index + i, "mapping": mapping, "refcount": users + (i == 0), "mapcount": users,
            }  # fmt: skip
            case.same(f"page {i} of a folio that is split", one, wanted)
            flags = int(case.pages["flags"][page])
            case.same(
                f"page {i}: large, dirty", (bool(flags & PG_LARGE), bool(flags & PG_DIRTY)), (False, dirty)
            )
    case.call(folio_put, case.folio)


def collapse(case: Case) -> None:
    """Small pages and holes become one young, dirty leaf of a folio of this task alone; what was written stays so."""
    case.split()
    case.vary()
    hole, zero = case.rng.sample(range(case.nr), 2)
    case.made.do(OP_MADVISE, 1, case.at + hole * case.made.page, case.made.page, MADV_DONTNEED)
    case.made.do(OP_MADVISE, 1, case.at + zero * case.made.page, case.made.page, MADV_DONTNEED)
    case.made.do(OP_TOUCH, 1, case.at + zero * case.made.page, 1, ACCESS_READ)
    before = case.table.entries()
    written = [bool(entry.kind == "page" and case.pages["written"][entry.frame]) for entry in before]
    result = case.made.do(OP_MADVISE, 1, case.at, case.size, MADV_COLLAPSE)
    if not any(e.write for e in before) and not case.machine.feature.collapse_readonly:
        case.table.holds("nothing to write is collapsed", before, leaf=False)
        return
    case.same("MADV_COLLAPSE", result, 0)
    folio = case.table.entries()[0].frame
    right = [Entry("page", folio + i, True, True, True, True) for i in range(case.nr)]
    case.table.holds("a collapse", right, leaf=True)
    case.same("the collapsed folio's place", case.folio <= folio < case.folio + case.nr, False)
    case.same("pages counted after a collapse", case.table.rss(), case.nr)
    case.same("pages written to", [bool(w) for w in case.pages["written"][folio : folio + case.nr]], written)
    case.same("references of the new folio", int(case.pages["refcount"][folio]), 1)
    case.same("mappings of the new folio", int(case.pages["private"][folio + 1]), 1)
    if len(case.tables) == 2:
        case.tables[1].holds("another's leaf after a collapse", case.others, leaf=True)


def protect(case: Case) -> None:
    """All of a leaf loses and gains the right to write: at once where the page is the task's alone."""
    for prot in (R, RW):
        case.made.do(OP_MPROTECT, 1, case.at, case.size, prot)
        right = [e._replace(write=prot == RW and e.exclusive) for e in case.before]
        case.table.holds(f"mprotect of a leaf to {prot}", right, leaf=True)
    case.counted("mprotect of a leaf")


def protect_part(case: Case) -> None:
    """A leaf of which a part changes is split, and the rest stays as it is; what loses rights is flushed."""
    first = case.rng.randrange(case.nr // 2)
    last = case.rng.randrange(first + 1, case.nr - 1)
    start, end = case.at + first * case.made.page, case.at + last * case.made.page
    change(case, start, end, MM_CP_TRY_CHANGE_WRITABLE)
    inside = range(first, last)
    right = [
        e._replace(write=e.write or e.exclusive) if i in inside else e for i, e in enumerate(case.before)
    ]
    case.table.holds("a part of a leaf changes", right, leaf=False)
    case.made.do(OP_MPROTECT, 1, case.at, case.size, R)
    case.vary(accessed=False)  # of which batches make no difference
    flushed = change(case, start, end, 0)
    right = [e._replace(write=False) if i in inside else e for i, e in enumerate(case.before)]
    case.table.holds("a part of a table changes", right, leaf=False)
    case.counted("mprotect of a part")
    for i in inside:
        old, new, at = (
            case.table.value(case.before[i]),
            case.table.value(right[i]),
            case.at + i * case.made.page,
        )
        if case.hooks["pte_needs_flush"](old, new) and not any(at - a in range(size) for a, size in flushed):
            raise CheckFailed(f"entry {i} becomes {right[i]}, and is not flushed")
    for a, size in flushed:
        case.same("a flush of the part lies in it", start <= a < a + size <= end, True)


def protect_leaf(case: Case) -> None:
    """A leaf that loses the right to write is flushed, all of it."""
    case.made.do(OP_MPROTECT, 1, case.at, case.size, R)
    case.table.give_leaf(case.before[0])
    old = case.table.pmd
    flushed = change(case, case.at, case.at + case.size, 0)
    case.table.holds("a leaf changes", [e._replace(write=False) for e in case.before], leaf=True)
    wanted = [(case.at, case.size)] if case.hooks["huge_pmd_needs_flush"](old, case.table.pmd) else []
    case.same("what is flushed of a leaf", flushed, wanted)


def change(case: Case, start: int, end: int, flags: int) -> list[tuple[int, int]]:
    """change_protection() of a range with its VMA's protection; (address, bytes) that the gather has to flush."""
    del case.flushed[:]
    tlb = case.call(tlb_gather_mmu, case.table.mm)
    case.call(mprotect.change_protection, tlb, case.table.vma, start, end, flags)
    case.call(tlb_finish_mmu, tlb)
    return list(case.flushed)


def clear_refs(case: Case) -> None:
    """The leaf becomes old, and nothing else of it changes."""
    case.pages["flags"][case.folio] |= PG_REFERENCED
    case.made.do(OP_CLEAR_REFS, 1, 1)
    case.table.holds("clear_refs", [e._replace(young=False) for e in case.before], leaf=True)
    case.same("clear_refs: the folio is referenced", case.flag(PG_REFERENCED), False)
    for other in case.tables[1:]:
        other.holds("clear_refs of another", case.before, leaf=True)


def free(case: Case) -> None:
    """MADV_FREE makes the leaf old and clean, and the folio one that may go; not if another maps it too."""
    case.pages["flags"][case.folio] |= PG_DIRTY
    case.made.do(OP_MADVISE, 1, case.at, case.size, MADV_FREE)
    shared = len(case.tables) == 2
    right = case.before if shared else [e._replace(young=False, dirty=False) for e in case.before]
    case.table.holds("MADV_FREE of a leaf", right, leaf=True)
    case.same(
        "MADV_FREE: dirty, swap-backed", (case.flag(PG_DIRTY), case.flag(PG_SWAPBACKED)), (shared, shared)
    )


def cold(case: Case) -> None:
    """MADV_COLD makes the leaf old, and flushes it if it was young; not if another maps it too."""
    case.pages["flags"][case.folio] |= PG_REFERENCED
    shared, young = len(case.tables) == 2, case.before[0].young
    del case.flushed[:]
    case.made.do(OP_MADVISE, 1, case.at, case.size, MADV_COLD)
    right = case.before if shared else [e._replace(young=False) for e in case.before]
    case.table.holds("MADV_COLD of a leaf", right, leaf=True)
    case.same("MADV_COLD: referenced", case.flag(PG_REFERENCED), shared)
    case.same("what MADV_COLD flushes", case.flushed, [(case.at, case.size)] if young and not shared else [])


def fork(case: Case) -> None:
    """Parent and child may read, the child's leaf is old; the page is nobody's alone."""
    case.made.do(OP_FORK, 1, 3)
    child = Table(case.made, 3, case.at)
    case.tables.append(child)
    right = [e._replace(write=False, exclusive=False) for e in case.before]
    case.table.holds("fork, parent", right, leaf=True)
    child.holds("fork, child", [e._replace(young=False) for e in right], leaf=True)
    case.same("a child's rss", child.rss(), case.nr)
    case.counted("fork")
    case.tables.pop()
    case.made.do(OP_EXIT, 3)
    case.counted("a child exits")


def zero_page(made: System, rng: random.Random) -> None:
    """The huge zero page stays what it is, and nobody may write to it; split, it is entries of the small one."""
    size = made.page * int(made.machine.memory.get("cfg", "ptrs_per_pte"))
    at = 64 * size
    made.do(OP_MMAP, 1, at, size, RW, PRIVATE, -1, 0)
    made.do(OP_TOUCH, 1, at, 1, ACCESS_READ)
    table = Table(made, 1, at)
    huge = int(table.machine.mach.huge_zero_page)
    before = [Entry("zero", huge + i, young=True) for i in range(table.nr)]
    table.holds("a read of memory that may be huge", before, leaf=True)
    for prot in (R, RW):
        made.do(OP_MPROTECT, 1, at, size, prot)
        table.holds(f"mprotect of the huge zero page to {prot}", before, leaf=True)
    made.do(OP_MADVISE, 1, at, size, MADV_FREE)
    table.holds("MADV_FREE of the huge zero page", before, leaf=True)
    made.do(OP_FORK, 1, 3)
    table.holds("fork of the huge zero page", before, leaf=True)
    child = Table(made, 3, at)
    child.holds("the child's huge zero page", [e._replace(young=False) for e in before], leaf=True)
    made.do(OP_EXIT, 3)
    bound = table.machine.bound(huge_memory.split_huge_pmd)
    bound(table.vma, table.pmdp, at + rng.randrange(size))
    small = Entry("zero", int(table.machine.mach.zero_page), young=True)
    table.holds("the huge zero page is split", [small] * table.nr, leaf=False)
    if table.rss():
        raise CheckFailed(f"{table.rss()} pages are counted of the huge zero page")
    made.do(OP_MUNMAP, 1, at, size)


def file_page(made: System, rng: random.Random, young: bool, dirty: bool, write: bool) -> None:
    """A file's huge page: writable if it is dirty; whoever forks finds it again; its state goes to the folio."""
    size = made.page * int(made.machine.memory.get("cfg", "ptrs_per_pte"))
    at = 64 * size
    made.do(OP_MMAP, 1, at, size, RW, PRIVATE, -1, 0)
    table = Table(made, 1, at)
    notified = int(
        table.machine.memory.tables["VMA"]["vm_page_prot"][table.vma]
    )  # as if writes had to be noticed
    made.do(OP_MMAP, 1, at, size, RW, MAP_SHARED | MAP_FIXED, 0, 0)
    for part in ("split", "zap"):
        made.do(OP_TOUCH, 1, at, 1, ACCESS_READ)
        table.machine.memory.tables["VMA"]["vm_page_prot"][table.vma] = notified
        folio, feature = table.entries()[0].frame, table.machine.feature
        table.give_leaf(Entry("page", folio, young, dirty, write))
        right = table.entries()  # some architectures have nothing that is writable and clean
        young, dirty = right[0].young, right[0].dirty
        made.do(OP_FORK, 1, 3)
        table.holds("fork of a file's leaf", right, leaf=True)
        Table(made, 3, at).empty("a file's leaf in a child")
        made.do(OP_EXIT, 3)
        bound, flags = table.machine.bound, table.pages["flags"]
        tlb = bound(tlb_gather_mmu)(table.mm)
        bound(mprotect.change_protection)(tlb, table.vma, at, at + size, MM_CP_TRY_CHANGE_WRITABLE)
        bound(tlb_finish_mmu)(tlb)
        right = [e._replace(write=dirty) for e in right]
        table.holds("a file's leaf may change to writable", right, leaf=True)
        flags[folio] &= ~(PG_DIRTY | PG_REFERENCED)
        references = int(table.pages["refcount"][folio])
        if part == "split":
            bound(huge_memory.split_huge_pmd)(table.vma, table.pmdp, at + rng.randrange(size))
            wanted = dirty, young
        else:
            made.do(OP_MADVISE, 1, at, size, MADV_DONTNEED)
            wanted = dirty and bool(feature.zap_pmd_dirty), young and bool(feature.zap_pmd_accessed)
        table.empty(f"a file's leaf after a {part}")
        told = bool(flags[folio] & PG_DIRTY), bool(flags[folio] & PG_REFERENCED)
        counts = (
            references - int(table.pages["refcount"][folio]),
            int(table.pages["private"][folio + 1]),
            table.rss(),
        )
        if told != wanted or counts != (1, 0, 0):
            raise CheckFailed(
                f"{part} of a file's leaf: the folio is (dirty, referenced) {told}, lost references, mappings, rss "
                f"{counts}; right is {wanted}, (1, 0, 0)"
            )
    made.do(OP_MUNMAP, 1, at, size)


Action = Callable[[Case], None]
ACTIONS: list[Action] = [
    split_pmd, freeze, move, split_folio, collapse, protect, protect_leaf, protect_part, clear_refs, free, cold, fork,
]  # fmt: skip


@check(
    "stateful.converting",
    hooks=("pmd_mkhuge",),
    source="mm/huge_memory.c:__split_huge_pmd_locked; mm/migrate.c:remove_migration_pte; mm/khugepaged.c",
    turns=True,
)
def converting(context: Context) -> str:
    """Entries stay young, dirty, writable, exclusive through splits and migrations; other calls do as they say."""
    rng, flushed = context.rng("converting"), list[tuple[int, int]]()
    made, done = machine(context, flushed), 0
    try:
        zero_page(made, rng)
        few = 1 if context.aside else 2 if context.quick else 4
        for bits in rng.sample(list(product((True, False), repeat=3)), few):
            file_page(made, rng, *bits)
    except CheckFailed as failed:
        raise CheckFailed(f"{failed}{context.where}", made.steps()) from None
    for action, state in chosen(context, rng):
        try:
            case = Case(made, rng, state, flushed)
            action(case)
            case.end()
        except CheckFailed as failed:
            shown = dict(zip(("young", "dirty", "write", "exclusive", "tasks"), state, strict=True))
            raise CheckFailed(
                f"{action.__name__} of {shown}: {failed}{context.where}", made.steps()
            ) from None
        done += 1
    in_order(made, context.where)
    return f"{done} huge pages"


def chosen(context: Context, rng: random.Random) -> Iterator[tuple[Action, State]]:
    """Every action on states of each owner; of large tables, and aside, few."""
    if context.aside or not context.small_tables:
        for action in rng.sample(ACTIONS, 3):
            yield action, rng.choice([one for one in STATES if one[0] != one[1]])
        return
    for action, owner in product(ACTIONS, OWNERS):
        for state in rng.sample([one for one in STATES if one[2:] == owner], 1 if context.quick else 2):
            yield action, state


def machine(context: Context, flushed: list[tuple[int, int]]) -> System:
    """All memory is huge if it can be; what gathers are told to flush by mprotect goes to `flushed`."""
    entries, shift = 1 << context.geometry.pte_bits, context.geometry.page_shift
    changes = {
        "anon_orders": entries, "shmem_orders": entries, "log_rows": 0, "memory": HUGE_PAGES * entries << shift,
        "overrides": {"log_ptes": 0, "anon_always": entries},
    }  # fmt: skip

    def watch(original: Callable[..., int]) -> Callable[..., int]:
        def call(tlb: int, addr: int, size: int) -> int:
            flushed.append((addr, size))
            return original(tlb, addr, size)

        return call

    return system(
        context, files=((FILE_SHMEM, 2 * entries << shift),), judged=False, changes=changes,
        instead={tlb_flush_pmd_range: watch, tlb_flush_pte_range: watch},
    )  # fmt: skip
