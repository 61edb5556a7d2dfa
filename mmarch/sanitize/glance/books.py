"""What is counted in one place and held in another: tables, address spaces, swap, the page cache; nothing under way."""

from __future__ import annotations

from core_mm.mm_types import (
    ANON_VMA, BATCH, INODE, MM, PAGE, PG_ANON, PG_SWAPCACHE, PTDESC, TASK, cfg, i_pages, mach, ptes, swap_cache,
    swap_map,
)  # fmt: skip
from core_mm.page_cache import SWAP_ORDER
from mmarch.sanitize.glance.doubts import CACHE, EMPTY, IDLE, RESERVE, RMAP, RSS, SLOTS, TREE, USERS, doubt
from mmarch.sanitize.glance.entries import use_table
from mmarch.sanitize.glance.scratch import CHAIN, FRAME, KNOWN, SLOT, SPACE, glance


def see_idle() -> int:
    """No operation is under way: no warning, section, isolated folio, deferred flush, gather."""
    left = (
        mach.warned | mach.lazy_enabled | mach.lazy_paused | mach.nr_isolated | mach.reclaimed | mach.tlb_ubc
    )
    if left or mach.next_gather != 1:
        return doubt(IDLE)
    for mm in range(mach.next_mm):
        if MM.tlb_flush_pending[mm]:
            return doubt(IDLE)
    batch = mach.free_batches
    for _ in range(1, mach.next_batch):
        if batch <= 0 or batch >= mach.next_batch:
            return doubt(IDLE)
        batch = BATCH.next[batch]
    return doubt(IDLE) if batch else 0


# -- page tables ----------------------------------------------------------------------


def see_reserve(mm: int) -> int:
    """A table waits for each PMD leaf of anonymous memory."""
    slot = MM.deposit[mm]
    for _ in range(glance.reserve):
        if not see_unused(slot):
            return 0
        use_table(mm, slot, 0)
        slot = PTDESC.next[slot]
    return doubt(RESERVE) if slot else 0


def see_unused(slot: int) -> int:
    """Whether a table that hangs nowhere is known in no other place, and empty."""
    if slot <= 0 or slot >= mach.next_table or KNOWN.times[slot]:
        return doubt(TREE)
    some = 0
    for entry in range(slot << cfg.pte_bits, slot + 1 << cfg.pte_bits):
        some |= ptes[entry]
    if some:
        return doubt(EMPTY)
    return 1


def see_tables() -> int:
    """Those that nobody uses are free, and the others counted."""
    slot = mach.free_tables
    for _ in range(mach.next_table - 1 - glance.in_use):
        if not see_unused(slot):
            return 0
        KNOWN.times[slot] += 1
        slot = PTDESC.next[slot]
    return doubt(TREE) if slot or mach.tables != glance.in_use else 0


# -- address spaces -------------------------------------------------------------------


def see_counts() -> int:
    """What address spaces say that they have, and how many tasks use them."""
    for task in range(1, cfg.nr_tasks):
        if TASK.mm[task] > 0:
            SPACE.tasks[TASK.mm[task]] += 1
    for mm in range(2, mach.next_mm):
        if MM.mm_users[mm] != SPACE.tasks[mm]:
            doubt(USERS)
        if MM.mm_users[mm]:
            see_rss(mm)
    return 0


def see_rss(mm: int) -> int:
    """Resident pages by kind, and page-table pages."""
    wrong = MM.rss_file[mm] - SPACE.rss_file[mm] | MM.rss_anon[mm] - SPACE.rss_anon[mm]
    wrong |= MM.rss_shmem[mm] - SPACE.rss_shmem[mm] | MM.rss_swap[mm] - SPACE.rss_swap[mm]
    wrong |= MM.pgtables[mm] - SPACE.tables[mm]
    return doubt(RSS) if wrong else 0


# -- the page cache and swap ----------------------------------------------------------


def see_files() -> int:
    """All cached pages belong to an inode, which counts them."""
    for inode in range(1, mach.next_inode):
        see_file(inode)
    held = 0
    for place in range(mach.next_file_page):
        held += i_pages[place] != 0
    return 0 if held == glance.entered else doubt(CACHE)


def see_file(inode: int) -> int:
    """Pages of one file, in memory and in swap."""
    cached = swapped = 0
    first = INODE.first[inode]
    for index in range(INODE.pages[inode]):
        value = i_pages[first + index]
        if value > 0:
            cached += 1
            see_cached(inode, index, value)
        elif value < 0:
            swapped += 1
            see_stored(-value & (1 << SWAP_ORDER) - 1)
    glance.entered += cached + swapped
    return 0 if cached == INODE.nrpages[inode] and swapped == INODE.swapped[inode] else doubt(CACHE)


def see_cached(inode: int, index: int, frame: int) -> int:
    """A page in memory."""
    head = PAGE.head[frame] if frame < glance.frames else 0
    if head <= 0 or head >= glance.frames:
        return doubt(CACHE)
    FRAME.cached[frame] = 1
    right = PAGE.mapping[head] == inode and PAGE.index[head] + frame - head == index
    return 0 if right and not PAGE.flags[head] & PG_ANON and PAGE.refcount[head] > 0 else doubt(CACHE)


def see_stored(slot: int) -> int:
    """A page of shared memory in swap."""
    if slot > cfg.swap_slots:
        return doubt(SLOTS)
    SLOT.references[slot] += 1
    return 0


def see_chains() -> int:
    """anon_vmas count what hangs in the chains of VMAs."""
    for one in range(1, mach.next_anon_vma):
        pairs = CHAIN.pairs[one]
        used = ANON_VMA.refcount[one] or pairs
        if used and (ANON_VMA.refcount[one] != pairs or ANON_VMA.num_active_vmas[one] != CHAIN.own[one]):
            return doubt(RMAP)
    return 0


def see_swap() -> int:
    """Slots are referred to as often as they say, and used ones counted; what is cached knows its slot."""
    used = 0
    wrong = 0
    for slot in range(cfg.swap_slots + 2):
        references = SLOT.references[slot]
        wrong |= swap_map[slot] - references
        wrong |= SLOT.exclusive[slot] and references > 1
        if swap_map[slot] | swap_cache[slot]:
            used += 1
            if swap_cache[slot]:
                see_swap_cached(slot, swap_cache[slot])
    return doubt(SLOTS) if wrong or used != mach.swap_used else 0


def see_swap_cached(slot: int, frame: int) -> int:
    """A slot whose page is in memory too."""
    head = PAGE.head[frame] if 0 < frame < glance.frames else 0
    if head <= 0 or head >= glance.frames:
        return doubt(SLOTS)
    known = PAGE.flags[head] & PG_SWAPCACHE and PAGE.private[head] + frame - head == slot
    return 0 if known else doubt(SLOTS)
