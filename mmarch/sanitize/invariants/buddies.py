"""Free memory: blocks as large as they can be, each in the list of its size, and single frames kept back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm.mm_types import PG_ORDER_SHIFT
from core_mm.page_alloc import ON_PCP
from mmarch.sanitize.entries import Numbers
from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.state import State


def free_lists(state: State) -> Iterator[Finding]:
    """Each free block is aligned, in its list in both directions, and free without its buddy."""
    kept, blocks = _kept(state)
    orders = state.flags[blocks] >> PG_ORDER_SHIFT
    yield from _shapes(state, blocks, orders)
    told, before = state.page("head"), state.page("mapping")
    for order, first in enumerate(state.array("free_area").tolist()):
        wanted = set(blocks[orders == order].tolist())
        found = _list(int(first), told, len(wanted))
        if set(found) != wanted or len(found) != len(wanted):
            yield Finding("free", f"{len(found)} blocks of order {order} are listed, {len(wanted)} are free")
        elif [int(before[frame]) for frame in found] != [0, *found][: len(found)]:
            yield Finding("free", f"the list of free blocks of order {order} says something else backwards")
    found = _list(state.get("pcp"), told, len(kept))
    if set(found) != set(kept.tolist()) or not len(found) == len(kept) == state.get("pcp_count"):
        yield Finding(
            "free",
            f"{len(kept)} single frames are kept back, {len(found)} are listed, {state.get('pcp_count')} counted",
        )


def _kept(state: State) -> tuple[Numbers, Numbers]:
    """Single frames kept back, and blocks of the buddy allocator."""
    single = state.flags[state.buddy] == ON_PCP
    return state.buddy[single], state.buddy[~single]


def _shapes(state: State, blocks: Numbers, orders: Numbers) -> Iterator[Finding]:
    top = max(state.constant("pmd_order"), 10)  # MAX_PAGE_ORDER
    for frame in blocks[(orders > top) | (blocks & (1 << np.minimum(orders, 62)) - 1 != 0)][:3].tolist():
        yield Finding("free", f"block {frame:#x} has order {int(state.flags[frame]) >> PG_ORDER_SHIFT}")
    keys = set(zip(blocks.tolist(), orders.tolist(), strict=True))
    for frame, order in keys:
        if order < top and not frame & 1 << order and (frame | 1 << order, order) in keys:
            yield Finding("free", f"blocks {frame:#x} and {frame | 1 << order:#x} of order {order} are not merged")


def _list(frame: int, following: Numbers, most: int) -> list[int]:
    """A list, at most one more than there may be."""
    seen = list[int]()
    while 0 < frame < len(following) and len(seen) <= most:
        seen.append(frame)
        frame = int(following[frame])
    return seen
