"""Address spaces: what they say they hold is what their tables hold, inside of their mappings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmarch.sanitize.entries import Numbers
from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.state import KINDS, State


def resident(state: State) -> Iterator[Finding]:
    """rss and swapents are what the tables have, users are the tasks."""
    leaves, top = state.leaves, state.get("next_mm")
    weight = np.where(leaves.huge, 1 << state.constant("pmd_order"), 1)
    kinds = state.kind[np.minimum(leaves.read.frame, state.frames - 1)]
    chosen = {name: state.mapping & (kinds == number) for number, name in enumerate(KINDS)}
    for name, flags in {**chosen, "swap": state.swapped}.items():
        held = np.bincount(leaves.mm[flags], weights=weight[flags], minlength=top).astype(np.int64)
        counted = state.column("MM", f"rss_{name}", top)
        for mm in state.roots:
            if counted[mm] != held[mm]:
                yield Finding("rss", f"mm {mm} counts {counted[mm]} {name} pages, its tables have {held[mm]}")
    users, tasks = state.column("MM", "mm_users", top), state.reader.memory.tables["TASK"]["mm"]
    of_tasks = np.bincount(tasks[tasks > 0], minlength=top)
    for mm in range(2, top):
        if users[mm] != of_tasks[mm]:
            yield Finding("users", f"mm {mm} has mm_users {users[mm]}, and {of_tasks[mm]} tasks run in it")


def mappings(state: State) -> Iterator[Finding]:
    """VMAs follow one another, are counted, and hold every entry."""
    starts, ends, keys, found = [], [], [], []
    for mm, vmas in vmas_of(state).items():
        count = int(state.reader.memory.tables["MM"]["map_count"][mm])
        if count != len(vmas):
            found.append(Finding("vma", f"mm {mm}: map_count is {count}, and it has {len(vmas)} mappings"))
        last = 0
        for vma, start, end in vmas:
            if start < last or end <= start:
                found.append(
                    Finding("vma", f"mm {mm}: mapping {vma}, {start:#x}-{end:#x}, overlaps the one before")
                )
            last = end
            starts.append(start)
            ends.append(end)
            keys.append(mm)
    yield from found
    shift = state.constant("page_shift")
    where, first, after = (np.array(column, np.int64) for column in (keys, starts, ends))
    yield from _outside(state, where, first, after, shift)


def _outside(state: State, mms: Numbers, starts: Numbers, ends: Numbers, shift: int) -> Iterator[Finding]:
    leaves, limit = state.leaves, 52 - shift
    if not len(leaves.mm):
        return
    if len(mms):
        keys = mms << limit | starts >> shift
        order = np.argsort(keys)
        place = np.searchsorted(keys[order], leaves.mm << limit | leaves.page, side="right") - 1
        at = order[np.maximum(place, 0)]
        pages = np.where(leaves.huge, 1 << state.constant("pmd_order"), 1)
        outside = (place < 0) | (mms[at] != leaves.mm) | (leaves.page + pages > ends[at] >> shift)
    else:
        outside = np.ones(len(leaves.mm), np.bool_)
    for item in np.flatnonzero(outside)[:3].tolist():
        what = (
            "a huge page, of which not all is in one mapping"
            if leaves.huge[item]
            else "an entry, and is not mapped"
        )
        yield Finding("vma", f"mm {leaves.mm[item]} page {int(leaves.page[item]):#x} has {what}")


def vmas_of(state: State) -> dict[int, list[tuple[int, int, int]]]:
    """mm -> (VMA, start, end), as its list has them; up to where that goes in circles."""
    if "vmas" not in state.wanted:
        top = state.get("next_vma")
        starts, ends, following = (
            state.column("VMA", name, max(top, 1)).tolist() for name in ("vm_start", "vm_end", "vm_next")
        )
        first = state.reader.memory.tables["MM"]["mmap"]
        lists: dict[int, list[tuple[int, int, int]]] = {}
        for mm in state.roots:
            vma, seen = int(first[mm]), lists.setdefault(mm, [])
            while 0 < vma < top and len(seen) <= top:
                seen.append((vma, starts[vma], ends[vma]))
                vma = following[vma]
        state.wanted["vmas"] = lists
    known: dict[int, list[tuple[int, int, int]]] = state.wanted["vmas"]
    return known
