"""anon_vmas: as many pairs, VMAs and children as they count are there (include/linux/rmap.h:struct anon_vma)."""

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


def families(state: State) -> Iterator[Finding]:
    """An anon_vma counts those that have it as their parent, itself if it has none, and has its parent's root."""
    top = max(state.get("next_anon_vma"), 1)
    count, children, parent, root = (
        state.column("ANON_VMA", name, top) for name in ("refcount", "num_children", "parent", "root")
    )
    used = np.flatnonzero(count)
    born = np.bincount(parent[used], minlength=top)
    for one in used[children[used] != born[used]][:3].tolist():
        yield Finding(
            "rmap", f"anon_vma {one} counts {children[one]} children, {born[one]} have it as their parent"
        )
    for one in used[root[used] != root[parent[used]]][:3].tolist():
        yield Finding("rmap", f"anon_vma {one} has root {root[one]}, its parent {root[parent[one]]}")
