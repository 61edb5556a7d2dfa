"""The page cache: what a file holds and what its folios say of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm.mm_types import PG_ANON
from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.state import State


def page_cache(state: State) -> Iterator[Finding]:
    """Each cached page belongs to the file and the place that it is found under, and all are counted."""
    inode, index, values = state.cached
    top = state.get("next_inode")
    there = (values > 0) & (values < state.frames)
    frames = values[there]
    heads = state.head[frames]
    place = state.page("index")[heads] + frames - heads
    right = (state.page("mapping")[heads] == inode[there]) & (place == index[there])
    right &= (state.flags[heads] & PG_ANON == 0) & (state.page("refcount")[heads] > 0)
    for at in np.flatnonzero(~right)[:3].tolist():
        yield Finding(
            "cache", f"inode {inode[there][at]} page {index[there][at]}: frame {int(frames[at]):#x} is of another "
            f"place, or free",
        )  # fmt: skip
    for name, chosen in (("nrpages", values > 0), ("swapped", values < 0)):
        held, counted = np.bincount(inode[chosen], minlength=top), state.column("INODE", name, top)
        for number in np.flatnonzero(counted[1:] != held[1:top])[:3].tolist():
            yield Finding(
                "cache",
                f"inode {number + 1}: {name} is {counted[number + 1]}, and {held[number + 1]} pages are",
            )
