"""Tier tlb: the scenarios that come with mmarch, under every oracle; and the same programs watched and unwatched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from core_mm.uapi import OP_TOUCH
from core_mm.vmstat import HOOK_CALL
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.replays import Replay, at_all_orders
from mmarch.check.system import outcome, show
from mmarch.engine.machine import Machine
from mmarch.sanitize import Oracle, rare, soak
from mmarch.sanitize.audit import Audit
from mmarch.sanitize.run import drain
from mmarch.sanitize.violation import Violation

MOST_PAGES = 6000  # that a scenario touches; more takes too long to interpret
EVERY = 10  # operations between two looks at core-mm
MOST, FEWEST = 200, 3  # scenarios, in full and as a sample
TLB = 1024  # entries of every second machine
OPERATIONS, RARE = 400, 250
SHOWN = 12  # last operations of a scenario that fails
FOLLOWED = "written"  # the column that following data writes


@check("tlb.scenarios", source="examples/scenarios", long=True, wide=True)
def scenarios_hold(context: Context) -> str:
    """Every scenario that comes with mmarch succeeds and leaves nothing stale, books in order, pages as written."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    config = replace(context.config(), granule=context.granule or context.arch.default_granule)
    found = [one for one in at_all_orders(config) if pages(one) <= MOST_PAGES]
    wanted = min(len(found), max(FEWEST, round(MOST * context.share)))
    chosen = context.rng("scenarios").sample(found, wanted)
    for number, subject in enumerate(chosen):
        held = replace(config, tlb_entries=TLB if number % 2 else 0)
        if wrong := judged(subject.machine(held, "interpreted"), subject.rows):
            row, what = wrong
            steps = [show(one) for one in subject.rows[max(0, row + 1 - SHOWN) : row + 1]]
            raise CheckFailed(f"{subject.place}, operation {row + 1}: {what}{context.where}", steps)
    return f"{len(chosen)} scenarios"


def pages(subject: Replay) -> int:
    """How many the program touches."""
    return sum(max(1, row[3]) for row in subject.rows if row[0] == OP_TOUCH)


def judged(machine: Machine, rows: Sequence[Sequence[int]], fails: bool = False) -> tuple[int, str] | None:
    """The first operation after which an oracle objects, and what it says; or that fails, unless some may."""
    oracle, audit, total = Oracle(machine.config), Audit(machine, EVERY), len(rows)
    for row in range(total):
        machine.call("run_operations", row, row + 1)
        result = int(machine.memory.arrays["results"][row])
        if result < 0 and not fails and rows[row][0] != OP_TOUCH:  # a program may run into the end of a file
            return row, f"returned {outcome(result)}, and succeeds on every kernel that was measured"
        if findings := audit.ran(row, row + 1 == total):
            return row, str(findings[0])
        if machine.memory.get("mach", "log_len") > soak.LOG_READ:
            drain(machine, oracle, f"operation {row}")
    drain(machine, oracle, "the scenario")
    oracle.finish()
    found: Violation | None = oracle.violations[0] if oracle.violations else None
    return (found.where.row, str(found)) if found else None


def passes(made: soak.Round, name: str, where: str) -> None:
    """CheckFailed with what an oracle objects to in a program, some calls of which may fail."""
    if wrong := judged(soak.machine(made, "direct"), made.rows, fails=True):
        row, what = wrong
        raise CheckFailed(f"{name}: {what}{where}", [show(one) for one in made.rows[: row + 1]])


@check("differential.watched", source="core_mm/vmstat.py: log; core_mm/content.py")
def watched_alike(context: Context) -> None:
    """A program leaves the same tables, frames and mappings whether it is logged and its data followed, or not."""
    config = replace(context.config(), granule=context.granule or context.arch.default_granule)
    usual = soak.rounds(config, max(OPERATIONS // 4, round(OPERATIONS * context.share)), context.seed)
    for made in chain(usual, rare.rounds(config, RARE, context.seed)):
        watched, plain = machines(made)
        rows = len(made.rows)
        for machine in (watched, plain):
            machine.call("run_operations", 0, rows)
        for name, ours, theirs in compared(watched, plain):
            different = np.flatnonzero(ours != theirs)
            if len(different):
                at = int(different[0])
                raise CheckFailed(
                    f"{name}[{at:#x}] is {ours[at]} if the program is watched and {theirs[at]} if not, on {made.name}",
                    [show(row) for row in made.rows],
                )


def machines(made: soak.Round) -> tuple[Machine, Machine]:
    """The same, with everything followed and with nothing."""
    overrides = {name: value for name, value in made.config.overrides.items() if name != "log_ptes"}
    plain = replace(made, config=replace(made.config, overrides=overrides, log_rows=0))
    watched = soak.machine(made, "direct")
    watched.memory.set("cfg", "content", 1)
    return watched, soak.machine(plain, "direct")


def compared(one: Machine, other: Machine) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Everything but what following writes: name and both sides."""
    pairs = [
        (name, one.memory.arrays[name], other.memory.arrays[name]) for name in ("results", "ptes", "swap_map")
    ]
    for name in ("PAGE", "MM", "VMA", "PTDESC"):
        ours, theirs = one.memory.tables[name], other.memory.tables[name]
        columns = [column for column in ours.columns if column != FOLLOWED]
        pairs += [(f"{name}.{column}", ours[column], theirs[column]) for column in columns]
    return [*pairs, ("counters", counts(one), counts(other))]


def counts(machine: Machine) -> np.ndarray:
    """All but how often hooks were called, which following data does too."""
    return np.delete(machine.counts(), HOOK_CALL, axis=2).ravel()
