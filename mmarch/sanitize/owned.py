"""Pages that nobody else can have, and that core-mm does not know to be exclusive: written since the last fork."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm.mm_types import PG_ANON
from mmarch.sanitize.entries import Numbers
from mmarch.sanitize.invariants import Finding
from mmarch.sanitize.model import Space
from mmarch.sanitize.state import State
from mmarch.sanitize.versions import found

SHOWN = 3


def unowned(state: State, task: int, space: Space, pages: Numbers, frames: Numbers) -> Iterator[Finding]:
    """Of the pages that an address space shows; `frames` of their leaves, which have the mark, 0 of those in swap."""
    own = found(space.written.arrays()[0], pages)[0] & (frames > 0)
    if space.shared:
        own &= ~np.isin(pages, np.fromiter(space.shared, np.int64, len(space.shared)))
    own &= (state.flags[state.head[frames]] & PG_ANON != 0) & (state.page("anon_exclusive")[frames] == 0)
    for at in np.flatnonzero(own)[:SHOWN].tolist():
        frame = int(frames[at])
        yield Finding(
            "exclusive", f"task {task} page {int(pages[at]):#x} was written since its last fork, and its frame "
            f"{frame:#x} is not exclusive: who pins it may lose it to a copy", frame,
        )  # fmt: skip
