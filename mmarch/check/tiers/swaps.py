"""Tier stateful: swap by hand: shared memory there and back, neighbours that come along, swapoff; sizes of folios."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from core_mm import (
    file_ops,
    filemap,
    folio_split,
    page_cache,
    pgtable,
    readahead,
    shmem,
    swap_state,
    swapfile,
    vma_tree,
)
from core_mm.folio import folio_alloc, folio_order
from core_mm.memory import access, swap_fault
from core_mm.mm_types import EINVAL, PG_ANON, PG_DIRTY, PG_SWAPBACKED, PG_UPTODATE
from core_mm.page_alloc import alloc_pages
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    FILE_REGULAR,
    FILE_SHMEM,
    MADV_PAGEOUT,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    OP_FORK,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_SWAPOFF,
    OP_TOUCH,
)
from core_mm.vm_fault import VM_FAULT_SIGBUS
from core_mm.vmstat import SWAP_IN, SWAP_OUT
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, in_order, system
from mmarch.engine.direct import DirectMachine

AT, PAGES, SLOTS = 1 << 34, 256, 4096
MEMORY, DISK, LAST = 1, 2, 3  # rows of files
FILES = (MEMORY, LAST)
ORDERS = (0, 1, 2, 3, 4)
NODE = 64  # slots of a node of an XArray
RANDOM = 60


@check(
    "stateful.swap",
    source="mm/shmem.c, mm/swapfile.c:try_to_unuse; mm/memory.c:do_swap_page; mm/filemap.c",
    turns=True,
)
def swap(context: Context) -> None:
    """What goes to swap comes back whole, valid and dirty, and swapoff leaves nothing; folios are as large as fits."""
    for step in (
        shared_memory,
        refused,
        made,
        sizes,
        neighbours,
        blocks,
        misses,
        cached_split,
        beyond,
        given_up,
        read_only,
    ):
        step(Run(context))


class Run:
    """A machine with a swap area, a file on a disk and two of shared memory."""

    def __init__(self, context: Context) -> None:
        shift = context.geometry.page_shift
        files = tuple((kind, PAGES << shift) for kind in (FILE_SHMEM, FILE_REGULAR, FILE_SHMEM))
        changes = {"swap_bytes": SLOTS << shift, "overrides": {"log_ptes": 0}, "log_rows": 0}
        self.made: System = system(context, files=files, judged=False, changes=changes)
        assert isinstance(self.made.machine, DirectMachine)
        self.machine, self.rng, self.where = self.made.machine, context.rng("swap"), context.where
        self.top = context.geometry.pte_bits

    def core(self, function: Any, *arguments: int) -> Any:
        """Call one of core-mm's."""
        return self.machine.bound(function)(*arguments)

    def cells(self, name: str, first: int, nr: int = 1) -> list[int]:
        """Of an array of the machine."""
        return [int(cell) for cell in self.machine.memory.arrays[name][first : first + nr]]

    def field(self, table: str, name: str, row: int) -> int:
        """Of a row."""
        return int(self.machine.memory.tables[table][name][row])

    def same(self, what: str, found: object, right: object) -> None:
        """CheckFailed if not."""
        if found != right:
            raise CheckFailed(f"{what}: {found}; right is {right}{self.where}", self.made.steps())


# -- shared memory ---------------------------------------------------------------------


def shared_memory(run: Run) -> None:
    """Folios of each order go out and come back, asked for by any of their pages."""
    for whole in (True, False):
        run.machine.feature.shmem_large_swap = int(whole)
        for order in ORDERS:
            there_and_back(run, order, whole)


