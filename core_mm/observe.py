"""All that core-mm can observe of a machine, as rows of `seen`: what two kernels that mean the same agree on.

Entries are read as core-mm reads them, through the architecture. A row starts with its kind; frames and swap slots (as
negative numbers) stand in columns of their own, so that whoever compares two machines can rename them.
"""

from __future__ import annotations

from core_mm.folio import (
    folio_entire_mapcount,
    folio_mapcount,
    folio_test_large,
    folio_test_swapcache,
    page_folio,
)
from core_mm.hookspecs import (
    pmd_leaf, pmd_pte, pte_advance_pfn, pte_dirty, pte_pfn, pte_present, pte_protnone, pte_special, pte_swp_exclusive,
    pte_to_swp_entry, pte_valid, pte_write, pte_young, ptep_get, table_slot,
)  # fmt: skip
from core_mm.mm_types import (
    INODE, MM, PAGE, TASK, VMA, cfg, i_pages, mach, ptes, seen, swap_cache, swap_map,
)  # fmt: skip
from core_mm.page_cache import filemap_get_page, filemap_get_swap, swapped_order

# kind, task or inode, page number, then of what is there: frame, entry without its frame, PTE_* bits, folio, the page's
# place in it, PG_* flags with the order, references, mapcount, exclusive, mapcounts of the folio by any entry and by
# PMDs, swap slot, references to it
WIDTH = 16
(
    KIND, OWNER, AT, FRAME, ENTRY, BITS, FOLIO, PLACE, FLAGS, REFERENCES, MAPCOUNT, EXCLUSIVE, FOLIO_MAPCOUNT,
    ENTIRE_MAPCOUNT, SLOT, SLOT_REFERENCES,
) = range(WIDTH)  # fmt: skip
SEEN_PTE, SEEN_PMD, SEEN_SWAP, SEEN_CACHED, SEEN_STORED, SEEN_VMA, SEEN_MM, SEEN_MACHINE = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
)
SEEN_VALID, SEEN_YOUNG, SEEN_DIRTY, SEEN_WRITE, SEEN_SPECIAL, SEEN_PROTNONE = 1, 2, 4, 8, 16, 32


def observe() -> int:
    """Rows of WIDTH; how many there are, even where there is no room for all."""
    mach.observed = 0
    for task in range(1, cfg.nr_tasks):
        if TASK.mm[task]:
            observe_task(task)
    for inode in range(1, mach.next_inode):
        for index in range(INODE.pages[inode]):
            if i_pages[INODE.first[inode] + index]:
                observe_cached(inode, index)
    at = new_row(SEEN_MACHINE, 0, 0)
    if at:
        seen[at + ENTRY] = cfg.memory_pages - mach.free_pages - mach.tables
        seen[at + BITS] = mach.warned
        seen[at + FLAGS] = mach.swap_used
    return mach.observed


def new_row(kind: int, owner: int, at: int) -> int:
    """Where in `seen` the next row is, with nothing but its name; 0 if there is no room."""
    mach.observed += 1
    first = mach.observed * WIDTH
    if first + WIDTH > cfg.seen_capacity:
        return 0
    for column in range(WIDTH):
        seen[first + column] = 0
    seen[first + KIND] = kind
    seen[first + OWNER] = owner
    seen[first + AT] = at
    return first


def observe_task(task: int) -> int:
    """Its address space, which is another task's too where threads and vfork are."""
    mm = TASK.mm[task]
    first = 1
    while TASK.mm[first] != mm:
        first += 1
    if first == task:
        observe_vmas(task, mm)
        observe_table(task, MM.pgd[mm], cfg.levels - 1, 0)
    at = new_row(SEEN_MM, task, first)
    if at:
        seen[at + ENTRY] = MM.rss_file[mm]
        seen[at + BITS] = MM.rss_anon[mm]
        seen[at + PLACE] = MM.rss_swap[mm]
        seen[at + FLAGS] = MM.rss_shmem[mm]
        seen[at + REFERENCES] = MM.map_count[mm]
    return 0


