"""Tier stateful: random programs of which every allocation fails once."""

from __future__ import annotations

from itertools import islice

from mmarch.check.context import TINY, Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.system import show
from mmarch.check.tiers.tlb_random import links, numbered
from mmarch.sanitize import failing
from mmarch.sanitize.failing import Failed, Failures

PROGRAMS, FEWEST, FEWEST_TINY = 16, 5, 2
MANY = 200  # programs that are worth an image
ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}


@check("stateful.allocations", hooks=(), source="Documentation/fault-injection/fault-injection.rst: fail-nth")
def failing_allocations(context: Context) -> str:
    """A call of which the n-th allocation fails, for every n, leaks nothing, loses nothing, leaves nothing cached."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    fewest = FEWEST_TINY if context.share < TINY else FEWEST
    wanted = context.programs or max(fewest, round(PROGRAMS * context.share))
    engine = "linked" if wanted >= MANY and links(context) else "direct"
    failures = Failures()
    for made in islice(failing.programs(context.config(), context.seed), wanted):
        found = failing.run(made, failures, engine)
        if found is not None:
            found = failing.shrink(made, found, engine)
            raise CheckFailed(f"{numbered(found.what)}\n  on      {made.name}", steps(found))
    return str(failures)


def steps(found: Failed) -> list[str]:
    """The calls, and which of their allocations failed."""
    return [
        show(row) + (f", of which the {ORDINALS.get(nth, f'{nth}th')} allocation fails" if nth else "")
        for row, nth in found.calls
    ]
