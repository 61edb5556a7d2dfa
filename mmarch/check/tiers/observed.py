"""Tier stateful: what core-mm observes of a machine is what its memory holds, read by somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import chain

import numpy as np

from core_mm import observe as o
from core_mm.mm_types import PG_LARGE, PG_ORDER_SHIFT, PG_SWAPCACHE
from core_mm.page_cache import SWAP_ORDER
from mmarch.check.context import Context
from mmarch.check.observation import OBSERVED, SEEN, Rows, take
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import show
from mmarch.check.tiers.corners import another_leaf, cached_in_part, hole_in_swap, prepared
from mmarch.engine.direct import DirectMachine
from mmarch.sanitize import soak
from mmarch.sanitize.entries import PRESENT, Numbers
from mmarch.sanitize.invariants.spaces import vmas_of
from mmarch.sanitize.state import Reader, State

OPERATIONS, FEWEST, EACH = 800, 400, 100  # in all, and of one machine
EVERY = 10  # operations between two looks; at a short program, one
BITS = {
    o.SEEN_VALID: "pte_valid", o.SEEN_YOUNG: "pte_young", o.SEEN_DIRTY: "pte_dirty", o.SEEN_WRITE: "pte_write",
    o.SEEN_SPECIAL: "pte_special", o.SEEN_PROTNONE: "pte_protnone",
}  # fmt: skip
Place = tuple[int, int, int]  # kind, owner, at
Must = dict[Place, dict[int, int]]  # column -> value


@check("stateful.observed", source="core_mm/observe.py", turns=True)
def observed(context: Context) -> str:
    """After random operations, what can be observed is what page tables, struct pages, files and mappings hold."""
    config = replace(context.config(), granule=context.granule or context.arch.default_granule, seen=SEEN)
    seen = 0
    wanted = EACH if context.aside else max(FEWEST, round(OPERATIONS * context.share))
    corners = (prepared(context, corner) for corner in (another_leaf, hole_in_swap, cached_in_part))
    others = (replace(made, config=replace(made.config, seen=SEEN)) for made in corners)
    for made in chain(soak.rounds(config, wanted, context.seed, each=EACH), others):
        machine = soak.machine(made, "direct", OBSERVED)
        reader = Reader(machine)
        every = EVERY if len(made.rows) >= EACH else 1
        for first in range(0, len(made.rows), every):
            after = min(first + every, len(made.rows))
            machine.call("run_operations", first, after)
            rows = take(machine)
            for wrong in compared(rows, expected(reader)):
                raise CheckFailed(f"{wrong}{context.where}", [show(row) for row in made.rows[:after]])
            seen += len(rows)
        assert isinstance(machine, DirectMachine)
        if wrong := without_room(machine, len(take(machine))):
            raise CheckFailed(f"{wrong}{context.where}", [show(row) for row in made.rows])
    return f"{seen:,} rows"


def without_room(machine: DirectMachine, rows: int) -> str:
    """What is wrong where there is room for every row, and then for every row but the last, which is counted."""
    room = (rows + 1) * o.WIDTH
    last = machine.memory.arrays["seen"][room - o.WIDTH : room]
    for missing in (0, 1):
        machine.cfg.seen_capacity = room - missing
        last[:] = -1
        count = machine.call("observe")
        if count != rows or bool((last == -1).all()) != bool(missing):
            return f"observed rows: {count} with room for {rows - missing}, of which another number is written"
    return ""


def compared(rows: Rows, must: Must) -> Iterator[str]:
    """Rows that are missing, too many, or say something else, or something where they have nothing to say."""
    for row in rows.tolist():
        place = row[o.KIND], row[o.OWNER], row[o.AT]
        wanted = must.pop(place, None)
        if wanted is None:
            yield f"observed row {place} is of nothing"
            continue
        for column in range(o.AT + 1, o.WIDTH):
            if row[column] != wanted.get(column, 0):
                right = wanted.get(column, 0)
                yield f"observed row {place}: column {column} is {row[column]:#x}; right is {right:#x}"
    for place in must:
        yield f"no observed row {place}"


def expected(reader: Reader) -> Must:
    """Every row that there must be."""
    state = reader.read()
    tasks = reader.memory.tables["TASK"]["mm"].tolist()
    owners = {mm: tasks.index(mm) for mm in state.roots}
    shift = state.constant("page_shift")
    must: Must = {}
    for mm, owner in owners.items():
        mms = reader.memory.tables["MM"]
        names = (
            (o.ENTRY, "rss_file"), (o.BITS, "rss_anon"), (o.PLACE, "rss_swap"), (o.FLAGS, "rss_shmem"),
            (o.REFERENCES, "map_count"),
        )  # fmt: skip
        held = {column: int(mms[name][mm]) for column, name in names}
        for task in (task for task, other in enumerate(tasks) if other == mm):
            must[o.SEEN_MM, task, owner] = held
        vmas = reader.memory.tables["VMA"]
        for vma, start, end in vmas_of(state).get(mm, []):
            must[o.SEEN_VMA, owner, start >> shift] = {
                o.ENTRY: end >> shift, o.BITS: int(vmas["vm_flags"][vma]), o.PLACE: int(vmas["vm_pgoff"][vma]),
                o.FLAGS: int(vmas["vm_file"][vma]),
            }  # fmt: skip
    _entries(state, owners, must)
    _files(state, must)
    must[o.SEEN_MACHINE, 0, 0] = {
        o.ENTRY: state.constant("memory_pages") - state.get("free_pages") - state.get("tables"),
        o.BITS: state.get("warned"), o.FLAGS: state.get("swap_used"),
    }  # fmt: skip
    return must


def _entries(state: State, owners: dict[int, int], must: Must) -> None:
    leaves, hooks = state.leaves, hooks_of(state.reader)
    columns = (
        leaves.mm, leaves.page, leaves.ptep, leaves.huge, leaves.read.bits, leaves.read.frame, leaves.read.slot,
        leaves.read.exclusive, leaves.read.migration, state.mapping,
    )  # fmt: skip
    known = cache(lambda entry: said(hooks, entry))
    for mm, page, ptep, huge, bits, frame, slot, exclusive, migration, mapping in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        if bits & PRESENT:
            kind = o.SEEN_PMD if huge else o.SEEN_PTE
            pte = hooks["pmd_pte"](int(state.array("ptes")[ptep])) if huge else hooks["ptep_get"](ptep)
            entry = hooks["pte_advance_pfn"](pte, -frame)
            found = {o.FRAME: frame, o.ENTRY: entry, o.BITS: known(entry)}
            must[kind, owners[mm], page] = found | (_page(state, frame) if mapping else {})
        elif not migration:
            found = {o.BITS: int(exclusive), **_slot(state, slot)}
            must[o.SEEN_SWAP, owners[mm], page] = found


def hooks_of(reader: Reader) -> Mapping[str, Callable[..., int]]:
    """The machine's own, which see what an architecture gathers from several entries."""
    assert isinstance(reader.machine, DirectMachine)
    return reader.machine.hooks


