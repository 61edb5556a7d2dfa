"""Tier tlb: random operations, every kind of system call, on every CPU and granule, under the TLB oracle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mmarch.check.context import TINY, Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.system import show
from mmarch.engine.program import NotLinkable
from mmarch.sanitize import rare, soak
from mmarch.sanitize.audit import Broken
from mmarch.sanitize.soak import Round, Soaked
from mmarch.sanitize.violation import Violation

OPERATIONS = 6_000  # each more than one thing at a time
RARE, FEWEST_RARE = 6_000, 1_500
MANY = 50_000  # operations that are worth an image


@check(
    "tlb.random",
    hooks=("tlb_flush", "flush_tlb_range"),
    source="Documentation/core-api/cachetlb.rst",
    wide=True,
    limit=600,
)
def random_operations(context: Context) -> str:
    """Random operations leave nothing cached that permits more than the tables, and core-mm's books in order."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    wanted = context.operations or max(200, round(OPERATIONS * context.share))
    return run(context, soak.rounds(context.config(), wanted, context.seed), wanted)


@check(
    "tlb.rare",
    hooks=("tlb_flush", "flush_tlb_range"),
    source="the system calls' manual pages",
    wide=True,
    limit=600,
)
def rare_operations(context: Context) -> str:
    """Operations that programs seldom make, such as moves of whole tables and wrong calls, do the same."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    fewest = FEWEST_RARE // 3 if context.share < TINY else FEWEST_RARE
    wanted = max(fewest, round(RARE * context.share))
    return run(context, rare.rounds(context.config(), wanted, context.seed), wanted)


def run(context: Context, rounds: Iterable[Round], wanted: int) -> str:
    """CheckFailed for what is wrong first, with the shortest program that shows it; else what was done."""
    engine = "linked" if wanted >= MANY and not context.followed and links(context) else "direct"
    soaked = Soaked()
    for made in rounds:
        found = soak.run_round(made, soaked, engine)
        if found is not None:
            made, found = soak.shrink(made, found, engine)
            raise CheckFailed(f"{numbered(found)}\n  on      {made.name}", [show(row) for row in made.rows])
    return str(soaked)


def numbered(found: Violation | Broken) -> Violation | Broken:
    """With operations counted from 1, as the steps of a report are."""
    if isinstance(found, Broken):
        return replace(found, where=replace(found.where, row=found.where.row + 1))
    where, cause = (replace(place, row=place.row + 1) for place in (found.where, found.cause))
    return replace(found, where=where, cause=cause)


def links(context: Context) -> bool:
    """Whether the linked engine can run it."""
    made: Round = next(soak.rounds(context.config(), 1, 0))
    try:
        soak.machine(made, "linked")
    except NotLinkable:
        return False
    return True
