"""One glance at a machine: whether any invariant of core-mm may be broken."""

from __future__ import annotations

from core_mm.mm_types import MM, cfg, mach
from mmarch.sanitize.glance.books import see_chains, see_counts, see_files, see_idle, see_reserve, see_swap, see_tables
from mmarch.sanitize.glance.doubts import TREE, doubt
from mmarch.sanitize.glance.entries import walk_space
from mmarch.sanitize.glance.folios import walk_frames
from mmarch.sanitize.glance.scratch import glance


def look() -> int:
    """A number of `doubts`, 0 if everything is in order; notes are empty before."""
    glance.suspect = 0
    glance.in_use = 0
    glance.entered = 0
    glance.frames = min(mach.frontier, cfg.memory_pages + 1)
    if mach.next_table > cfg.max_tables or mach.next_mm > cfg.nr_mms:
        doubt(TREE)
        return glance.suspect
    see_idle()
    for mm in range(2, mach.next_mm):
        if MM.mm_users[mm]:
            walk_space(mm)
            see_reserve(mm)
    if not glance.suspect:
        see_tables()
        see_counts()
        see_chains()
        see_files()
        if cfg.swap_slots:
            see_swap()
        walk_frames()
    return glance.suspect