def said(hooks: Mapping[str, Callable[..., int]], pte: int) -> int:
    """SEEN_* of an entry."""
    return sum(bit for bit, name in BITS.items() if hooks[name](pte))


def _page(state: State, frame: int) -> dict[int, int]:
    """What its struct page and its folio's say."""
    page = state.reader.memory.tables["PAGE"]
    folio = int(state.head[frame])
    flags = int(page["flags"][folio])
    found = {
        o.FOLIO: folio, o.PLACE: frame - folio, o.FLAGS: flags, o.REFERENCES: int(page["refcount"][folio]),
        o.MAPCOUNT: int(page["mapcount"][frame]), o.EXCLUSIVE: int(page["anon_exclusive"][frame]),
    }  # fmt: skip
    if flags & PG_LARGE:
        found[o.FOLIO_MAPCOUNT] = int(page["private"][folio + 1])
        if flags >> PG_ORDER_SHIFT >= state.constant("pmd_order"):
            found[o.ENTIRE_MAPCOUNT] = int(page["private"][folio + 2])
    if flags & PG_SWAPCACHE:
        slot = int(page["private"][folio]) + frame - folio
        found |= {o.SLOT: -slot, o.SLOT_REFERENCES: int(state.array("swap_map")[slot])}
    return found


def _slot(state: State, slot: int) -> dict[int, int]:
    """A slot, and what is cached for it."""
    frame = int(state.array("swap_cache")[slot])
    found = {o.SLOT: -slot, o.SLOT_REFERENCES: int(state.array("swap_map")[slot])}
    return found | ({o.FRAME: frame, **_page(state, frame)} if frame else {})


def _files(state: State, must: Must) -> None:
    columns: tuple[Numbers, ...] = state.cached
    for inode, index, value in zip(*(np.asarray(column).tolist() for column in columns), strict=True):
        if value > 0:
            must[o.SEEN_CACHED, inode, index] = {o.FRAME: value, **_page(state, value)}
        elif value < 0:
            stored = _slot(state, -value & (1 << SWAP_ORDER) - 1)
            must[o.SEEN_STORED, inode, index] = {o.ENTRY: -value >> SWAP_ORDER, **stored}
