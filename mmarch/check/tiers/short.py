"""Tier stateful: what is left of calls that get no memory, no slot of swap or no folio of their own, by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from core_mm import (
    file_ops,
    filemap,
    folio_split,
    lru,
    page_cache,
    reclaim,
    shmem,
    swap_state,
    swapfile,
    thp,
    truncate,
    vma_tree,
)
from core_mm.folio import folio_alloc, folio_get, folio_order, folio_put, folio_put_refs
from core_mm.mm_types import ENOMEM, PG_ANON, PG_DIRTY, PG_SWAPBACKED, PG_UPTODATE, VM_HUGEPAGE, VM_NOHUGEPAGE
from core_mm.uapi import (
    ACCESS_WRITE,
    MADV_PAGEOUT,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    OP_MADVISE,
    OP_MMAP,
    OP_SWAPOFF,
    OP_TOUCH,
)
from core_mm.vm_fault import VM_FAULT_OOM
from mmarch.check.context import Context
from mmarch.check.registry import check
from mmarch.check.system import in_order
from mmarch.check.tiers.swaps import AT, DISK, MEMORY, PAGES, Run, swapped_off

FIRST = 64  # page of a file
PLACE = 600  # slot


@check(
    "stateful.short",
    source="mm/shmem.c:shmem_split_large_entry; mm/swapfile.c:SYSCALL_DEFINE1(swapoff); mm/vmscan.c:shrink_folio_list",
    turns=True,
)
def short(context: Context) -> None:
    """A large folio for which there is no memory comes back page by page; who gets nothing leaves all as it was."""
    for step in (page_by_page, told, faults, kept_on, referred_to, in_use, listed, allowed):
        step(Run(context))


class Short:
    """Of a machine: there is no memory for folios of order `least` and more."""

    def __init__(self, run: Run) -> None:
        self.least = run.top + 1
        run.machine.shadow("folio_alloc", self._allocating, "core_mm", "")

    def _allocating(self, original: Callable[[int], int]) -> Callable[[int], int]:
        return lambda order: 0 if order >= self.least else original(order)


def page_by_page(run: Run) -> None:
    """Shared memory that was swapped out as one folio: what is asked for comes, the others keep their slots."""
    memory, run.machine.feature.shmem_large_swap = Short(run), 1
    for order, asked, none in ((0, 0, True), (2, 0, False), (2, 3, True), (3, 5, False), (4, 2, True)):
        nr, wanted = 1 << order, PG_UPTODATE | PG_SWAPBACKED
        first = FIRST + nr
        beside = [shared(run, i) for i in (first - 1, first + nr)]
        folio = run.core(shmem.shmem_get_folio, MEMORY, first, nr if order else 0, PG_UPTODATE)
        slot = run.core(swapfile.get_swap_pages, order)
        run.same("shmem_writeout()", run.core(shmem.shmem_writeout, folio, slot), 1)
        for memory.least in (0, order) if none else (order,):
            page = run.core(shmem.shmem_get_folio, MEMORY, first + asked, 0, PG_UPTODATE)
            if not memory.least:
                run.same("a page without memory", page, 0)
                run.same("pages in swap then", run.field("INODE", "swapped", MEMORY), nr)
        memory.least = run.top + 1
        left = [i for i in range(nr) if i != asked or not order]
        found = [run.core(page_cache.filemap_get_swap, MEMORY, first + i) for i in range(nr)]
        what = f"page {asked} of {nr}, for which there is no memory as one:"
        run.same(f"{what} slots", found, [slot + i if i in left else 0 for i in range(nr)])
        run.same(f"{what} order of others", order_of(run, first, left), [0] * len(left))
        run.same(f"{what} swap_map", run.cells("swap_map", slot, nr), [int(i in left) for i in range(nr)])
        run.same(f"{what} pages in swap", run.field("INODE", "swapped", MEMORY), len(left))
        cached = run.core(page_cache.filemap_get_page, MEMORY, first + asked)
        run.same(f"{what} the page", cached, page)
        run.same(f"{what} whether there is one", bool(page), bool(order))
        for i in range(nr):
            page = run.core(shmem.shmem_get_folio, MEMORY, first + i, 0, PG_UPTODATE)
            run.same(f"{what} then page {i} is of order", run.core(folio_order, page), 0)
            run.same(f"{what} its flags", run.field("PAGE", "flags", page) & wanted, wanted)
            run.core(page_cache.filemap_remove_folio, page, 0)
        run.same(f"{what} pages beside", [shared(run, i) for i in (first - 1, first + nr)], beside)
        run.core(truncate.truncate_whole_folios, MEMORY, 0, 2 * PAGES)
        run.same(f"{what} slots in use", int(run.machine.mach.swap_used), 0)


def told(run: Run) -> None:
    """The architecture is told of each slot whose page comes back, and that is free, whichever page is asked for."""
    run.machine.feature.shmem_large_swap = 1
    run.machine.cfg.content, content, held = 1, run.machine.memory.arrays["content"], [7, 8, 9, 10]
    names = "arch_swap_restore", "arch_swap_invalidate_page"
    heard: dict[str, list[tuple[int, ...]]] = {name: [] for name in names}
    for name in names:
        run.machine.cells[name]["target"] = hearing(heard[name])
    for asked in range(4):
        folio = run.core(shmem.shmem_get_folio, MEMORY, FIRST, 1 << 2, PG_UPTODATE)
        slot = run.core(swapfile.get_swap_pages, 2)
        content[folio : folio + 4] = held
        run.core(shmem.shmem_writeout, folio, slot)
        content[:] = 0
        page = run.core(shmem.shmem_get_folio, MEMORY, FIRST + asked, 0, PG_UPTODATE)
        free = [(0, slot + i) for i in range(4)]
        run.same(f"what the folio of page {asked} holds", run.cells("content", page - asked, 4), held)
        run.same("pages in swap", run.field("INODE", "swapped", MEMORY), 0)
        run.same(f"{names[0]} for page {asked} of 4", heard[names[0]], [(slot, page - asked)])
        run.same(f"{names[1]} for page {asked} of 4", heard[names[1]], free)
        run.core(page_cache.filemap_remove_folio, page - asked, 0)
        heard[names[1]].clear()
        large = run.core(folio_alloc, 2)
        run.core(swap_state.add_to_swap_cache, large, slot)
        run.machine.mach.swap_used = 4
        run.core(swap_state.delete_from_swap_cache, large)
        run.same("the swap cache", run.cells("swap_cache", slot, 4), [0] * 4)
        run.same(f"{names[1]} of a folio that leaves the swap cache", heard[names[1]], free)
        run.core(folio_put, large)
        for name in names:
            heard[name].clear()


def hearing(calls: list[tuple[int, ...]]) -> Callable[..., int]:
    """A hook that keeps what it is called with."""

    def called(*arguments: int) -> int:
        calls.append(arguments)
        return 0

    return called


def shared(run: Run, index: int) -> int:
    """A page of shared memory, made if need be."""
    return int(run.core(shmem.shmem_get_folio, MEMORY, index, 0, PG_UPTODATE))


def order_of(run: Run, first: int, pages: list[int]) -> list[int]:
    """Of folios that were swapped out."""
    return [int(run.core(page_cache.swapped_order, MEMORY, first + i)) for i in pages]


def faults(run: Run) -> None:
    """A fault on a file for which there is no page says so, and has none."""
    memory = Short(run)
    memory.least = 0
    for file, fault in ((MEMORY, shmem.shmem_fault), (DISK, filemap.filemap_fault)):
        at = AT + file * (1 << 30)
        run.made.do(OP_MMAP, 1, at, 8 * run.made.page, 3, MAP_SHARED | MAP_FIXED, file - 1, 0)
        vma = run.core(vma_tree.find_vma, 2, at)
        arguments = (vma, at, 0) if file == MEMORY else (vma, 0, 1)
        run.same(f"a fault on file {file}", tuple(run.core(fault, *arguments)), (0, VM_FAULT_OOM))
        run.same("a write to it", run.core(file_ops.pwrite, file, 0, 8 * run.made.page, 0), -ENOMEM)
        run.same("pages of it", run.field("INODE", "nrpages", file), 0)


def kept_on(run: Run) -> None:
    """swapoff that cannot bring everything in leaves the area in use, and what did not come back in it."""
    made, size, nr, memory = run.made, run.made.page, 16, Short(run)
    for at, file in ((AT, -1), (AT + (1 << 30), MEMORY - 1)):
        kind = MAP_SHARED if file >= 0 else MAP_PRIVATE | MAP_ANONYMOUS
        made.do(OP_MMAP, 1, at, nr * size, 3, kind | MAP_FIXED, file, 0)
        made.do(OP_TOUCH, 1, at, nr, ACCESS_WRITE)
        made.do(OP_MADVISE, 1, at, nr * size, MADV_PAGEOUT)
        used, memory.least = made.get("swap_used"), 0
        run.same("swapoff() without memory", made.do(OP_SWAPOFF, 1), -ENOMEM)
        run.same("whether the area is given up", bool(made.get("swap_off")), False)
        run.same("slots in use", made.get("swap_used"), used)
        memory.least = run.top + 1
        in_order(made, run.where)
    swapped_off(run)


def referred_to(run: Run) -> None:
    """Entries come to refer to slots of a folio, those meant and all or none; while one does, its swap stays."""
    maps = run.machine.memory.arrays["swap_map"]
    for order in (0, 2, 3):
        nr, folio = 1 << order, run.core(folio_alloc, order)
        for first in range(nr):
            run.core(swap_state.add_to_swap_cache, folio, PLACE)
            for fails in (0, PLACE - 1, PLACE, PLACE + 1):
                run.machine.cfg.fail_dup_swap = fails
                found = run.core(swapfile.folio_dup_swap, folio, folio + first, nr - first)
                right = -ENOMEM if 0 < fails <= PLACE else 0
                run.same(f"folio_dup_swap() at slot {PLACE}, which fails from {fails} on", found, right)
                counts = [int(i >= first and not right) for i in range(-1, nr)]
                run.same("swap_map", maps[PLACE - 1 : PLACE + nr].tolist(), [0, *counts[1:]])
                maps[PLACE : PLACE + nr] = 0
            run.machine.cfg.fail_dup_swap = 0
            run.machine.mach.swap_used = nr
            maps[[PLACE - nr, PLACE - 1, PLACE + first, PLACE + nr]] = 1
            run.same("folio_free_swap() of one in use", run.core(swap_state.folio_free_swap, folio), 0)
            maps[PLACE + first] = 0
            run.same("folio_free_swap() of nobody's", run.core(swap_state.folio_free_swap, folio), 1)
            run.same("once more", run.core(swap_state.folio_free_swap, folio), 0)
            run.same("slots in use", int(run.machine.mach.swap_used), 0)
            run.same("whether it is dirty", run.field("PAGE", "flags", folio) & PG_DIRTY, PG_DIRTY)
            run.same("references", run.field("PAGE", "refcount", folio), 1)
            maps[[PLACE - nr, PLACE - 1, PLACE + nr]] = 0
        run.core(folio_put, folio)


def in_use(run: Run) -> None:
    """A large folio that somebody uses is neither split nor gets slots one by one; one of no file is not written."""
    flags = run.machine.memory.tables["PAGE"]["flags"]
    large = run.core(folio_alloc, 2)
    flags[large] |= PG_ANON | PG_SWAPBACKED
    run.core(folio_get, large)
    run.machine.mach.swap_off = 1
    run.same("slots of a folio in use", tuple(run.core(reclaim.folio_alloc_swap, large, 7)), (0, 7))
    run.same("its order", run.core(folio_order, large), 2)
    run.same("split_folio()", run.core(folio_split.split_folio, large) < 0, True)
    run.machine.mach.swap_off = 0
    run.core(folio_put_refs, large, 2)
    lost = run.core(folio_alloc, 0)
    flags[lost] |= PG_SWAPBACKED
    run.same("pageout() of what a file has lost", tuple(run.core(reclaim.pageout, lost, 3)), (0, 3))
    run.same("split_folio() of a page", run.core(folio_split.split_folio, lost), 0)
    run.core(folio_put, lost)


def listed(run: Run) -> None:
    """A folio is on a list once its batch is drained, until it is taken off; then it cannot be taken off again."""
    run.core(lru.lru_add_drain)
    small, large = run.core(folio_alloc, 0), run.core(folio_alloc, 2)
    for folio, waits in ((small, True), (large, False)):
        run.same("a new folio is on a list", run.core(lru.folio_test_lru, folio), 0)
        run.core(lru.folio_add_lru, folio)
        run.same("one that was just added is", run.core(lru.folio_test_lru, folio), int(not waits))
        run.same("one that waits is isolated", run.core(reclaim.folio_isolate_lru, folio), int(not waits))
        run.core(lru.lru_add_drain)
        run.same("one that was drained is", run.core(lru.folio_test_lru, folio), int(waits))
        run.same("it is isolated", run.core(reclaim.folio_isolate_lru, folio), int(waits))
        run.same("one that is isolated is", run.core(lru.folio_test_lru, folio), 0)
        run.same("its references", run.field("PAGE", "refcount", folio), 2)
    run.same("folios that are isolated", run.cells("isolated", 0, 2), [small, large])
    run.same("their number", int(run.machine.mach.nr_isolated), 2)


def allowed(run: Run) -> None:
    """Anonymous folios of orders 0 and 1 are never asked for; what a mapping says decides on the others."""
    run.made.do(OP_MMAP, 1, AT, run.made.page, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
    vma, cfg = run.core(vma_tree.find_vma, 2, AT), run.machine.cfg
    told = run.machine.memory.tables["VMA"]["vm_flags"]
    kept = int(told[vma])
    masks = (0, 0b1, 0b10, 0b11, 0b110, 0b11100, 0b11111, 2 << run.top)
    for flags, cfg.anon_always, cfg.anon_orders, orders in product(
        (0, VM_HUGEPAGE, VM_NOHUGEPAGE), masks, masks, masks
    ):
        told[vma] = kept | flags
        right = cfg.anon_always | (cfg.anon_orders if flags == VM_HUGEPAGE else 0)
        right = orders & right & ~0b11 if flags != VM_NOHUGEPAGE else 0
        what = f"orders {orders:#b} of {cfg.anon_always:#b}, {cfg.anon_orders:#b} if advised, {flags:#x}"
        run.same(what, run.core(thp.thp_vma_allowable_orders, vma, orders), right)
    told[vma] = kept
