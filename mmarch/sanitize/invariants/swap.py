"""Swap: every slot is referred to as often as it says, and what is cached for it is what says so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm.mm_types import PG_SWAPCACHE
from core_mm.page_cache import SWAP_ORDER
from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.state import State


def slots(state: State) -> Iterator[Finding]:
    """swap_map counts entries and pages of shared memory; used slots are counted; exclusive ones have one entry."""
    size = state.constant("swap_slots")
    if not size:
        return
    counts, cache = state.array("swap_map")[: size + 2], state.array("swap_cache")[: size + 2]
    leaves, _, cached = state.leaves, *state.cached[1:]
    entries = leaves.read.slot[state.swapped]
    stored = -cached[cached < 0] & (1 << SWAP_ORDER) - 1
    for slot in [*entries[entries > size], *stored[stored > size]][:3]:
        yield Finding("swap", f"an entry refers to slot {int(slot):#x}; there are {size:#x}")
    named = np.concatenate([entries[entries <= size], stored[stored <= size]])
    references = np.bincount(named, minlength=size + 2)
    for slot in np.flatnonzero(counts != references)[:3].tolist():
        yield Finding(
            "swap", f"slot {slot:#x} counts {counts[slot]} references, {references[slot]} refer to it"
        )
    used = int(((counts != 0) | (cache != 0)).sum())
    if used != state.get("swap_used"):
        yield Finding("swap", f"mach.swap_used is {state.get('swap_used')}, {used} slots are in use")
    own = entries[leaves.read.exclusive[state.swapped] & (entries <= size)]
    for slot in own[references[own] > 1][:3].tolist():
        yield Finding(
            "exclusive", f"slot {slot:#x} has an exclusive entry, and {references[slot]} refer to it"
        )
    yield from _cache(state, cache)


def _cache(state: State, cache: np.ndarray) -> Iterator[Finding]:
    """Slots and folios of the swap cache know one another."""
    private = state.page("private")
    held = np.flatnonzero(cache)
    frames = np.clip(cache[held], 0, state.frames - 1)
    heads = state.head[frames]
    good = (state.flags[heads] & PG_SWAPCACHE != 0) & (private[heads] + frames - heads == held)
    for slot in held[~good][:3].tolist():
        yield Finding("swap", f"slot {slot:#x} caches frame {cache[slot]:#x}, which says something else")
    saved = state.used[state.flags[state.used] & PG_SWAPCACHE != 0]
    pages = state.pages_of(saved)
    known = np.bincount(heads[good], minlength=state.frames)[saved]
    for at in np.flatnonzero(known != pages)[:3].tolist():
        yield Finding(
            "swap",
            f"folio {int(saved[at]):#x} is in the swap cache, which has {known[at]} of its {pages[at]} pages",
        )
