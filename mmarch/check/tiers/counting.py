"""Tier stateful: what is counted is what happened, by the log and by calls; hooks get what they are declared for."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import numpy as np

from core_mm.content import EVENT_BITS, FROM_SWAP, TO_SWAP
from core_mm.vmstat import (
    ARCH_EVENT,
    CONT_INSTALL,
    FOLD,
    LOG_CONTENT,
    LOG_CONVERT,
    LOG_DSB,
    LOG_FAULT,
    LOG_ISB,
    LOG_OP,
    LOG_TABLE,
    LOG_TLBI,
    UNFOLD,
)
from mmarch.check.arguments import Arguments
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.system import show
from mmarch.engine.machine import Machine
from mmarch.sanitize import soak
from mmarch.sanitize.rare_rows import Rare

OPERATIONS, FEWEST = 600, 150
INSTRUCTIONS = ("tlbi_", "dsb_", "isb")
# events -> functions of which every call counts for one of them, as docs/reference/events.md has it; ":0" are calls
# that return 0, ":1" those that return something else
CALLS: Mapping[str, tuple[str, ...]] = {
    "pte_read": ("READ_ONCE",), "pmd_read": ("PMD_READ_ONCE",), "pte_xchg": ("xchg",),
    "folio_add_rmap": (
        "folio_add_new_anon_rmap", "folio_add_anon_rmap_ptes", "folio_add_file_rmap_ptes",
        "folio_dup_file_rmap_ptes", "folio_try_dup_anon_rmap_ptes", "folio_add_file_rmap_pmd",
    ),
    **{
        name: (name,) for name in (
            "folio_remove_rmap_ptes", "folio_mark_dirty", "folio_mark_accessed", "do_anonymous_page", "do_wp_page",
            "tlb_next_batch", "tlb_gather_mmu", "tlb_finish_mmu", "tlb_remove_table",
        )
    },
    "__tlb_remove_folio_pages": ("tlb_remove_folio_pages",),
    "folio_alloc": ("folio_alloc:1",), "folio_free": ("__folio_put",), "folio_split": ("split_pages",),
    "fault_file fault_shmem": ("do_fault",), "fault_swap": ("do_swap_page",),
    "fault_pmd": ("do_set_pmd:0", "map_anon_folio_pmd"), "fault_stack": ("expand_stack:1",),
    "readahead": ("page_cache_ra_order",), "collapse": ("copy_succeeded",),
}  # fmt: skip
TABLE_GONE = -1  # level of a row of LOG_TABLE


@check("stateful.counts", source="docs/reference/events.md")
def counts_are_true(context: Context) -> str:
    """Of random operations, each event is counted as often as its log rows, or the calls that it stands for, say."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    seen = 0
    for made in rounds(context):
        machine = soak.machine(made, "interpreted")
        machine.memory.set("cfg", "content", 1)
        for event, number in happened(machine, len(made.rows)).items():
            if (counted := sum(map(machine.total, event.split()))) != number:
                raise CheckFailed(
                    f"{event} is counted {counted} times, and happened {number} times{context.where}",
                    [show(row) for row in made.rows],
                )
            seen += number
    return f"{seen:,} events"


@check("stateful.arguments", source="core_mm/hookspecs.py: parameters")
def arguments_are_named(context: Context) -> str:
    """Random operations call hooks with the entry, address, mapping, range, folio that parameters are named after."""
    done = 0
    for made in rounds(context):
        machine, row = soak.machine(made, "interpreted"), 0
        try:
            with Arguments(machine).watched():
                for row in range(len(made.rows)):
                    machine.call("run_operations", row, row + 1)
        except CheckFailed as failed:
            raise CheckFailed(
                f"{failed}{context.where}", [show(one) for one in made.rows[: row + 1]]
            ) from None
        done += len(made.rows)
    return f"{done:,} operations"


def rounds(context: Context) -> Iterator[soak.Round]:
    """Usual operations, and ones that programs seldom make."""
    config = replace(context.config(), granule=context.granule or context.arch.default_granule)
    wanted = max(FEWEST, round(OPERATIONS * context.share))
    yield from soak.rounds(config, wanted, context.seed)
    yield from soak.rounds(config, wanted, context.seed, Rare)


def happened(machine: Machine, rows: int) -> dict[str, int]:
    """Event -> how often, of the operations that this runs."""
    with calls() as called:
        machine.call("run_operations", 0, rows)
    found = {event: sum(called[name] for name in names) for event, names in CALLS.items()}
    return found | logged(machine)


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """Counts calls of Python functions by name while it is open, and what they return."""
    wanted = {name.partition(":")[0] for names in CALLS.values() for name in names}
    found, before = Counter[str](), sys.getprofile()

    def called(frame: FrameType, event: str, result: Any) -> None:
        name = frame.f_code.co_name
        if name in wanted and event == "call":
            found[name] += 1
        elif name in wanted:
            found[f"{name}:{int(bool(result))}"] += 1

    sys.setprofile(called)
    try:
        yield found
    finally:
        sys.setprofile(before)


def logged(machine: Machine) -> dict[str, int]:
    """Event -> how often, by the rows of the log."""
    log, length = machine.memory.tables["LOG"], machine.memory.get("mach", "log_len")
    kind, a, b, c = (log[name][:length] for name in ("kind", "a", "b", "c"))
    instructions = np.isin(kind, (LOG_TLBI, LOG_DSB, LOG_ISB))
    found = {
        name: int((a[instructions] == ARCH_EVENT + number).sum())
        for number, name in enumerate(machine.config.arch.events) if name.startswith(INSTRUCTIONS)
    }  # fmt: skip
    for number, name in ((FOLD, "fold"), (UNFOLD, "unfold"), (CONT_INSTALL, "cont_install")):
        found[name] = int(c[(kind == LOG_CONVERT) & (a == number)].sum())
    tables, content = kind == LOG_TABLE, a[kind == LOG_CONTENT] & (1 << EVENT_BITS) - 1
    return found | {
        "op": int((kind == LOG_OP).sum()),
        "fault": int((kind == LOG_FAULT).sum()),
        "pte_table_alloc": int((b[tables] != TABLE_GONE).sum()),
        "pte_table_free": int((b[tables] == TABLE_GONE).sum()),
        "swap_out": int((content == TO_SWAP).sum()),
        "swap_in": int((content == FROM_SWAP).sum()),
    }
