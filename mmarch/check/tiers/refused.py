"""Tier tlb: an architecture that will not let a page go to swap, or be moved."""

from __future__ import annotations

from itertools import product

from mmarch.check.context import Context
from mmarch.check.outcome import Skipped
from mmarch.check.registry import check
from mmarch.check.tiers.corners import child_gave_up, hole_in_swap, in_swap, prepared, shared_in_part
from mmarch.check.tiers.scenarios import passes
from mmarch.engine.direct import DirectMachine
from mmarch.sanitize import soak

EIO = 5
HOOKS = ("arch_unmap_one", "arch_prepare_to_swap")
EVERY = (1, 2)  # how often it refuses: always, and of two pages one
PROGRAMS = (in_swap, hole_in_swap, shared_in_part, child_gave_up)


@check(
    "tlb.refused",
    hooks=HOOKS,
    source="mm/rmap.c:try_to_unmap_one, try_to_migrate_one; mm/page_io.c:swap_writeout",
)
def refused(context: Context) -> str:
    """A page that the architecture does not let go stays: mapped as it was, with its contents, and no slot of swap."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    for program, hook, every in product(PROGRAMS, HOOKS, EVERY):
        made = prepared(context, program)
        machine = soak.machine(made, "direct")
        refuse(machine, hook, every)
        passes(made, f"{program.__name__} where {hook} fails", context.where, machine)
    return f"{len(PROGRAMS)} programs"


def refuse(machine: object, hook: str, every: int) -> None:
    """From now on the hook fails for the first of `every` pages."""
    assert isinstance(machine, DirectMachine)
    winner, calls = machine.cells[hook]["target"], 0

    def refusing(*arguments: int) -> int:
        nonlocal calls
        calls += 1
        return -EIO if calls % every == 1 % every else int(winner(*arguments))

    machine.cells[hook]["target"] = refusing
