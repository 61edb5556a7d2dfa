"""anon_vmas: as many pairs as they count hang in the chains of VMAs, and as many VMAs have them as their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.invariants.spaces import vmas_of
from mmarch.sanitize.state import State


def chains(state: State) -> Iterator[Finding]:
    """An anon_vma counts the pairs that VMAs have of it, and the VMAs whose new pages it gets."""
    top = max(state.get("next_anon_vma"), 1)
    vmas = np.array([vma for found in vmas_of(state).values() for vma, _, _ in found], np.int64)
    column, pairs = state.reader.memory.tables, np.zeros(top, np.int64)
    at, steps = column["VMA"]["avc"][vmas].astype(np.int64), 0
    last = max(state.get("next_avc"), 1)
    while len(at := at[(at > 0) & (at < last)]) and steps < last:
        pairs += np.bincount(column["AVC"]["anon_vma"][at], minlength=top)[:top]
        at, steps = column["AVC"]["same_vma"][at].astype(np.int64), steps + 1
    own = np.bincount(column["VMA"]["anon_vma"][vmas], minlength=top)[:top]
    for name, what, there in (("refcount", "pairs", pairs), ("num_active_vmas", "VMAs of its own", own)):
        told = state.column("ANON_VMA", name, top)
        used = (state.column("ANON_VMA", "refcount", top) != 0) | (pairs != 0)
        for one in np.flatnonzero((told != there) & used)[:3].tolist():
            if one:
                yield Finding("rmap", f"anon_vma {one} counts {told[one]} {what}, {there[one]} are there")
