"""Tier stateful: of a folio of a file, a part goes: at every alignment of the hole, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from core_mm import folio_split, page_cache, readahead, shmem, swapfile, truncate
from core_mm.folio import folio_get, folio_order, folio_put
from core_mm.mm_types import PG_DIRTY, PG_UPTODATE
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    OP_FORK,
    OP_MMAP,
    OP_TOUCH,
)
from mmarch.check.caching import ANONYMOUS, DISK, Caching, halved, pages_of, singly
from mmarch.check.context import Context
from mmarch.check.observing import Observer
from mmarch.check.reading_ahead import Folio
from mmarch.check.registry import check
from mmarch.check.system import in_order
from mmarch.check.tiers.swaps import AT, LAST, PAGES, Run
from mmarch.check.tiers.swaps import DISK as ON_DISK
from mmarch.check.tiers.swaps import MEMORY as IN_MEMORY

FIRST, OWN = 32, 1 << 29  # page of the file; where copies are, behind what is shared
KINDS = {IN_MEMORY: ANONYMOUS, ON_DISK: DISK}
ORDERS = (0, 1, 2, 3)
Shape = dict[int, tuple[int, int]]  # page -> its folio's first page, and pages


@check(
    "stateful.holes",
    source="mm/truncate.c:truncate_inode_partial_folio, truncate_cleanup_folio; mm/shmem.c",
    turns=True,
)
def holes(context: Context) -> None:
    """Of a folio that a hole cuts, whole pages can go and no other; one that cannot be split is unmapped, or stays."""
    for step in (parts, pairs, in_swap, busy, mapped, bounds):
        step(Run(context))


def filled(run: Run, file: int, index: int, order: int) -> int:
    """A clean folio of a file."""
    run.machine.feature.ext4_large_folios = 1
    if file == IN_MEMORY:
        orders = 1 << order if order else 0
        page = int(run.core(shmem.shmem_get_folio, file, index, orders, PG_UPTODATE))
    else:
        run.core(readahead.ra_alloc_folio, file, index, order, -1)
        page = int(run.core(page_cache.filemap_get_page, file, index))
    run.same("the order of a new folio", run.core(folio_order, page), order)
    return page


def shape(run: Run, file: int) -> Shape:
    """What is cached of a file, by its folios."""
    found: Shape = {}
    for index in range(FIRST - 1, FIRST + 32):
        if page := run.core(page_cache.filemap_get_page, file, index):
            head = run.field("PAGE", "head", page)
            found[index] = run.field("PAGE", "index", head), 1 << run.core(folio_order, head)
            run.same(f"the place of page {index} in its folio", page - head, index - found[index][0])
    return found


def cleared(run: Run, file: int) -> None:
    """Nothing is cached any more."""
    run.core(truncate.truncate_whole_folios, file, 0, 2 * PAGES)
    run.same("pages that are still cached", run.field("INODE", "nrpages", file), 0)


def edges(run: Run, first: int, pages: int) -> Iterator[int]:
    """Bytes at, before and behind the border of each page."""
    size = run.made.page
    yield from (page * size + more for page in range(first, first + pages + 1) for more in (-1, 0, 1))


def parts(run: Run) -> None:
    """One folio, and the next one behind it, which stays as it is."""
    for file, order in product(KINDS, ORDERS):
        nr = 1 << order
        whole = FIRST * run.made.page, (FIRST + nr) * run.made.page
        borders = list(edges(run, FIRST, nr))
        for start, end in product(borders, borders):
            if not (start < end and start < whole[1] and end > whole[0]):
                continue
            if order == max(ORDERS) and run.rng.random() < 0.9:
                continue
            folio = filled(run, file, FIRST, order)
            filled(run, file, FIRST + 8, 3)
            run.core(folio_get, folio)
            done = run.core(truncate.truncate_inode_partial_folio, folio, start, end)
            run.core(folio_put, folio)
            right = {page: (FIRST + 8, 8) for page in range(FIRST + 8, FIRST + 16)}
            if not (start <= whole[0] and whole[1] <= end):
                right |= cut(run, Folio(FIRST, nr), start // run.made.page, end // run.made.page)
            what = f"bytes [{start - whole[0]}, {end - whole[0]}) of a folio of {nr} pages, {KINDS[file]}"
            run.same(f"what is left after {what}", shape(run, file), right)
            run.same(f"whether these are dealt with: {what}", done, 1)
            cleared(run, file)


def cut(run: Run, folio: Folio, start: int, end: int) -> Shape:
    """Split where the hole begins, and what is then still large where it ends."""
    split = halved if run.machine.feature.split_nonuniform else lambda one, _: singly(one)
    made = list(split(folio, max(start, folio.first)))
    if end < folio.first + folio.pages:
        made = [part for one in made for part in (split(one, end) if end in pages_of(one) else [one])]
    return {page: (one.first, one.pages) for one in made for page in pages_of(one)}


def pairs(run: Run) -> None:
    """A hole that begins in one folio and ends in the next, against the account of what calls on files leave."""
    size = run.made.page
    for file, kind in KINDS.items():
        for start, end in product(edges(run, FIRST, 4), edges(run, FIRST + 4, 4)):
            if start >= end or run.rng.random() < 0.5:
                continue
            for index in (FIRST, FIRST + 4):
                filled(run, file, index, 2)
            account = Caching(
                PAGES, size, True, -1, lambda name: int(getattr(run.machine.feature, name)),
                memory=kind == ANONYMOUS, kind=kind, bytes=PAGES * size, room=2 * PAGES,
            )  # fmt: skip
            for index in (FIRST, FIRST + 4):
                account.cache |= dict.fromkeys(range(index, index + 4), Folio(index, 4))
            run.core(truncate.truncate_inode_pages_range, file, start, end)
            account.lose(start, end)
            right = {page: (one.first, one.pages) for page, one in account.cache.items()}
            what = f"bytes [{start - FIRST * size}, {end - FIRST * size}) of two folios of 4 pages, {kind}"
            run.same(f"what is left after {what}", shape(run, file), right)
            cleared(run, file)


def in_swap(run: Run) -> None:
    """A hole in shared memory that is in swap: what has an edge of it comes back, what lies in it is forgotten."""
    size = run.made.page
    for order in (0, 2):
        run.machine.feature.shmem_large_swap = int(order > 0)
        units = [range(index, index + (1 << order)) for index in range(FIRST, FIRST + 12, 1 << order)]
        for start, end in product(edges(run, FIRST, 4), edges(run, FIRST, 12)):
            if start >= end or run.rng.random() < 0.8:
                continue
            slots = {page: slot for unit in units for page, slot in zip(unit, gone(run, unit), strict=True)}
            run.core(truncate.truncate_inode_pages_range, IN_MEMORY, start, end)
            hole = range(-(-start // size), end // size)
            inside = [unit for unit in units if unit[0] in hole and unit[-1] in hole]
            cuts = [
                unit for unit in units
                if unit not in inside and (start // size in unit or (end - 1) // size in unit)
            ]  # fmt: skip
            cached = {page for unit in cuts for page in unit if page not in hole}
            left = [unit for unit in units if unit not in inside and unit not in cuts]
            right = {page: slots[page] for unit in left for page in unit}
            what = (
                f"bytes [{start - FIRST * size}, {end - FIRST * size}) of pages swapped out in {1 << order}s"
            )
            kept = {page: run.core(page_cache.filemap_get_swap, IN_MEMORY, page) for page in slots}
            run.same(f"slots after {what}", {page: slot for page, slot in kept.items() if slot}, right)
            run.same(f"cached after {what}", set(shape(run, IN_MEMORY)), cached)
            orders = {run.core(page_cache.swapped_order, IN_MEMORY, page) for page in right}
            run.same(f"orders after {what}", orders, {order} if right else set())
            counts = run.field("INODE", "swapped", IN_MEMORY), int(run.machine.mach.swap_used)
            run.same(f"pages in swap, and slots in use, after {what}", counts, (len(right), len(right)))
            cleared(run, IN_MEMORY)
            run.same("slots in use without pages", int(run.machine.mach.swap_used), 0)


def gone(run: Run, unit: range) -> range:
    """A folio of shared memory goes to swap: its slots."""
    order = len(unit).bit_length() - 1
    folio, slot = filled(run, IN_MEMORY, unit[0], order), int(run.core(swapfile.get_swap_pages, order))
    run.same("shmem_writeout()", run.core(shmem.shmem_writeout, folio, slot), 1)
    return range(slot, slot + len(unit))


def busy(run: Run) -> None:
    """Somebody has a reference, so that it cannot be split: clean, it goes whole; dirty, it stays."""
    size = run.made.page
    for dirty in (0, PG_DIRTY):
        folio = filled(run, ON_DISK, FIRST, 2)
        run.machine.memory.tables["PAGE"]["flags"][folio] |= dirty
        for _ in range(2):
            run.core(folio_get, folio)
        run.same("folio_split() of one in use", run.core(folio_split.folio_split, folio, folio + 1) < 0, True)
        done = run.core(truncate.truncate_inode_partial_folio, folio, (FIRST + 1) * size, (FIRST + 3) * size)
        right = {page: (FIRST, 4) for page in range(FIRST, FIRST + 4)} if dirty else {}
        run.same(f"what is left of a folio in use, dirty {bool(dirty)}", shape(run, ON_DISK), right)
        run.same("whether it is dealt with", done, int(not dirty))
        run.same("its references", run.field("PAGE", "refcount", folio), 2 + (4 if dirty else 0))
        for _ in range(2):
            run.core(folio_put, folio)
    cleared(run, ON_DISK)


def mapped(run: Run) -> None:
    """A folio that faults have mapped again goes: nobody has an entry of it, and all others stay."""
    made, size = run.made, run.made.page
    for file in KINDS:
        for index in (FIRST, FIRST + 4, FIRST + 8):
            filled(run, file, index, 2)
        at = AT + file * (1 << 30)
        made.do(OP_MMAP, 1, at, 16 * size, 3, MAP_SHARED | MAP_FIXED, file - 1, (FIRST - 2) * size)
        made.do(OP_MMAP, 1, at + OWN, 16 * size, 3, MAP_PRIVATE | MAP_FIXED, file - 1, (FIRST - 2) * size)
    made.do(OP_FORK, 1, 2)
    for file, task in product(KINDS, (1, 2)):
        made.do(OP_TOUCH, task, AT + file * (1 << 30) + 2 * size, 12, ACCESS_READ)
        made.do(OP_TOUCH, task, AT + file * (1 << 30) + OWN + 2 * size, 12, ACCESS_WRITE)
    observer = Observer(made)
    for file in KINDS:
        run.core(truncate.truncate_inode_folio, run.core(page_cache.filemap_get_page, file, FIRST + 4))
        first = (AT + file * (1 << 30)) // size + 2
        for mm in map(observer.mm_of, (1, 2)):
            found = [i for i in range(12) if observer.look(mm, first + i)]
            run.same("pages that are still mapped", found, [*range(4), *range(8, 12)])
            own = [i for i in range(12) if observer.look(mm, first + i + OWN // size)]
            run.same("copies of one's own that are still mapped", own, [*range(12)])
        run.same("pages that are still cached", sorted(shape(run, file)), [FIRST + i for i in found])
    in_order(made, run.where)


def bounds(run: Run) -> None:
    """A file has no page before its first or behind its last, whatever the file beside it has there."""
    room = {file: run.field("INODE", "pages", file) for file in (*KINDS, LAST)}
    for function in (page_cache.filemap_get_page, page_cache.filemap_get_swap):
        swapped = function is page_cache.filemap_get_swap
        there = {(file, i): ends(run, file, i, swapped) for file in room for i in (0, room[file] - 1)}
        for file, pages in room.items():
            for index in (-1, 0, pages - 1, pages):
                told = run.core(function, file, index)
                what = f"{function.__name__}({file}, {index}) of {pages} pages"
                run.same(what, told, there.get((file, index), 0))


def ends(run: Run, file: int, index: int, swapped: bool) -> int:
    """The frame of a page that is in memory then, or its slot."""
    if file == ON_DISK:
        return 0 if swapped else filled(run, file, index, 0)
    folio = int(run.core(shmem.shmem_get_folio, file, index, 0, PG_UPTODATE))
    if not swapped:
        return folio
    slot = int(run.core(swapfile.get_swap_pages, 0))
    run.same("shmem_writeout()", run.core(shmem.shmem_writeout, folio, slot), 1)
    return slot
