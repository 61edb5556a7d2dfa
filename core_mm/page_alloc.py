"""The buddy allocator over `PAGE` rows (mm/page_alloc.c, Linux 6.12); a row is a page frame number.

Memory beyond `mach.frontier` was never handed out and has never been touched, so
that a machine of millions of frames costs only what it uses.
"""

from __future__ import annotations

from core_mm.decl import cold
from core_mm.fault_inject import should_fail
from core_mm.mm_types import PAGE, PG_BUDDY, PG_LARGE, PG_ORDER_SHIFT, PG_RESERVED, cfg, content, free_area, mach
from core_mm.vmstat import LOG_FOLIO, LOG_FREE, W_DOUBLE_FREE, WARN, note

UNINITIALISED = -1
PCP_ORDER = 5  # what an empty list of single frames takes at once
PCP_HIGH = 1024  # at least; they may keep a quarter of memory
PCP_BATCH = 512
ON_PCP = PG_BUDDY | 31 << PG_ORDER_SHIFT  # no order has this mark, so that no buddy merges with it


def max_page_order() -> int:
    """MAX_PAGE_ORDER: 10 at 4K pages, 11 at 16K, 13 at 64K."""
    return max(cfg.pmd_order, 10)


def free_area_init() -> int:
    """Give the allocator its memory, and the machine its zero page."""
    end = cfg.memory_pages + 1
    mach.frontier = 1 << max_page_order()
    mach.free_pages = cfg.memory_pages
    hand_out(1, min(mach.frontier, end))
    mach.zero_page = alloc_pages(0)
    PAGE.flags[mach.zero_page] |= PG_RESERVED
    return 0


def free_range(start: int, end: int) -> int:
    """Put the frames [start, end) on the free lists, in the largest aligned blocks."""
    while start < end:
        order = 0
        while order < max_page_order() and start & (1 << order) == 0 and start + (2 << order) <= end:
            order += 1
        add_to_free_list(start, order)
        start += 1 << order
    return 0


def advance_frontier() -> int:
    """Make the next never-used block available; returns 0 when there is none."""
    start = mach.frontier
    end = cfg.memory_pages + 1
    if start >= end:
        return 0
    mach.frontier = start + (1 << max_page_order())
    hand_out(start, min(mach.frontier, end))
    return 1


def hand_out(start: int, end: int) -> int:
    """Free the never-used frames [start, end); fragmented memory has lost one in some of its huge-page blocks."""
    if not cfg.fragmentation:
        return free_range(start, end)
    size = 1 << cfg.pmd_order
    while start < end:
        after = min((start + size) & -size, end)
        if draw() % 100 < cfg.fragmentation:
            taken = start + draw() % (after - start)
            PAGE.flags[taken] = PG_RESERVED
            PAGE.refcount[taken] = 1
            PAGE.head[taken] = taken
            mach.free_pages -= 1
            free_range(start, taken)
            start = taken + 1
        free_range(start, after)
        start = after
    return 0


def draw() -> int:
    """The next pseudo-random number that the seed gives, 0 … 32767 (C's own example generator)."""
    mach.seed = (mach.seed * 1103515245 + 12345) & 0x7FFFFFFF
    return mach.seed >> 16


def add_to_free_list(pfn: int, order: int) -> int:
    """Make a block the first of its list."""
    first = free_area[order]
    PAGE.flags[pfn] = PG_BUDDY | order << PG_ORDER_SHIFT
    PAGE.head[pfn] = first
    PAGE.mapping[pfn] = 0
    if first:
        PAGE.mapping[first] = pfn
    free_area[order] = pfn
    return 0


def del_page_from_free_list(pfn: int, order: int) -> int:
    """Take a block off its list."""
    after = PAGE.head[pfn]
    before = PAGE.mapping[pfn]
    if before:
        PAGE.head[before] = after
    else:
        free_area[order] = after
    if after:
        PAGE.mapping[after] = before
    PAGE.flags[pfn] = 0
    return 0


def rmqueue(order: int) -> int:
    """A block of `order`, split off a larger one if need be; 0 when memory is out."""
    more = 1
    while more:
        for current in range(order, max_page_order() + 1):
            pfn = free_area[current]
            if pfn:
                del_page_from_free_list(pfn, current)
                expand(pfn, order, current)
                return pfn
        more = advance_frontier()
        if not more and mach.pcp_count:
            more = drain_pages(mach.pcp_count)
    return 0


def expand(pfn: int, low: int, high: int) -> int:
    """Return the upper halves of a block of order `high` until it is of order `low`."""
    while high > low:
        high -= 1
        add_to_free_list(pfn + (1 << high), high)
    return 0


