"""Tier tlb: an architecture that will not let a page go to swap, or be moved."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, product

from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.check.tiers.corners import child_gave_up, hole_in_swap, in_swap, prepared, shared_in_part
from mmarch.check.tiers.scenarios import passes
from mmarch.engine.direct import DirectMachine
from mmarch.sanitize import soak

EIO = 5
UNMAP, PREPARE = HOOKS = "arch_unmap_one", "arch_prepare_to_swap"
EVERY = (1, 2)  # how often it refuses: always, and of two pages one
Pageout = Callable[[int, int], tuple[int, int]]
PROGRAMS = (in_swap, hole_in_swap, shared_in_part, child_gave_up)


@check(
    "tlb.refused",
    hooks=HOOKS,
    source="mm/rmap.c:try_to_unmap_one, try_to_migrate_one; mm/page_io.c:swap_writeout",
    turns=True,
)
def refused(context: Context) -> str:
    """A page that the architecture does not let go stays: mapped as it was, with its contents, and no slot of swap."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    cases = list(product(PROGRAMS, HOOKS, EVERY))
    for program, hook, every in context.rng("aside").sample(cases, len(HOOKS)) if context.aside else cases:
        made = prepared(context, program)
        machine = soak.machine(made, "direct")
        refuse(machine, hook, every)
        passes(made, f"{program.__name__} where {hook} fails", context.where, machine)
    return f"{len(PROGRAMS)} programs"


def refuse(machine: object, hook: str, every: int) -> None:
    """From now on the hook fails for the first of `every` pages, and core-mm has to do what its contract says."""
    assert isinstance(machine, DirectMachine)
    winner, setter = machine.cells[hook]["target"], machine.cells["set_ptes"]["target"]
    asked = count()
    told: list[tuple[bool, tuple[int, ...]]] = []  # whether it failed, and with what, until core-mm heeds it

    def refusing(*arguments: int) -> int:
        fails = next(asked) % every == 0
        told[:] = [(fails, arguments)]
        return -EIO if fails else int(winner(*arguments))

    def set_ptes(mm: int, addr: int, ptep: int, pte: int, nr: int) -> int:
        if told and hook == UNMAP:
            fails, (owner, _, where, orig) = told.pop()
            if fails != ((mm, addr, pte, nr) == (owner, where, orig, 1)):
                way = "fails for" if fails else "lets go"
                raise CheckFailed(
                    f"{UNMAP} {way} {where:#x}, whose entry {orig:#x} is {'not ' * fails}put back"
                )
        return int(setter(mm, addr, ptep, pte, nr))

    def watched(pageout: Pageout) -> Pageout:
        def written(folio: int, top: int) -> tuple[int, int]:
            result = pageout(folio, top)
            if told and hook == PREPARE and told.pop()[0] == result[0]:
                way = "goes to swap all the same" if result[0] else "stays, though nothing is in its way"
                raise CheckFailed(f"{PREPARE} was asked of folio {folio:#x}, which {way}")
            return result

        return written

    machine.cells[hook]["target"] = refusing
    machine.cells["set_ptes"]["target"] = set_ptes
    machine.shadow("pageout", watched, "core_mm", "")