def there_and_back(run: Run, order: int, whole: bool) -> None:
    """One folio; `whole` if it comes back as one."""
    first, nr = 1 << 5, 1 << order
    page = run.core(shmem.shmem_get_folio, MEMORY, first + nr - 1, 1 << order if order else 0, PG_UPTODATE)
    folio = page - nr + 1
    run.same("the folio's order", run.core(folio_order, folio), order)
    run.same("where it begins", run.field("PAGE", "index", folio), first)
    slot, free = run.core(swapfile.get_swap_pages, order), int(run.machine.mach.free_pages)
    told = run.made.count(SWAP_OUT)
    run.same("shmem_writeout()", run.core(shmem.shmem_writeout, folio, slot), 1)
    run.same("folios written to swap", run.made.count(SWAP_OUT) - told, 1)
    run.same("swap_map", run.cells("swap_map", slot, nr), [1] * nr)
    run.same("the swap cache", run.cells("swap_cache", slot, nr), [0] * nr)
    run.same("frames that are free", int(run.machine.mach.free_pages), free + nr)
    run.same("pages in swap", run.field("INODE", "swapped", MEMORY), nr)
    for i in run.rng.sample(range(nr), nr):
        back(run, first, i, slot, order if whole else 0)
    run.same("pages in swap", run.field("INODE", "swapped", MEMORY), 0)
    run.same("slots in use", int(run.machine.mach.swap_used), 0)
    run.core(page_cache.filemap_remove_folio, run.core(page_cache.filemap_get_page, MEMORY, first), 0)
    for i in range(1, 0 if whole else nr):
        run.core(page_cache.filemap_remove_folio, run.core(page_cache.filemap_get_page, MEMORY, first + i), 0)


def back(run: Run, first: int, i: int, slot: int, order: int) -> None:
    """One page is asked for; the others of its folio may be there since."""
    there = run.core(page_cache.filemap_get_page, MEMORY, first + i)
    told = run.made.count(SWAP_IN)
    page = run.core(shmem.shmem_get_folio, MEMORY, first + i, 0, PG_UPTODATE)
    run.same("reads", run.made.count(SWAP_IN) - told, 0 if there else 1)
    head = run.field("PAGE", "head", page)
    run.same("the page in the cache", page, run.core(page_cache.filemap_get_page, MEMORY, first + i))
    run.same("its order", run.core(folio_order, head), order)
    run.same("its place in the folio", page - head, i if order else 0)
    wanted = PG_UPTODATE | PG_SWAPBACKED | PG_DIRTY
    run.same("its flags", run.field("PAGE", "flags", head) & wanted, wanted)
    run.same("swap_map of its slot", run.cells("swap_map", slot + i), [0])


def refused(run: Run) -> None:
    """The architecture cannot keep what it must: the folio stays, and its slots are free."""
    hook = run.machine.cells["arch_prepare_to_swap"]
    kept, hook["target"] = hook["target"], lambda folio: -EINVAL
    for order in ORDERS:
        first, nr = 32 * order, 1 << order
        folio = run.core(shmem.shmem_get_folio, MEMORY, first, nr if order else 0, PG_UPTODATE)
        slot = run.core(swapfile.get_swap_pages, order)
        run.same("shmem_writeout()", run.core(shmem.shmem_writeout, folio, slot), 0)
        run.same("slots in use", int(run.machine.mach.swap_used), 0)
        run.same("the page in the cache", run.core(page_cache.filemap_get_page, MEMORY, first), folio)
        run.same("its place in swap", run.field("PAGE", "private", folio), 0)
    hook["target"] = kept


def made(run: Run) -> None:
    """A new folio is the largest of those allowed where nothing else is, and not valid unless it was asked for."""
    run.core(shmem.shmem_get_folio, MEMORY, 72, 0, PG_UPTODATE)
    for index, order in ((77, 2), (64, 3), (73, 0), (95, 4), (100, 0)):
        there = run.core(page_cache.filemap_get_page, MEMORY, index)
        page = run.core(shmem.shmem_get_folio, MEMORY, index, 0b11100 if index != 100 else 0, 0)
        folio = run.field("PAGE", "head", page)
        run.same(f"a page at {index} before", there, 0)
        run.same(f"the order of the folio at {index}", run.core(folio_order, folio), order)
        run.same("where it begins", run.field("PAGE", "index", folio), index >> order << order)
        run.same("the page of it", page - folio, index % (1 << order))
        for asked in (0, PG_UPTODATE):
            run.same("whether it is valid", run.field("PAGE", "flags", folio) & PG_UPTODATE, asked)
            run.core(shmem.shmem_get_folio, MEMORY, index, 0, PG_UPTODATE)


# -- sizes -----------------------------------------------------------------------------


