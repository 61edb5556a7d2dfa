"""Reverse mapping: from the folio of every entry one comes back to the mapping that the entry lies in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmarch.sanitize.entries import Numbers
from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.invariants.spaces import vmas_of
from mmarch.sanitize.state import KINDS, Flags, State


def reverse(state: State) -> Iterator[Finding]:
    """The folio lies where its index says, and its anon_vma or inode leads to the mapping."""
    vma, at = _vmas(state)
    if not len(vma):
        return
    frames, page = state.leaves.read.frame[at], state.leaves.page[at]
    heads = state.head[frames]
    top = state.get("next_vma")
    shift = state.constant("page_shift")
    offset = (
        state.column("VMA", "vm_pgoff", top)[vma]
        + page
        - (state.column("VMA", "vm_start", top)[vma] >> shift)
    )
    owner = state.page("mapping")[heads]
    anonymous = state.kind[frames] == KINDS.index("anon")
    right = state.page("index")[heads] + frames - heads == offset
    right &= np.where(
        anonymous, _chained(state, vma, owner), state.column("VMA", "vm_file", top)[vma] == owner
    )
    for item in np.flatnonzero(~right)[:3].tolist():
        place = f"mm {state.leaves.mm[at][item]} page {int(page[item]):#x}"
        yield Finding("rmap", f"{place}: no walk from frame {int(frames[item]):#x} leads to this entry")


def _vmas(state: State) -> tuple[Numbers, Numbers]:
    """The VMA of each leaf that maps a page and lies in one, and these leaves."""
    known = [(mm, start, end, vma) for mm, vmas in vmas_of(state).items() for vma, start, end in vmas]
    if not known:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    shift = state.constant("page_shift")
    mms, starts, ends, vmas = (np.array(column, np.int64) for column in zip(*known, strict=True))
    keys = mms << 52 - shift | starts >> shift
    order = np.argsort(keys)
    leaves, chosen = state.leaves, np.flatnonzero(state.mapping)
    wanted = leaves.mm[chosen] << 52 - shift | leaves.page[chosen]
    place = np.searchsorted(keys[order], wanted, side="right") - 1
    at = order[np.maximum(place, 0)]
    inside = (place >= 0) & (mms[at] == leaves.mm[chosen]) & (leaves.page[chosen] < ends[at] >> shift)
    return vmas[at][inside], chosen[inside]


def _chained(state: State, vma: Numbers, anon_vma: Numbers) -> Flags:
    """Whether each VMA hangs in the chain of its anon_vma."""
    top = max(state.get("next_avc"), 1)
    of_vma, of_anon, same = (state.column("AVC", n, top).tolist() for n in ("vma", "anon_vma", "same_vma"))
    first = state.column("VMA", "avc", max(state.get("next_vma"), 1)).tolist()
    pairs = []
    for vmas in vmas_of(state).values():
        for number, _, _ in vmas:
            avc, steps = first[number], 0
            while 0 < avc < top and steps < top:
                if of_vma[avc] == number:
                    pairs.append(number << 32 | of_anon[avc])
                avc, steps = same[avc], steps + 1
    return np.isin(vma.astype(np.int64) << 32 | anon_vma, np.array(pairs, np.int64))
