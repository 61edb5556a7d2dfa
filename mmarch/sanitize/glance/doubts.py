"""What may be wrong; whoever has a doubt leaves the rest to `mmarch.sanitize.invariants`, which knows what to say."""

from __future__ import annotations

from core_mm.decl import cold
from mmarch.sanitize.glance.scratch import glance

(
    IDLE, TREE, RESERVE, DESCRIBED, EMPTY, MIGRATION, LEAF, FRAMES, MAPCOUNT, REFERENCES, EXCLUSIVE, OWNERS, RSS,
    USERS, MAPPINGS, SLOTS, CACHE, RMAP,
) = range(1, 19)  # fmt: skip


@cold
def doubt(what: int) -> int:
    """Something is not as it should be; the first doubt counts."""
    if not glance.suspect:
        glance.suspect = what
    return 0
