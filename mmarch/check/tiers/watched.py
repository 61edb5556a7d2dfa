"""Tier differential: the same programs watched and unwatched."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np

from core_mm.vmstat import HOOK_CALL
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import show
from mmarch.check.tiers.corners import hole_in_swap, prepared
from mmarch.engine.machine import Machine
from mmarch.sanitize import rare, soak

OPERATIONS, RARE, ASIDE = 400, 250, 40
FOLLOWED = "written"  # the column that following data writes


@check("differential.watched", source="core_mm/vmstat.py: log; core_mm/content.py", turns=True)
def watched_alike(context: Context) -> None:
    """A program leaves the same tables, frames and mappings whether it is logged and its data followed, or not."""
    config = replace(context.config(), granule=context.granule or context.arch.default_granule)
    fewest = ASIDE if context.aside else OPERATIONS // 4
    usual = soak.rounds(config, max(fewest, round(OPERATIONS * context.share)), context.seed)
    seldom = rare.rounds(config, ASIDE if context.aside else RARE, context.seed)
    for made in chain(usual, seldom, [prepared(context, hole_in_swap)]):
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
