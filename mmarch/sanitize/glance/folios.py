"""A walk over all frames: each is free or in use once, and accounted for."""

from __future__ import annotations

from core_mm.mm_types import (
    PAGE, PG_ANON, PG_BUDDY, PG_LARGE, PG_ORDER_SHIFT, PG_RESERVED, PG_SWAPCACHE, PG_TABLE, cfg, mach, swap_cache,
    swap_map,
)  # fmt: skip
from core_mm.page_alloc import ON_PCP
from mmarch.sanitize.glance.doubts import (
    DESCRIBED, EXCLUSIVE, FRAMES, MAPCOUNT, OWNERS, REFERENCES, SLOTS, doubt,
)  # fmt: skip
from mmarch.sanitize.glance.scratch import FRAME, glance


def walk_frames() -> int:
    """From the first to the last that was ever handed out."""
    free = cfg.memory_pages + 1 - glance.frames
    frame = 1
    while frame < glance.frames:
        flags = PAGE.flags[frame]
        if flags & PG_BUDDY:
            pages = 1 if flags == ON_PCP else 1 << min(flags >> PG_ORDER_SHIFT, 20)
            pages = min(pages, glance.frames - frame)
            see_free(frame, pages)
            free += pages
        elif PAGE.head[frame] == frame and PAGE.refcount[frame]:
            pages = 1 << min(flags >> PG_ORDER_SHIFT, 20) if flags & PG_LARGE else 1
            if pages > glance.frames - frame:
                return doubt(FRAMES)
            see_folio(frame, pages, flags)
        else:
            return doubt(FRAMES)
        frame += pages
    return 0 if free == mach.free_pages else doubt(FRAMES)


def see_free(first: int, pages: int) -> int:
    """A free block: nothing of it is in use, mapped, or the beginning of another."""
    wrong = 0
    for frame in range(first, first + pages):
        wrong |= FRAME.mapped[frame] | FRAME.huge[frame] | PAGE.mapcount[frame]
        wrong |= PAGE.head[frame] == frame and PAGE.refcount[frame] and not PAGE.flags[frame] & PG_BUDDY
        wrong |= PAGE.flags[frame] & (PG_BUDDY | PG_TABLE) if frame > first else 0
    return doubt(FRAMES) if wrong else 0


def see_folio(folio: int, pages: int, flags: int) -> int:
    """Mapcounts, references, exclusive pages, owners."""
    mappings = FRAME.mapped[folio] + FRAME.huge[folio]
    if PAGE.mapcount[folio] != FRAME.mapped[folio]:
        doubt(MAPCOUNT)
    if (flags & PG_TABLE != 0) != FRAME.table[folio]:
        doubt(DESCRIBED)
    if PAGE.anon_exclusive[folio]:
        see_exclusive(folio, folio, flags)
    if pages > 1:
        mappings += see_tails(folio, pages, flags)
        see_large(folio, pages, flags, mappings)
    if flags & PG_SWAPCACHE:
        see_swapcache(folio, pages)
    kept = flags & (PG_RESERVED | PG_TABLE) or folio == mach.huge_zero_page
    cached = FRAME.cached[folio] or flags & PG_SWAPCACHE
    if PAGE.refcount[folio] != mappings + (pages if cached else 0) + (1 if kept else 0):
        doubt(REFERENCES)
    return 0


def see_tails(folio: int, pages: int, flags: int) -> int:
    """Pages behind the first of a folio; entries that map them."""
    mappings = 0
    for frame in range(folio + 1, folio + pages):
        mappings += FRAME.mapped[frame]
        if PAGE.head[frame] != folio or PAGE.flags[frame] & (PG_BUDDY | PG_TABLE) or FRAME.huge[frame]:
            doubt(FRAMES)
        if PAGE.mapcount[frame] != FRAME.mapped[frame] or FRAME.table[frame]:
            doubt(MAPCOUNT)
        if PAGE.anon_exclusive[frame]:
            see_exclusive(frame, folio, flags)
    return mappings


def see_exclusive(frame: int, folio: int, flags: int) -> int:
    """Anonymous, mapped once, and no entry in swap is another reference."""
    if not flags & PG_ANON or FRAME.mapped[frame] + FRAME.huge[folio] > 1:
        return doubt(EXCLUSIVE)
    if flags & PG_SWAPCACHE and FRAME.mapped[frame]:
        slot = PAGE.private[folio] + frame - folio
        if slot < 0 or slot > cfg.swap_slots or swap_map[slot]:
            return doubt(EXCLUSIVE)
    return 0


def see_large(folio: int, pages: int, flags: int, mappings: int) -> int:
    """What a large folio counts, and whom it says it belongs to."""
    if PAGE.private[folio + 1] != mappings:
        return doubt(MAPCOUNT)
    if pages < 1 << 2:
        return 0
    if flags >> PG_ORDER_SHIFT >= cfg.pmd_order and PAGE.private[folio + 2] != FRAME.huge[folio]:
        return doubt(MAPCOUNT)
    if FRAME.first[folio] and PAGE.refcount[folio + 1] > FRAME.first[folio]:
        return doubt(OWNERS)
    if FRAME.second[folio] and PAGE.refcount[folio + 2] > FRAME.second[folio]:
        return doubt(OWNERS)
    return doubt(OWNERS) if FRAME.mms[folio] > 1 and not PAGE.index[folio + 1] else 0


def see_swapcache(folio: int, pages: int) -> int:
    """Its slots know the folio."""
    slot = PAGE.private[folio]
    if slot <= 0 or slot + pages > cfg.swap_slots + 2:
        return doubt(SLOTS)
    for page in range(pages):
        if swap_cache[slot + page] != folio + page:
            return doubt(SLOTS)
    return 0
