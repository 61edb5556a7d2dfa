"""Page-table pages: each hangs in one place, waits in one reserve, or is free and empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from mmarch.sanitize.entries import PRESENT
from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.state import KINDS, State


def tables(state: State) -> Iterator[Finding]:
    """None is leaked, used twice, counted wrongly, or holds entries while it is in reserve or free."""
    for what in state.hung.wrong:
        yield Finding("table", what)
    reserve, free = _reserves(state), _chain(state, state.get("free_tables"))
    yield from _once(state, reserve, free)
    yield from _described(state, reserve)
    yield from _counted(state, reserve)
    for slot in state.reader.walk.empty([*free, *(slot for slots in reserve.values() for slot in slots)]):
        yield Finding("table", f"table {slot} is free or in reserve, and holds entries")
    yield from _migrations(state)
    yield from _reserved(state, reserve)


def _chain(state: State, slot: int) -> list[int]:
    """A list of tables, up to where it goes in circles."""
    following, top = state.reader.memory.tables["PTDESC"]["next"], state.get("next_table")
    seen: dict[int, None] = {}
    while 0 < slot < top and slot not in seen:
        seen[slot] = None
        slot = int(following[slot])
    return list(seen)


def _reserves(state: State) -> dict[int, list[int]]:
    """mm -> tables that were deposited."""
    deposits = state.reader.memory.tables["MM"]["deposit"]
    return {mm: _chain(state, int(deposits[mm])) for mm in state.roots}


def _once(state: State, reserve: dict[int, list[int]], free: list[int]) -> Iterator[Finding]:
    places = Counter([*state.hung.tables, *free, *(slot for slots in reserve.values() for slot in slots)])
    for slot, number in places.items():
        if number > 1:
            where = "free" if slot in set(free) else "in reserve"
            yield Finding("table", f"table {slot} is {where} and used a second time")
    leaked = sorted(set(range(1, state.get("next_table"))) - set(places))
    if leaked:
        owner = state.reader.memory.tables["PTDESC"]["mm"][leaked[0]]
        more = f" ({len(leaked)} in all)" if len(leaked) > 1 else ""
        yield Finding("table", f"table {leaked[0]} of mm {owner} hangs nowhere and is not free: leaked{more}")


def _described(state: State, reserve: dict[int, list[int]]) -> Iterator[Finding]:
    """What struct ptdesc says of a table."""
    described = state.reader.memory.tables["PTDESC"]
    levels, owners, pages = described["level"], described["mm"], described["page"]
    frames: dict[int, int] = {}
    hung = {**state.hung.tables, **{slot: (mm, 0) for mm, slots in reserve.items() for slot in slots}}
    for slot, (mm, level) in hung.items():
        if (int(owners[slot]), int(levels[slot])) != (mm, level):
            told = f"mm {owners[slot]}, level {levels[slot]}"
            yield Finding(
                "table", f"table {slot} is used by mm {mm} at level {level}, and described as {told}"
            )
        other = frames.setdefault(int(pages[slot]), slot)
        if other != slot:
            yield Finding("table", f"tables {other} and {slot} lie in one frame, {int(pages[slot]):#x}")
    lost = sorted(set(state.tables_of_frames.tolist()) ^ set(frames))
    if lost:
        yield Finding(
            "table", f"frame {lost[0]:#x} is marked as a table and is none, or is one without the mark"
        )


def _counted(state: State, reserve: dict[int, list[int]]) -> Iterator[Finding]:
    owned = Counter(mm for mm, _ in state.hung.tables.values())
    counts = state.reader.memory.tables["MM"]["pgtables"]
    for mm in state.roots:
        number = owned[mm] + len(reserve[mm])
        if int(counts[mm]) != number:
            yield Finding("table", f"mm {mm}: pgtables is {counts[mm]}, and it has {number} page-table pages")
    total = sum(owned.values()) + sum(map(len, reserve.values()))
    if state.get("tables") != total:
        yield Finding(
            "table", f"mach.tables is {state.get('tables')}, and {total} page-table pages are in use"
        )


def _migrations(state: State) -> Iterator[Finding]:
    read = state.leaves.read
    for at in np.flatnonzero(read.migration)[:3].tolist():
        place = f"mm {state.leaves.mm[at]} page {int(state.leaves.page[at]):#x}"
        yield Finding(
            "migration", f"{place}: the migration entry of frame {int(read.frame[at]):#x} was left behind"
        )


def _reserved(state: State, reserve: dict[int, list[int]]) -> Iterator[Finding]:
    """Every leaf of anonymous memory has a table in reserve, so that splitting it cannot fail."""
    leaves = state.leaves
    needs = leaves.huge & (leaves.read.bits & PRESENT != 0)
    frames = np.minimum(leaves.read.frame, state.frames - 1)
    zero = leaves.read.frame == state.get("huge_zero_page")
    needs = needs & (zero | (state.kind[frames] == KINDS.index("anon")))
    wanted = Counter(leaves.mm[needs].tolist())
    for mm in state.roots:
        if len(reserve[mm]) != wanted[mm]:
            yield Finding(
                "table",
                f"mm {mm}: {len(reserve[mm])} tables are in reserve for {wanted[mm]} PMD leaves of anonymous memory",
            )