def observe_vmas(task: int, mm: int) -> int:
    """What is mapped where."""
    vma = MM.mmap[mm]
    while vma:
        at = new_row(SEEN_VMA, task, VMA.vm_start[vma] >> cfg.page_shift)
        if at:
            seen[at + ENTRY] = VMA.vm_end[vma] >> cfg.page_shift
            seen[at + BITS] = VMA.vm_flags[vma]
            seen[at + PLACE] = VMA.vm_pgoff[vma]
            seen[at + FLAGS] = VMA.vm_file[vma]
        vma = VMA.vm_next[vma]
    return 0


def observe_table(task: int, slot: int, level: int, base: int) -> int:
    """What the entries of one table say, and of the tables that they point to."""
    first = slot * cfg.ptrs_per_pte
    for index in range(cfg.ptrs_per_pte):
        raw = ptes[first + index]
        if raw:
            page = base + (index << (level * cfg.pte_bits))
            if level == 0:
                observe_entry(task, page, ptep_get(first + index), SEEN_PTE)
            elif level == 1 and pmd_leaf(raw):
                observe_entry(task, page, pmd_pte(raw), SEEN_PMD)
            else:
                observe_table(task, table_slot(raw), level - 1, page)
    return 0


def observe_entry(task: int, page: int, pte: int, kind: int) -> int:
    """A page that is mapped, or one in swap."""
    if not pte_present(pte):
        return observe_swapped(task, page, pte)
    at = new_row(kind, task, page)
    if at:
        pfn = pte_pfn(pte)
        seen[at + FRAME] = pfn
        seen[at + ENTRY] = pte_advance_pfn(pte, -pfn)
        seen[at + BITS] = pte_bits(pte)
        if not pte_special(pte):
            observe_page(at, pfn)
    return 0


def pte_bits(pte: int) -> int:
    """SEEN_* of an entry."""
    bits = 0
    if pte_valid(pte):
        bits |= SEEN_VALID
    if pte_young(pte):
        bits |= SEEN_YOUNG
    if pte_dirty(pte):
        bits |= SEEN_DIRTY
    if pte_write(pte):
        bits |= SEEN_WRITE
    if pte_special(pte):
        bits |= SEEN_SPECIAL
    if pte_protnone(pte):
        bits |= SEEN_PROTNONE
    return bits


def observe_page(at: int, pfn: int) -> int:
    """What struct page and its folio say, in the row at `at`."""
    folio = page_folio(pfn)
    seen[at + FOLIO] = folio
    seen[at + PLACE] = pfn - folio
    seen[at + FLAGS] = PAGE.flags[folio]
    seen[at + REFERENCES] = PAGE.refcount[folio]
    seen[at + MAPCOUNT] = PAGE.mapcount[pfn]
    seen[at + EXCLUSIVE] = PAGE.anon_exclusive[pfn]
    if folio_test_large(folio):
        seen[at + FOLIO_MAPCOUNT] = folio_mapcount(folio)
        seen[at + ENTIRE_MAPCOUNT] = folio_entire_mapcount(folio)
    if folio_test_swapcache(folio):
        slot = PAGE.private[folio] + pfn - folio
        seen[at + SLOT] = -slot
        seen[at + SLOT_REFERENCES] = swap_map[slot]
    return 0


def observe_swapped(task: int, page: int, pte: int) -> int:
    """A swap entry, with the page that is cached for it."""
    at = new_row(SEEN_SWAP, task, page)
    if at:
        slot = pte_to_swp_entry(pte)
        seen[at + BITS] = pte_swp_exclusive(pte)
        observe_slot(at, slot)
    return 0


def observe_slot(at: int, slot: int) -> int:
    """A swap slot, or the number that stands for none."""
    seen[at + SLOT] = -slot
    if slot < cfg.swap_slots:
        seen[at + SLOT_REFERENCES] = swap_map[slot]
        if swap_cache[slot]:
            seen[at + FRAME] = swap_cache[slot]
            observe_page(at, swap_cache[slot])
    return 0


def observe_cached(inode: int, index: int) -> int:
    """A page of a file, or of shared memory that may be in swap."""
    page = filemap_get_page(inode, index)
    at = new_row(SEEN_CACHED if page else SEEN_STORED, inode, index)
    if at and page:
        seen[at + FRAME] = page
        observe_page(at, page)
    elif at:
        seen[at + ENTRY] = swapped_order(inode, index)
        observe_slot(at, filemap_get_swap(inode, index))
    return 0
