"""Tier tlb: the scenarios that come with mmarch, under every oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core_mm.uapi import OP_TOUCH
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.replays import Replay, at_all_orders
from mmarch.check.system import neither, outcome, show
from mmarch.engine.machine import Machine
from mmarch.sanitize import Oracle, soak
from mmarch.sanitize.audit import Audit
from mmarch.sanitize.run import drain
from mmarch.sanitize.violation import Violation

MOST_PAGES = 6000  # that a scenario touches; more takes too long to interpret
EVERY = 10  # operations between two looks at core-mm
MOST, FEWEST = 120, 3  # scenarios, in full and as a sample
TLB = 1024  # entries of every second machine
SHOWN = 12  # last operations of a scenario that fails


@check("tlb.scenarios", source="examples/scenarios", long=True, wide=True, turns=True)
def scenarios_hold(context: Context) -> str:
    """Every scenario that comes with mmarch succeeds and leaves nothing stale, books in order, pages as written."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    config = replace(context.config(), granule=context.granule or context.arch.default_granule)
    found = [one for one in at_all_orders(config) if pages(one) <= MOST_PAGES]
    wanted = min(len(found), 1 if context.aside else max(FEWEST, round(MOST * context.share)))
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
        if wrong := neither(rows[row][0], result):
            return row, wrong
        if findings := audit.ran(row, row + 1 == total):
            return row, str(findings[0])
        if machine.memory.get("mach", "log_len") > soak.LOG_READ:
            drain(machine, oracle, f"operation {row}")
    drain(machine, oracle, "the scenario")
    oracle.finish()
    found: Violation | None = oracle.violations[0] if oracle.violations else None
    return (found.where.row, str(found)) if found else None


def passes(made: soak.Round, name: str, where: str, machine: Machine | None = None) -> None:
    """CheckFailed with what an oracle objects to in a program, some calls of which may fail."""
    if wrong := judged(machine or soak.machine(made, "direct"), made.rows, fails=True):
        row, what = wrong
        raise CheckFailed(f"{name}: {what}{where}", [show(one) for one in made.rows[: row + 1]])
