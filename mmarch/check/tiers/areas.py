"""Tier stateful: what mappings become that grow, move, shrink, and that a child gets or does not get."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm import uapi
from core_mm.mm_types import EINVAL, ENOMEM
from core_mm.uapi import (
    ACCESS_WRITE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_NONBLOCK,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_STACK,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    OP_BRK,
    OP_FORK,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_MREMAP,
    OP_MUNMAP,
    OP_TOUCH,
)
from core_mm.vmstat import DO_WP_PAGE, FAULT_COW
from mmarch.check.context import Context
from mmarch.check.converted import Table
from mmarch.check.observing import Observer
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import in_order
from mmarch.check.tiers.calls import ANON, FILE, LOCKED, PAGES, RW, R, World, maps, present

STACK, HEAP, ELSEWHERE = 0x40000000, 0x60000000, 0x50000000
GUARD = 256  # pages that stay free below a stack
RLIMIT = 8 << 20  # bytes
GROWS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN | MAP_STACK
PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
MADV_DONTDUMP, MADV_DODUMP = 16, 17
UNACCOUNTED = ((PRIVATE | MAP_NORESERVE, -1), (MAP_SHARED | MAP_FIXED, 0))  # flags, file
HUGE = (uapi.MADV_NOHUGEPAGE, uapi.MADV_HUGEPAGE)
UNDONE = (
    (uapi.MADV_DONTFORK, uapi.MADV_DOFORK),
    (uapi.MADV_WIPEONFORK, uapi.MADV_KEEPONFORK),
    (uapi.MADV_RANDOM, uapi.MADV_NORMAL),
    (uapi.MADV_SEQUENTIAL, uapi.MADV_NORMAL),
    (MADV_DONTDUMP, MADV_DODUMP),
)  # advice, and what takes it back
FLUSHED = 1 << 18  # pages that an architecture may flush one by one in a few seconds


@check("stateful.stack", source="mmap(2), MAP_GROWSDOWN; mm/mmap.c:expand_stack")
def stack(context: Context) -> None:
    """A stack grows to where it is accessed, not beyond its limit, and leaves a gap above what is mapped below."""
    for variant in context.variants():
        world = World(variant)
        page = world.page
        world.succeeds(OP_MMAP, STACK, 2 * page, RW, GROWS, -1, 0)
        maps(world, STACK - page, 1, True)
        maps(world, STACK - 8 * page, 10, True)
        maps(world, STACK + 2 * page - RLIMIT - page, 1, False)
        maps(world, STACK + 2 * page, 1, False)
        below = STACK - 8 * page - (GUARD + 2) * page
        world.succeeds(OP_MMAP, below, page, RW, PRIVATE, -1, 0)
        maps(world, below + GUARD * page, 1, False)
        maps(world, below + (GUARD + 1) * page, 1, True)
        in_order(world.machine, variant.where)


@check("stateful.heap", source="brk(2)")
def heap(context: Context) -> None:
    """The heap is mapped up to the break, which moves up to what is free and back down."""
    for variant in context.variants():
        world = World(variant)
        page = world.page
        for pages in (0, 4, 9, 9, 2):
            _break(world, HEAP + pages * page, True)
            if pages:
                maps(world, HEAP, pages, True)
            maps(world, HEAP + pages * page, 2, False)
        world.succeeds(OP_MMAP, HEAP + 6 * page, page, RW, PRIVATE, -1, 0)
        _break(world, HEAP + 8 * page, False)
        maps(world, HEAP + 2 * page, 4, False)
        _break(world, HEAP - page, False)
        _break(world, HEAP + 4 * page, True)
        maps(world, HEAP, 4, True)
        _areas(world, 0, OP_MMAP, HEAP + 4 * page, page, RW, PRIVATE, -1, 0)  # nothing tells it from the heap
        in_order(world.machine, variant.where)


def _break(world: World, at: int, moves: bool) -> None:
    """brk returns the break, moved or not."""
    found = world.machine.do(OP_BRK, 1, at)
    if (found == at) != moves:
        raise CheckFailed(
            f"{world.machine.steps()[-1]} returned {found:#x}: the break {'does not move' if moves else 'moves'}"
            f"{world.where}", world.machine.steps(),
        )  # fmt: skip


@check("stateful.remap", hooks=("ptep_get_and_clear", "set_ptes"), source="mremap(2)")
def remap(context: Context) -> None:
    """mremap shrinks, grows in place or elsewhere, and with MREMAP_DONTUNMAP leaves an empty mapping behind."""
    for variant in context.variants():
        world = World(variant)
        page, at, half = world.page, ANON.at(world), PAGES // 2
        size = PAGES * page
        world.succeeds(OP_MREMAP, at, size, size, 0, at)
        present(world, at, half, True)
        world.succeeds(OP_MREMAP, at, size, size + 2 * page, 0, at)
        maps(world, at + size, 2, True)
        maps(world, at + size + 2 * page, 1, False)
        world.returns(ENOMEM, OP_MREMAP, at, size + 2 * page, size + 20 * page, 0, at)
        world.returns(ENOMEM, OP_MREMAP, at + page, page, 2 * page, 0, at)
        world.succeeds(OP_MREMAP, at, size + 2 * page, size + 20 * page, MREMAP_MAYMOVE, ELSEWHERE)
        present(world, ELSEWHERE, half, True)
        present(world, ELSEWHERE + (PAGES + 2) * page, 18, False)
        maps(world, at, 1, False)
        maps(world, ELSEWHERE + size + 19 * page, 1, True)
        world.succeeds(OP_MREMAP, LOCKED.at(world), size, size + page, MREMAP_MAYMOVE, LOCKED.at(world))
        present(world, LOCKED.at(world), PAGES + 1, True)
        _grown_beside(world)
        keep, to = MREMAP_MAYMOVE | MREMAP_DONTUNMAP, ELSEWHERE + 64 * page
        world.succeeds(OP_MREMAP, ELSEWHERE, half * page, half * page, keep, to)
        present(world, ELSEWHERE, half, False)
        present(world, to, half, True)
        maps(world, ELSEWHERE, half, True)
        whole = ELSEWHERE + 128 * page
        world.succeeds(OP_MMAP, whole, page, RW, PRIVATE, -1, 0)
        world.succeeds(OP_TOUCH, whole, 1, ACCESS_WRITE)
        world.succeeds(OP_MREMAP, whole, page, page, keep, whole + 64 * page)
        if anon_vma_of(world, whole) or not anon_vma_of(world, whole + 64 * page):
            raise CheckFailed(
                f"a mapping that MREMAP_DONTUNMAP left empty is looked at for its former pages{variant.where}",
                world.machine.steps(),
            )
        in_order(world.machine, variant.where)


def _grown_beside(world: World) -> None:
    """A locked mapping that grows gets the pages that are new, and its neighbour none; of nothing a share is made."""
    page, at, shared = world.page, ELSEWHERE + 256 * world.page, ELSEWHERE + 512 * world.page
    world.succeeds(OP_MMAP, at, 4 * page, RW, PRIVATE | MAP_LOCKED, -1, 0)
    world.succeeds(OP_MMAP, at + 8 * page, 8 * page, RW, PRIVATE, -1, 0)
    world.succeeds(OP_MREMAP, at, 4 * page, 8 * page, 0, at)
    present(world, at, 8, True)
    present(world, at + 8 * page, 8, False)
    world.succeeds(OP_MMAP, shared, 4 * page, RW, MAP_SHARED | MAP_FIXED, 0, 0)
    world.succeeds(OP_TOUCH, shared, 4, ACCESS_WRITE)
    world.succeeds(OP_MREMAP, shared, 0, 4 * page, MREMAP_MAYMOVE, shared + 64 * page)
    for place in (shared, shared + 64 * page):  # mremap(2): old_size 0 makes another mapping of a shared one
        maps(world, place, 4, True)
    world.returns(EINVAL, OP_MREMAP, at + 8 * page, 0, 4 * page, MREMAP_MAYMOVE, shared + 128 * page)


def anon_vma_of(world: World, address: int, task: int = 1) -> int:
    """Of the mapping that begins there; 0: it has had no page."""
    memory = world.machine.machine.memory
    vmas, mm = memory.tables["VMA"], int(memory.tables["TASK"]["mm"][task + 1])
    found = np.flatnonzero((vmas["vm_start"] == address) & (vmas["vm_mm"] == mm) & (vmas["vm_end"] != 0))
    return int(vmas["anon_vma"][found[-1]])


@check("stateful.whole-tables", hooks=("flush_tlb_range",), source="mm/mremap.c:move_pgt_entry")
def whole_tables(context: Context) -> None:
    """Moves that take whole tables along bring every page, also where only the distance is a multiple of a table's."""
    for variant in context.variants():
        geometry, world = variant.geometry, World(variant)
        page, table = world.page, world.page << geometry.pte_bits
        upper = table << geometry.pte_bits
        moves = [(upper, 4 * upper, 6 * upper)] if upper // page <= FLUSHED else []
        for size, at, to in (
            *moves,
            (2 * table, 8 * upper + 2 * table, 9 * upper + 4 * table),
            (3 * table, 8 * upper + 16 * table + 8 * page, 9 * upper + 32 * table + 8 * page),
            (3 * table, 8 * upper + 48 * table + 8 * page, 9 * upper + 64 * table + 9 * page),
        ):
            touched = (0, size // 2, size - page)
            world.succeeds(OP_MMAP, at, size, RW, PRIVATE, -1, 0)
            for offset in touched:
                world.succeeds(OP_TOUCH, at + offset, 1, ACCESS_WRITE)
            alike = at % table == to % table
            before = [Table(world.machine, 1, at + offset).pmd for offset in touched[: 1 + alike]]
            world.succeeds(OP_MREMAP, at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to)
            moved = [Table(world.machine, 1, to + offset).pmd for offset in touched[: 1 + alike]] == before
            if moved != alike:  # mm/mremap.c:try_realign_addr, where nothing lies before either
                raise CheckFailed(
                    f"{world.machine.steps()[-1]} moves {'no ' * alike}tables from the first on{variant.where}",
                    world.machine.steps(),
                )
            for offset in touched:
                present(world, to + offset, 1, True)
                maps(world, at + offset, 1, False)
        in_order(world.machine, variant.where)


@check("stateful.inherited", source="madvise(2), MADV_DONTFORK and MADV_WIPEONFORK")
def inherited(context: Context) -> None:
    """A child gets what its parent has, nothing where DONTFORK says so, empty memory where WIPEONFORK does."""
    for variant in context.variants():
        world = World(variant)
        page, at, file = world.page, ANON.at(world), FILE.at(world)
        for advice in (uapi.MADV_DONTFORK, MADV_DONTDUMP, uapi.MADV_HUGEPAGE):
            world.succeeds(OP_MADVISE, at, page, advice)
        for advice in (uapi.MADV_WIPEONFORK, uapi.MADV_NOHUGEPAGE):
            world.succeeds(OP_MADVISE, at + 2 * page, page, advice)
        for advice in (uapi.MADV_RANDOM, uapi.MADV_SEQUENTIAL, uapi.MADV_NORMAL):
            world.succeeds(OP_MADVISE, file, PAGES * page, advice)
        _child(world, 2)
        maps(world, at, 1, False, task=2)
        present(world, at + page, 1, True, task=2)
        present(world, at + 2 * page, 1, False, task=2)
        maps(world, at + 2 * page, 1, True, task=2)
        for advice in (uapi.MADV_DOFORK, MADV_DODUMP):
            world.succeeds(OP_MADVISE, at, page, advice)
        world.succeeds(OP_MADVISE, at + 2 * page, page, uapi.MADV_KEEPONFORK)
        _child(world, 3)
        present(world, at, PAGES // 2, True, task=3)
        for page_of_file in range(PAGES // 2):
            world.returns(0, OP_TOUCH, file + page_of_file * page, 1, ACCESS_WRITE, task=3)
        world.succeeds(OP_MUNMAP, at, PAGES * page)
        present(world, at, PAGES // 2, True, task=3)
        in_order(world.machine, variant.where)


def _child(world: World, task: int) -> None:
    world.succeeds(OP_FORK, task)


@check("stateful.owned", hooks=("ptep_set_access_flags",), source="mm/memory.c:wp_can_reuse_anon_folio; mm/rmap.c")
def owned(context: Context) -> None:
    """A page that a child has for itself once its parent is gone, and writes to, is its mapping's own."""
    for variant in context.variants():
        world = World(variant)
        observer = Observer(world.machine)
        world.succeeds(OP_MMAP, ELSEWHERE, 4 * world.page, RW, PRIVATE, -1, 0)
        world.succeeds(OP_MADVISE, ELSEWHERE, 4 * world.page, uapi.MADV_NOHUGEPAGE)  # single pages
        world.succeeds(OP_TOUCH, ELSEWHERE, 4, ACCESS_WRITE)
        _child(world, 2)
        world.succeeds(OP_MUNMAP, ELSEWHERE, 4 * world.page)
        mm, mapping = observer.mm_of(2), observer.frames["mapping"]
        before = [observer.look(mm, ELSEWHERE // world.page + number) for number in range(4)]
        if world.machine.do(OP_TOUCH, 2, ELSEWHERE, 4, ACCESS_WRITE):
            raise CheckFailed(f"a child cannot write to what it has{variant.where}", world.machine.steps())
        for number, was in enumerate(before):
            seen = observer.look(mm, ELSEWHERE // world.page + number)
            own = seen is not None and mapping[seen.pfn] == anon_vma_of(world, ELSEWHERE, task=2)
            if seen is None or was is None or seen.pfn != was.pfn or not own:
                raise CheckFailed(
                    f"page {number}, which only a child maps, is {seen} once it has written, and was {was}; right is "
                    f"that it stays, of the anon_vma of the child's mapping{variant.where}",
                    world.machine.steps(),
                )
        in_order(world.machine, variant.where)


@check("stateful.merges", source="mm/vma.c:vma_merge_new_range, vma_merge_existing_range")
def merges(context: Context) -> None:
    """Neighbouring mappings become one when nothing tells them apart any more, however they came, and two otherwise."""
    for variant in context.variants():
        world = World(variant)
        page, at, file = world.page, ELSEWHERE, ELSEWHERE + 64 * world.page
        shared = MAP_SHARED | MAP_FIXED
        for areas, op, *arguments in (
            (1, OP_MMAP, at, 4 * page, RW, PRIVATE, -1, 0),
            (0, OP_MMAP, at + 4 * page, 4 * page, RW, PRIVATE, -1, 0),
            (1, OP_MMAP, at + 8 * page, 4 * page, R, PRIVATE, -1, 0),
            (-1, OP_MPROTECT, at + 8 * page, 4 * page, RW),
            (2, OP_MPROTECT, at + 5 * page, page, R),
            (-2, OP_MPROTECT, at + 5 * page, page, RW),
            (1, OP_MPROTECT, at, page, 0),
            (0, OP_MPROTECT, at + page, page, 0),
            (-1, OP_MPROTECT, at, 2 * page, RW),
            *(
                (2 - 4 * undoes, OP_MADVISE, at + 2 * page, page, pair[undoes])
                for pair in UNDONE
                for undoes in (0, 1)
            ),
            *(call for first in (0, 1) for call in _taken_back(at, page, *HUGE[first:], *HUGE[:first])),
            (1, OP_MUNMAP, at + 6 * page, page),
            (-1, OP_MMAP, at + 6 * page, page, RW, PRIVATE, -1, 0),
            (1, OP_MMAP, file, 2 * page, RW, shared, 0, 0),
            (0, OP_MMAP, file + 2 * page, 2 * page, RW, shared, 0, 2 * page),
            (1, OP_MMAP, file + 4 * page, page, RW, shared, 0, 5 * page),
            (1, OP_MMAP, file + 5 * page, page, RW, shared, 1, 6 * page),
            (-3, OP_MUNMAP, file, 6 * page),
            (-1, OP_MUNMAP, at, 12 * page),
            *(call for first in (0, 4) for call in _written_apart(at, page, first)),
            (1, OP_MMAP, at, 2 * page, RW, PRIVATE, -1, 0),
            (1, OP_MMAP, at + 3 * page, 2 * page, RW, PRIVATE, -1, 0),
            (0, OP_TOUCH, at, 1, ACCESS_WRITE),
            (0, OP_TOUCH, at + 3 * page, 1, ACCESS_WRITE),
            (0, OP_MMAP, at + 2 * page, page, RW, PRIVATE, -1, 0),
            (-2, OP_MUNMAP, at, 5 * page),
            *(call for flags, file in UNACCOUNTED for call in _made_writable(at, page, flags, file)),
        ):
            _areas(world, areas, op, *arguments)
        in_order(world.machine, variant.where)


def _written_apart(at: int, page: int, first: int) -> Iterator[tuple[int, ...]]:
    """Two parts that rights alone tell apart when each is written: they share an anon_vma, and can be one again."""
    yield 1, OP_MMAP, at, 8 * page, RW, PRIVATE, -1, 0
    yield 1, OP_MPROTECT, at + 4 * page, 4 * page, RW | uapi.PROT_EXEC
    yield 0, OP_TOUCH, at + first * page, 1, ACCESS_WRITE
    yield 0, OP_TOUCH, at + (4 - first) * page, 1, ACCESS_WRITE
    yield -1, OP_MPROTECT, at + 4 * page, 4 * page, RW
    yield -1, OP_MUNMAP, at, 8 * page


def _taken_back(at: int, page: int, advice: int, other: int) -> Iterator[tuple[int, ...]]:
    """The last of two pieces of advice counts: a page that had the other one before is like its neighbours."""
    yield 2, OP_MADVISE, at + 2 * page, page, advice
    yield 2, OP_MADVISE, at + 4 * page, page, other
    yield 0, OP_MADVISE, at + 4 * page, page, advice
    yield -2, OP_MADVISE, at + 3 * page, page, advice
    yield -1, OP_MUNMAP, at + 2 * page, 3 * page
    yield -1, OP_MMAP, at + 2 * page, 3 * page, RW, PRIVATE, -1, 0


def _made_writable(at: int, page: int, flags: int, file: int) -> Iterator[tuple[int, ...]]:
    """A part that becomes writable later is what the other has always been, where no memory is accounted for it."""
    yield 1, OP_MMAP, at, 2 * page, RW, flags, file, 0
    yield 1, OP_MMAP, at + 2 * page, 2 * page, R, flags, file, 2 * page
    yield -1, OP_MPROTECT, at + 2 * page, 2 * page, RW
    yield -1, OP_MUNMAP, at, 4 * page


def _areas(world: World, more: int, op: int, *arguments: int) -> None:
    """A call that has to succeed, and leave so many more mappings, or fewer."""
    mms = world.machine.machine.memory.tables["MM"]
    mm = int(world.machine.machine.memory.tables["TASK"]["mm"][2])
    before = int(mms["map_count"][mm])
    world.succeeds(op, *arguments)
    found = int(mms["map_count"][mm]) - before
    if found != more:
        raise CheckFailed(
            f"{world.machine.steps()[-1]} changes the number of mappings by {found}; right is {more}{world.where}",
            world.machine.steps(),
        )


@check("stateful.collapse", hooks=("pmd_mkhuge", "pmdp_collapse_flush"), source="madvise(2), MADV_COLLAPSE")
def collapse(context: Context) -> None:
    """MADV_COLLAPSE leaves each aligned part of the range in one huge page, the rest as it was; MADV_COLD all of it."""
    for variant in context.variants():
        world = World(variant)
        entries = 1 << variant.geometry.pte_bits
        page, table = world.page, world.page * entries
        at = 4 * table << variant.geometry.pte_bits
        for first, pages in ((0, entries), (4 * entries - 8, entries + 16)):
            start, size = at + first * page, pages * page
            world.succeeds(OP_MMAP, start, size, RW, PRIVATE, -1, 0)
            world.succeeds(OP_TOUCH, start, 3, ACCESS_WRITE)
            world.succeeds(OP_TOUCH, start + size - 20 * page, 12, ACCESS_WRITE)
            for advice in (uapi.MADV_COLLAPSE, uapi.MADV_COLLAPSE, uapi.MADV_COLD):
                world.succeeds(OP_MADVISE, start, size, advice)
                observer = Observer(world.machine)
                for number in (0, pages // 2, pages - 1):
                    inside = -first % entries <= number < -first % entries + entries
                    seen = observer.look(observer.mm_of(1), start // page + number)
                    if bool(seen is not None and seen.huge) != inside or (
                        seen is not None and seen.young and advice == uapi.MADV_COLD
                    ):
                        raise CheckFailed(
                            f"page {start // page + number:#x} is {seen} after advice {advice}{variant.where}",
                            world.machine.steps(),
                        )
        in_order(world.machine, variant.where)


@check("stateful.locked", source="mmap(2), MAP_LOCKED; mlock(2)")
def locked(context: Context) -> None:
    """Locked mappings have their pages from the beginning, and reclaim leaves them alone."""
    for variant in context.variants():
        world = World(variant)
        page, size = world.page, PAGES * world.page
        present(world, LOCKED.at(world), PAGES, True)
        world.succeeds(OP_MMAP, ELSEWHERE, size, 0, PRIVATE | MAP_LOCKED, -1, 0)
        present(world, ELSEWHERE, PAGES, False)
        world.succeeds(OP_MADVISE, ANON.at(world), size, uapi.MADV_PAGEOUT)
        world.succeeds(OP_FORK, 2)
        present(world, LOCKED.at(world), PAGES, True)
        world.succeeds(OP_MMAP, ELSEWHERE + 2 * size, page, RW, PRIVATE | MAP_LOCKED, -1, 0)
        present(world, ELSEWHERE + 2 * size, 1, True)
        for flags, there in ((MAP_POPULATE, True), (MAP_POPULATE | MAP_NONBLOCK, False)):
            world.succeeds(OP_MMAP, ELSEWHERE + 4 * size, size, RW, PRIVATE | flags, -1, 0)
            present(world, ELSEWHERE + 4 * size, PAGES, there)
        for kind, there in ((MAP_PRIVATE, True), (MAP_SHARED, False)):
            world.succeeds(OP_MMAP, ELSEWHERE, size, 0, kind | MAP_FIXED | MAP_LOCKED, 0, 0)
            world.succeeds(OP_MPROTECT, ELSEWHERE, size, RW)
            present(world, ELSEWHERE, PAGES, there)
        for flags, copies in ((MAP_PRIVATE, PAGES), (MAP_SHARED, 0)):
            world.succeeds(OP_MMAP, ELSEWHERE, size, R, flags | MAP_FIXED | MAP_LOCKED, 0, 0)
            before = world.machine.count(FAULT_COW), world.machine.count(DO_WP_PAGE)
            world.succeeds(OP_MPROTECT, ELSEWHERE, size, RW)
            found = world.machine.count(FAULT_COW) - before[0], world.machine.count(DO_WP_PAGE) - before[1]
            if found != (copies, copies):
                raise CheckFailed(
                    f"locked memory of a file that becomes writable: {found} copies and faults, not {copies} of each"
                    f"{variant.where}",
                    world.machine.steps(),
                )
        in_order(world.machine, variant.where)


@check("stateful.given-up", hooks=("clear_young_dirty_ptes",), source="madvise(2), MADV_FREE; mm/madvise.c")
def given_up(context: Context) -> None:
    """MADV_FREE leaves pages neither dirty nor young, and what nobody writes to then goes without being swapped out."""
    for variant in context.variants():
        world = World(variant)
        observer, size = Observer(world.machine), PAGES * world.page
        world.succeeds(OP_MMAP, ELSEWHERE, size, RW, PRIVATE, -1, 0)
        world.succeeds(OP_TOUCH, ELSEWHERE, PAGES, ACCESS_WRITE)
        world.succeeds(OP_MADVISE, ELSEWHERE, size, uapi.MADV_FREE)
        for number in range(PAGES):
            seen = observer.look(observer.mm_of(1), ELSEWHERE // world.page + number)
            if seen is None or seen.young or seen.dirty or observer.folio_dirty(seen.pfn):
                raise CheckFailed(
                    f"page {number} is {seen} after MADV_FREE{variant.where}", world.machine.steps()
                )
        world.succeeds(OP_MADVISE, ELSEWHERE, size, uapi.MADV_PAGEOUT)
        for number in range(PAGES):
            seen = observer.look(observer.mm_of(1), ELSEWHERE // world.page + number)
            if seen is not None:
                raise CheckFailed(
                    f"page {number} is {seen} after MADV_FREE and MADV_PAGEOUT{variant.where}",
                    world.machine.steps(),
                )
        in_order(world.machine, variant.where)