def sizes(run: Run) -> None:
    """Folios of a write: no larger than what is written, aligned, and of a disk where nothing else is."""
    taken, run.machine.feature.ext4_large_folios = 40, 1
    run.core(readahead.ra_alloc_folio, DISK, taken, 0, -1)
    for index in range(0, 130):
        for pages in (1, 2, 3, 4, 7, 8, 16, 33, 64, 100):
            fits = [o for o in range(run.top + 1) if 1 << o <= pages and index % (1 << o) == 0]
            found = run.core(shmem.write_orders, index, pages)
            run.same(f"write_orders({index}, {pages})", found, sum(1 << o for o in range(max(fits) + 1)))
            alone = [o for o in fits if o == 0 or taken not in range(index, index + (1 << o))]
            found = run.core(file_ops.write_order, DISK, index, pages)
            run.same(f"write_order({DISK}, {index}, {pages})", found, max(alone))
    for index, pages in ((41, 1), (42, 2), (48, 16)):
        run.same(f"pages of one write at {index}", run.core(file_ops.write_folio, DISK, index, pages), pages)
        page = run.core(page_cache.filemap_get_page, DISK, index)
        run.same(
            "its flags", run.field("PAGE", "flags", page) & (PG_UPTODATE | PG_DIRTY), PG_UPTODATE | PG_DIRTY
        )
    run.same("pages of a write to the middle", run.core(file_ops.write_folio, DISK, 50, 3), 3)
    run.same("pages of a write beyond the folio", run.core(file_ops.write_folio, DISK, 50, 30), 14)

    for index, pages in ((192, 3), (200, 1), (208, 5)):
        size = run.made.page
        run.same("pwrite()", run.core(file_ops.pwrite, DISK, index * size, pages * size, 0), 0)
        there = [bool(run.core(page_cache.filemap_get_page, DISK, index + i)) for i in range(8)]
        run.same(f"pages of a write of {pages}", there, [i < pages for i in range(8)])


def misses(run: Run) -> None:
    """After a folio that fills a node, the first page that is not cached is the one behind it."""
    size = int(run.core(readahead.ra_pages))
    run.core(readahead.ra_alloc_folio, DISK, NODE, NODE.bit_length() - 1, -1)
    for index in range(NODE, 2 * NODE):
        right = 2 * NODE if index + size > 2 * NODE else 0
        run.same(f"next_miss() from {index} on", run.core(readahead.next_miss, DISK, index), right)


def beyond(run: Run) -> None:
    """A fault behind the end of a file has no page, and SIGBUS."""
    for file, fault in ((MEMORY, shmem.shmem_fault), (DISK, filemap.filemap_fault)):
        at = AT + file * (1 << 30)
        run.made.do(OP_MMAP, 1, at, 2 * PAGES * run.made.page, 3, MAP_SHARED | MAP_FIXED, file - 1, 0)
        vma = run.core(vma_tree.find_vma, 2, at)
        arguments = (vma, at + PAGES * run.made.page, PAGES) if file == MEMORY else (vma, PAGES, 0)
        run.same("a fault behind the end of a file", tuple(run.core(fault, *arguments)), (0, VM_FAULT_SIGBUS))


# -- neighbours ------------------------------------------------------------------------


def neighbours(run: Run) -> None:
    """Which folio a fault on a swap entry brings: as large as entries and slots are in step, and nothing cached."""
    hook, ptes, rng = run.machine.hooks, run.machine.memory.arrays["ptes"], run.rng
    cached = run.machine.memory.arrays["swap_cache"]
    nr, orders = 16, (2, 3, 4)
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
    run.made.do(OP_MMAP, 1, AT, 2 * nr * run.made.page, 3, flags, -1, 0)
    run.made.do(OP_TOUCH, 1, AT, 1, ACCESS_WRITE)
    run.machine.cfg.anon_orders = run.machine.cfg.anon_always = sum(1 << order for order in orders)
    vma = run.core(vma_tree.find_vma, 2, AT)
    table = run.core(pgtable.pte_offset_map, run.core(pgtable.pmd_off, 2, AT), AT)
    kept = ptes[table : table + nr].copy()
    for _ in range(RANDOM):
        entries, mark, busy = arrangement(rng, nr)
        for i, entry in enumerate(entries):
            pte = hook["swp_entry_to_pte"](entry)
            ptes[table + i] = hook["pte_swp_mkexclusive"](pte) if mark[i] else pte
        cached[busy] = 1 if busy else 0
        for at in range(nr):
            right = max((o for o in orders if in_step(entries, mark, busy, at, o)), default=0)
            address = AT + at * run.made.page
            found = run.core(
                swap_fault.swapin_order, vma, address, table + at, int(ptes[table + at]), entries[at]
            )
            run.same(f"the order of entry {at}, slots {entries}, cached {busy}", found, right)
        cached[busy] = 0
    for order in (0, *orders):
        cached_folio(run, vma, table, order)
    ptes[table : table + nr] = kept
    shared_slots(run)


