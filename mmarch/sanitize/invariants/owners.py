"""Which address spaces own a large folio: two (mm, count) pairs and a mark (Linux 6.15)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm.mm_types import PG_LARGE
from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.state import State

OWNED = 4  # pages from which on a folio has room to know


def owners(state: State) -> Iterator[Finding]:
    """No pair counts more mappings than its mm has, and a folio without the mark is one mm's alone."""
    heads, mms, counts = _mappings(state)
    mapping, references, shared = state.page("mapping"), state.page("refcount"), state.page("index")
    for place in (1, 2):
        mine = mapping[heads + place] == mms
        many = mine & (references[heads + place] > counts)
        for at in np.flatnonzero(many)[:3].tolist():
            folio = int(heads[at])
            yield Finding(
                "owner", f"folio {folio:#x} says that mm {mms[at]} maps {references[folio + place]} of its pages, "
                f"{counts[at]} entries do",
            )  # fmt: skip
    unmarked = shared[heads + 1] == 0
    alone, again = np.unique(heads[unmarked], return_counts=True)
    for folio in alone[again > 1][:3].tolist():
        yield Finding(
            "owner", f"folio {folio:#x} says that one mm maps it, and several do {state.whose(folio)}"
        )


def _mappings(state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(folio, mm, entries) of every folio that knows its owners."""
    frames = state.leaves.read.frame[state.mapping]
    heads, mms = state.head[frames], state.leaves.mm[state.mapping]
    large = (state.flags[heads] & PG_LARGE != 0) & (state.pages_of(heads) >= OWNED)
    pairs, counts = np.unique(heads[large] << 20 | mms[large], return_counts=True)
    return pairs >> 20, pairs & (1 << 20) - 1, counts
