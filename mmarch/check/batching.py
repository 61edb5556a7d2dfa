"""Running a batch hook on every range of every layout, and what may change outside the range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmarch.check.bench import NONE, PRESENT, Bench, View
from mmarch.check.context import Context
from mmarch.check.layouts import BLOCKS, Layout, layouts, ranges
from mmarch.check.outcome import CheckFailed

MANY = 64  # entries

Apply = Callable[[Bench, int, int], int]
Inside = Callable[[View, View], bool]
Result = Callable[[Bench, int, Sequence[View]], "str | None"]


@dataclass(frozen=True)
class Operation:
    """A batch hook and what it promises.

    apply   run it on (bench, start, nr)
    inside  whether the view after suits the view before, for entries of the batch
    result  what is wrong with the value returned, given the views of the batch before; None if nothing
    clears  of "young" and "dirty": what it may also clear in the rest of a block that it touches
    """

    name: str
    apply: Apply
    inside: Inside
    result: Result | None = None
    clears: str = ""


def sweep(
    context: Context, operation: Operation, perms: str = "w", keep: Callable[[Layout], bool] = bool
) -> None:
    """Every range on every layout, for this context and its variants; CheckFailed at the first, smallest one."""
    for variant in context.variants():
        bench = variant.bench()
        for layout in layouts(variant, bench, perms):
            for start, nr in ranges(variant, bench.block, layout.name):
                layout.restore(bench)
                one(variant, bench, layout, operation, start, nr)


def one(context: Context, bench: Bench, layout: Layout, operation: Operation, start: int, nr: int) -> None:
    """One range on one layout."""
    step = f"{operation.name}(start={start}, nr={nr})"
    steps = (*layout.steps, step)
    try:
        result = operation.apply(bench, start, nr)
    except CheckFailed as error:
        raise CheckFailed(f"{step} on {layout.name}{context.where}: {error}", steps) from None
    wrong = judge(bench, layout, operation, start, nr, result)
    if wrong:
        raise CheckFailed(f"{step} on {layout.name}{context.where}: {wrong}", steps)


def judge(bench: Bench, layout: Layout, operation: Operation, start: int, nr: int, result: int) -> str | None:
    """What is wrong after an operation, or None."""
    before = layout.views
    if operation.result:
        wrong = operation.result(bench, result, before[start : start + nr])
        if wrong:
            return wrong
    for index in looked_at(start, nr, bench.block):
        after = bench.look(index)
        if not operation.inside(before[index], after):
            return f"entry {index} of the batch was {before[index]} and is {after}"
    return outside(bench, layout, operation, start, nr)


def looked_at(start: int, nr: int, block: int) -> Sequence[int]:
    """Entries of a batch to look at: all, or of a long one the ends, the borders of blocks and a few between."""
    if nr <= MANY:
        return range(start, start + nr)
    borders = [i for i in range(start, start + nr) if i % block == 0 or i % block == block - 1]
    return sorted({*borders, start, start + 1, start + nr - 1, *range(start, start + nr, nr // 8)})


def outside(bench: Bench, layout: Layout, operation: Operation, start: int, nr: int) -> str | None:
    """Entries that do not belong to the batch: only A/D may change, and only within a block that it touches."""
    changed = np.flatnonzero(bench.table != layout.raw).tolist()
    touched = {index // bench.block for index in changed}
    indices = (
        range(len(layout.views)) if bench.block <= MANY else {*changed, *looked_at(0, len(layout.views), 16)}
    )
    for index in indices:
        if start <= index < start + nr or index // bench.block not in touched or index >= len(layout.views):
            continue
        shares = (
            bench.has_blocks
            and start // bench.block <= index // bench.block <= (start + nr - 1) // bench.block
        )
        was, now = layout.views[index], bench.look(index)
        if not may_become(was, now, shares, operation.clears):
            return f"entry {index}, outside the batch, was {was} and is {now}"
    far = [index for index in changed if index >= BLOCKS * bench.block + 2]
    return f"entry {far[0]}, far from the batch, was written" if far else None


def may_become(was: View, now: View, shares: bool, clears: str) -> bool:
    """Whether a neighbour may look like this afterwards; `shares` a block with the batch."""
    if was == now:
        return True
    if not shares or was.kind != PRESENT or now.kind != PRESENT:
        return False
    if was.but(young=0, dirty=0) != now.but(young=0, dirty=0):
        return False
    lost_young = was.young and not now.young and "young" not in clears
    lost_dirty = was.dirty and not now.dirty and "dirty" not in clears
    return not lost_young and not lost_dirty


# -- calls -----------------------------------------------------------------------------

_VMA = (  # hooks that take a VMA, the others take an mm
    "test_and_clear_young_ptes", "clear_flush_young_ptes", "clear_young_dirty_ptes", "ptep_test_and_clear_young",
    "ptep_clear_flush_young", "modify_prot_start_ptes", "ptep_modify_prot_start",
)  # fmt: skip
_SINGLE = (
    "ptep_set_wrprotect", "pte_clear", "ptep_get_and_clear", "ptep_test_and_clear_young", "ptep_clear_flush_young",
    "ptep_modify_prot_start",
)  # fmt: skip
_LAST = {"clear_ptes": 0, "clear_full_ptes": 0, "clear_not_present_full_ptes": 0, "clear_young_dirty_ptes": 3}


def batch(bench: Bench, name: str, start: int, nr: int, last: int | None = None) -> int:
    """Call a hook by name on [start, start + nr), or on `start` alone; `last` is its last argument if it has one."""
    owner = bench.vma if name in _VMA else bench.mm
    arguments = [owner, bench.addr(start), bench.ptep(start)]
    if name not in _SINGLE:
        arguments.append(nr)
    if name in _LAST:
        arguments.append(_LAST[name] if last is None else last)
    return int(getattr(bench.hook, name)(*arguments))


def hook(name: str, last: int | None = None) -> Apply:
    """That, as the action of an Operation."""

    def apply(bench: Bench, start: int, nr: int) -> int:
        return batch(bench, name, start, nr, last)

    return apply


# -- common promises ------------------------------------------------------------------


def is_none(before: View, after: View) -> bool:
    """The entry is gone."""
    return after.kind == NONE


def first_with_or(bench: Bench, result: int, before: Sequence[View]) -> str | None:
    """The first entry, with accessed and dirty of all."""
    young, dirty = max(v.young for v in before), max(v.dirty for v in before)
    expected = before[0].but(young=young, dirty=dirty)
    seen = bench.view(result)
    if seen == expected:
        return None
    return (
        f"returned {seen}, expected {expected}: the first entry with accessed and dirty OR-ed over the batch"
    )


def any_young(bench: Bench, result: int, before: Sequence[View]) -> str | None:
    """Whether any was young."""
    expected = max(v.young for v in before)
    return (
        None
        if bool(result) == bool(expected)
        else f"returned {result}, expected {expected}: whether any was young"
    )