def arrangement(rng: Random, nr: int) -> tuple[list[int], list[bool], int]:
    """Slots of entries in turn, perhaps with another one among them; their marks; a slot that is cached, or 0."""
    base = 512 + rng.choice((0, 0, 0, 4, 2, 1))
    entries = [base + i for i in range(nr)]
    if rng.random() < 0.5:
        entries[rng.randrange(nr)] = 900
    mark = [rng.random() < 0.5] * nr
    if rng.random() < 0.3:
        at = rng.randrange(nr)
        mark[at] = not mark[at]
    return entries, mark, 512 + rng.randrange(nr) if rng.random() < 0.3 else 0


def in_step(entries: list[int], mark: list[bool], busy: int, at: int, order: int) -> bool:
    """Whether the block of an entry is one run of slots, as aligned as it, of equal marks, and none is cached."""
    first = at >> order << order
    block = range(first, first + (1 << order))
    steps = all(entries[i] - entries[at] == i - at and mark[i] == mark[at] for i in block)
    return steps and entries[first] % (1 << order) == 0 and busy not in (entries[i] for i in block)


def shared_slots(run: Run) -> None:
    """Slots are shared unless each has one reference."""
    maps = run.machine.memory.arrays["swap_map"]
    for length in range(1, 9):
        for i in range(length):
            for count in (0, 1, 2):
                maps[512 : 512 + length] = 1
                maps[512 + i] = count
                said = bool(run.core(swap_fault.is_shared, 512, length))
                run.same(f"slots {maps[512 : 512 + length].tolist()} are shared", said, count != 1)
    maps[512:520] = 0


def cached_folio(run: Run, vma: int, table: int, order: int) -> None:
    """A folio of the swap cache is mapped whole if all of its entries are there, in turn, and alike."""
    hook, ptes = run.machine.hooks, run.machine.memory.arrays["ptes"]
    pages, base = 1 << order, 512
    folio = run.core(folio_alloc, order)
    for wrong in range(-1, pages):
        for first in (0, pages):
            for i in range(pages):
                ptes[table + first + i] = hook["swp_entry_to_pte"](base + (i if i != wrong else 300))
            for i in range(pages):
                if i == wrong:
                    continue
                ptep, address = table + first + i, AT + (first + i) * run.made.page
                found = run.core(swap_fault.whole_folio, vma, address, ptep, int(ptes[ptep]), folio + i)
                right = (i, pages) if wrong < 0 and order else (0, 1)
                run.same(f"pages before {i} and in all, of {pages}; {wrong} is another", tuple(found), right)
    if order:
        pte = hook["swp_entry_to_pte"](base + 1)
        found = run.core(swap_fault.whole_folio, vma, AT, table, pte, folio + 1)
        run.same("a folio that begins before its mapping", tuple(found), (0, 1))


def blocks(run: Run) -> None:
    """The frame of an entry, where each entry of a block holds the block's first, and where each holds its own."""
    nr = int(run.machine.cfg.cont_ptes)
    if nr < 2:
        return
    hook, ptes = run.machine.hooks, run.machine.memory.arrays["ptes"]
    table = len(ptes) - 2 * nr & -nr
    folio, prot = run.core(alloc_pages, nr.bit_length() - 1), hook["vm_get_page_prot"](3)
    kept = ptes[table : table + nr].copy()
    one = hook["pfn_pte"](folio, prot)
    for odd in range(-1, nr):
        ptes[table : table + nr] = one
        if odd >= 0:
            ptes[table + odd] = 0 if odd % 2 else hook["pfn_pte"](folio + nr - 1, prot)
        for i in range(nr):
            if i != odd:
                right = folio + i if odd < 0 else folio
                run.same(
                    f"the frame of entry {i}, {odd} differs", run.core(access.frame_at, table + i), right
                )
    ptes[table : table + nr] = [hook["pfn_pte"](folio + i, prot) for i in range(nr)]
    for i in range(nr):
        run.same(f"the frame of entry {i}", run.core(access.frame_at, table + i), folio + i)
    ptes[table : table + nr] = kept