def free_one_page(pfn: int, order: int) -> int:
    """Put a block back and merge it with its buddies."""
    top = max_page_order()
    while order < top:
        buddy = pfn ^ (1 << order)
        if buddy > cfg.memory_pages or PAGE.flags[buddy] != PG_BUDDY | order << PG_ORDER_SHIFT:
            break
        del_page_from_free_list(buddy, order)
        pfn = min(pfn, buddy)
        order += 1
    return add_to_free_list(pfn, order)


def rmqueue_pcplist() -> int:
    """A single frame; an empty list takes the smallest free block of up to 32 frames."""
    if not mach.pcp:
        refill_pcp()
    pfn = mach.pcp
    if pfn:
        mach.pcp = PAGE.head[pfn]
        mach.pcp_count -= 1
    return pfn


def refill_pcp() -> int:
    """Thread one block onto the list, lowest frame first."""
    order = 0
    while order < PCP_ORDER and not free_area[order]:
        order += 1
    start = rmqueue(order)
    while not start and order:
        order -= 1
        start = rmqueue(order)
    if not start:
        return 0
    for pfn in range(start + (1 << order) - 1, start - 1, -1):
        push_pcp(pfn)
    return 1


def push_pcp(pfn: int) -> int:
    """Put a frame on the list of single frames."""
    PAGE.flags[pfn] = ON_PCP
    PAGE.head[pfn] = mach.pcp
    mach.pcp = pfn
    mach.pcp_count += 1
    return 0


def drain_pages(nr: int) -> int:
    """Give `nr` single frames back to the buddy lists; returns `nr`."""
    for _ in range(nr):
        pfn = mach.pcp
        mach.pcp = PAGE.head[pfn]
        PAGE.flags[pfn] = 0
        free_one_page(pfn, 0)
    mach.pcp_count -= nr
    return nr


def alloc_pages(order: int) -> int:
    """A block of 1 << `order` frames with one reference, 0 when memory is out; a folio if order > 0."""
    if cfg.content:
        return alloc_watched(order)
    return get_page_from_freelist(order)


@cold
def alloc_watched(order: int) -> int:
    """The same where somebody looks: it may be told to fail, and nobody may see what a block held before."""
    pfn = 0 if should_fail() else get_page_from_freelist(order)
    for page in range(pfn, pfn + (1 << order) if pfn else 0):
        content[page] = UNINITIALISED
    return pfn


def get_page_from_freelist(order: int) -> int:
    """A block off the free lists, prepared."""
    pfn = rmqueue(order) if order else rmqueue_pcplist()
    if not pfn:
        return 0
    mach.free_pages -= 1 << order
    prep_page(pfn)
    if order:
        prep_compound_page(pfn, order)
    return pfn


def prep_page(pfn: int) -> int:
    """Initialise a frame that was just taken."""
    PAGE.flags[pfn] = 0
    PAGE.refcount[pfn] = 1
    PAGE.mapcount[pfn] = 0
    PAGE.anon_exclusive[pfn] = 0
    PAGE.written[pfn] = 0
    PAGE.head[pfn] = pfn
    PAGE.mapping[pfn] = 0
    PAGE.index[pfn] = 0
    PAGE.private[pfn] = 0
    return 0


def prep_compound_page(pfn: int, order: int) -> int:
    """Make a folio of a block: every tail points to the head."""
    PAGE.flags[pfn] = PG_LARGE | order << PG_ORDER_SHIFT
    if cfg.log_ptes:
        note(LOG_FOLIO, pfn, 1 << order, order, 0)
    for tail in range(pfn + 1, pfn + (1 << order)):
        PAGE.flags[tail] = 0
        PAGE.refcount[tail] = 0
        PAGE.mapcount[tail] = 0
        PAGE.anon_exclusive[tail] = 0
        PAGE.written[tail] = 0
        PAGE.head[tail] = pfn
        PAGE.mapping[tail] = 0
        PAGE.index[tail] = 0
        PAGE.private[tail] = 0
    return 0


def alloc_page_nowait() -> int:
    """A frame for the gather (GFP_NOWAIT), 0 when there is none or a fault is injected."""
    mach.nowait += 1
    if cfg.fail_nowait and mach.nowait >= cfg.fail_nowait:
        return 0
    return alloc_pages(0)


def free_pages(pfn: int, order: int) -> int:
    """Free 1 << `order` frames."""
    if PAGE.flags[pfn] & PG_BUDDY:
        return WARN(W_DOUBLE_FREE, pfn)
    mach.free_pages += 1 << order
    PAGE.refcount[pfn] = 0
    if cfg.log_ptes:
        note(LOG_FREE, pfn, 1 << order, 0, 0)
    if order:
        return free_one_page(pfn, order)
    push_pcp(pfn)
    if mach.pcp_count > max(PCP_HIGH, cfg.memory_pages >> 2):
        drain_pages(PCP_BATCH)
    return 0
