"""Tier batch: what an architecture counts of calls of its hooks, by the names that it has for that."""

from __future__ import annotations

from dataclasses import dataclass

from core_mm.vmstat import ARCH_EVENT, FOLD, UNFOLD
from mmarch.check.batching import batch
from mmarch.check.bench import Bench
from mmarch.check.context import Context
from mmarch.check.layouts import layouts
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.tiers.exact import batches, machines

SEVERAL = {  # hooks -> their function in the kernel, which is called for several entries alone
    "set_ptes": "set_ptes", "clear_ptes": "get_and_clear_full_ptes", "clear_full_ptes": "clear_full_ptes",
    "wrprotect_ptes": "wrprotect_ptes",
}  # fmt: skip
BLOCKS = (  # and those whose function is called for one entry of a block, too
    "clear_young_dirty_ptes", "ptep_get", "ptep_get_lockless", "ptep_set_access_flags", "ptep_test_and_clear_young",
    "test_and_clear_young_ptes", "ptep_clear_flush_young", "clear_flush_young_ptes",
)  # fmt: skip
READERS = "ptep_get", "ptep_get_lockless"
EDGES = "try_unfold_partial"  # of a batch that is cleared or protected
CONVERT = "convert"


@dataclass(frozen=True)
class Counted:
    """What was counted of a call.

    family   function, without what tells one entry from several -> its events
    changed  blocks that were folded or unfolded
    """

    family: dict[str, int]
    changed: int


def family(name: str) -> str:
    """Later releases age one entry by the function for several."""
    return name.removeprefix("ptep_").removesuffix("_ptes")


def events(context: Context) -> dict[str, list[int]]:
    """Family of functions -> numbers of their events: the name of a function, after that of the mechanism."""
    names = (*SEVERAL.values(), *BLOCKS, EDGES, CONVERT)
    found: dict[str, list[int]] = {}
    for number, event in enumerate(context.arch.events):
        if (function := event.partition("_")[2]) in names:
            found.setdefault(family(function), []).append(ARCH_EVENT + number)
    return found


@check(
    "batch.events",
    hooks=(*SEVERAL, *BLOCKS),
    requires=("contiguous",),
    source="docs/reference/events.md; arch/arm64/include/asm/pgtable.h",
)
def call_events(context: Context) -> None:
    """An event named after a function of batches or blocks counts its calls: for several entries, or one of a block."""
    model, known = context.arch.tlb_model, events(context)
    if model is None or not known:
        return
    for made in machines(context):
        shared = made.bench()
        if not shared.has_blocks:
            continue
        bench = made.bench(counting=True)
        for layout in list(layouts(made, bench))[:: 1 if made.cpu == context.cpu else 2]:
            for start, nr in batches(bench.block):
                for hook in (*SEVERAL, *BLOCKS):
                    layout.restore(bench)
                    several = nr > 1 and hook.endswith("_ptes")
                    block = bool(int(layout.raw[start]) & model.cont_mask)
                    counted = of_call(bench, known, hook, start, nr)
                    if wrong := told(known, counted, hook, several, block):
                        what = f"{hook}(start={start}, nr={nr}) on {layout.name}{made.where}"
                        raise CheckFailed(f"{what} counts {wrong}", layout.steps)


def of_call(bench: Bench, known: dict[str, list[int]], hook: str, start: int, nr: int) -> Counted:
    """Call it, on entries that it may be called for."""
    if hook == "set_ptes":
        pte = bench.hook.ptep_get(bench.ptep(start))
        bench.clear_table()
    before = bench.machine.counts().sum(axis=(0, 1))
    if hook == "set_ptes":
        bench.set(start, pte, nr)
    elif hook in READERS:
        getattr(bench.hook, hook)(bench.ptep(start))
    elif hook == "ptep_set_access_flags":
        entry = bench.hook.pte_mkyoung(int(bench.table[start]))
        bench.hook.ptep_set_access_flags(bench.vma, bench.addr(start), bench.ptep(start), entry, 0)
    else:
        batch(bench, hook, start, nr)
    now = bench.machine.counts().sum(axis=(0, 1)) - before
    return Counted(
        {name: int(now[numbers].sum()) for name, numbers in known.items()}, int(now[FOLD] + now[UNFOLD])
    )


def told(known: dict[str, list[int]], counted: Counted, hook: str, several: bool, block: bool) -> str:
    """What is counted and was not so, "" if nothing."""
    own = family(SEVERAL.get(hook, hook))
    expected = {own: int(several or (block and hook in BLOCKS)), CONVERT: counted.changed}
    if hook in SEVERAL and hook != "set_ptes":
        expected[EDGES] = int(several)
    for name, number in expected.items():
        if name in known and counted.family[name] != number:
            return f"{counted.family[name]} calls of {name}; right is {number}"
    return ""