def cached_split(run: Run) -> None:
    """A folio that has slots is split: each page has its own, and the swap cache its page."""
    for order in ORDERS[1:]:
        folio, nr = run.core(folio_alloc, order), 1 << order
        slot = run.core(swapfile.get_swap_pages, order)
        run.machine.memory.tables["PAGE"]["flags"][folio] |= PG_ANON | PG_SWAPBACKED
        run.core(swap_state.add_to_swap_cache, folio, slot)
        maps = run.machine.memory.arrays["swap_map"]
        maps[slot : slot + nr] = 1
        run.same("split_folio() of what is in swap", run.core(folio_split.split_folio, folio), 0)
        run.same("the swap cache", run.cells("swap_cache", slot, nr), [*range(folio, folio + nr)])
        for i in range(nr):
            found = [run.field("PAGE", name, folio + i) for name in ("head", "private", "refcount")]
            run.same(f"page {i} of {nr}: its folio, slot, references", found, [folio + i, slot + i, 1 + (i == 0)])
        maps[slot : slot + nr] = 0
        for i in range(nr):
            run.same("slots that nothing refers to go", run.core(swap_state.folio_free_swap, folio + i), 1)
        run.same("slots in use", int(run.machine.mach.swap_used), 0)


# -- swapoff ---------------------------------------------------------------------------


def given_up(run: Run) -> None:
    """Memory of two processes that share slots, and two files of shared memory: all of it comes back."""
    made, page, nr = run.made, run.made.page, 32
    size, places = nr * page, (AT, AT + (1 << 30), AT + (2 << 30))
    made.do(OP_MMAP, 1, AT, size, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
    for at, file in zip(places[1:], FILES, strict=True):
        made.do(OP_MMAP, 1, at, size, 3, MAP_SHARED | MAP_FIXED, file - 1, 0)
    for at in places:
        made.do(OP_TOUCH, 1, at, nr, ACCESS_WRITE)
        made.do(OP_MADVISE, 1, at, size, MADV_PAGEOUT)
    run.same("pages in swap", run.field("MM", "rss_swap", 2), nr)
    for file in FILES:
        run.same("pages of the file in swap", run.field("INODE", "swapped", file), nr)
    made.do(OP_FORK, 1, 2)
    made.do(OP_TOUCH, 2, AT, 3, ACCESS_WRITE)
    made.do(OP_TOUCH, 1, AT + 8 * page, 2, ACCESS_READ)
    made.do(OP_TOUCH, 1, places[1] + 5 * page, 1, ACCESS_READ)
    swapped_off(run)
    for mm in (2, 3):
        found = [run.field("MM", name, mm) for name in ("rss_anon", "rss_swap")]
        run.same("pages in memory and in swap", found, [nr, 0])
    run.same("swapoff() once more", made.do(OP_SWAPOFF, 1), -EINVAL)
    in_order(made, run.where)


def read_only(run: Run) -> None:
    """What is one process's alone can be written at once where its mapping lets it, to the page where that ends."""
    made, page, nr = run.made, run.made.page, 32
    made.do(OP_MMAP, 1, AT, nr * page, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
    made.do(OP_TOUCH, 1, AT, nr, ACCESS_WRITE)
    made.do(OP_MPROTECT, 1, AT + 8 * page, 16 * page, 1)
    made.do(OP_MADVISE, 1, AT, nr * page, MADV_PAGEOUT)
    swapped_off(run)
    table = run.core(pgtable.pte_offset_map, run.core(pgtable.pmd_off, 2, AT), AT)
    hook = run.machine.hooks
    found = [i for i in range(nr) if hook["pte_write"](hook["ptep_get"](table + i))]
    run.same("pages that can be written", found, [*range(8), *range(24, nr)])


def swapped_off(run: Run) -> None:
    """Nothing refers to a slot afterwards."""
    run.same("swapoff()", run.made.do(OP_SWAPOFF, 1), 0)
    for name in ("swap_map", "swap_cache"):
        run.same(f"slots of {name}", np.flatnonzero(run.machine.memory.arrays[name]).tolist(), [])
    run.same("slots in use", int(run.machine.mach.swap_used), 0)
    for file in FILES:
        run.same("pages of the file in swap", run.field("INODE", "swapped", file), 0)
