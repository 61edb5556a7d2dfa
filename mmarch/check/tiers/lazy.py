"""Tier batch: in a lazy MMU section changes may wait, but for no longer than core-mm takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core_mm import lazy_mmu
from mmarch.check.batching import batch
from mmarch.check.bench import Bench, View
from mmarch.check.context import TINY, Context
from mmarch.check.layouts import Layout, layouts, ranges
from mmarch.check.lazy import ENTER, FLUSH, LEAVE
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check

Change = Callable[[Bench, int, int], object]
Calls = tuple[Callable[[], int], ...]
A_LAYOUT = 6  # ranges


def protect(bench: Bench, start: int, nr: int) -> None:
    """As mprotect does."""
    at = bench.vma, bench.addr(start), bench.ptep(start)
    old = bench.hook.modify_prot_start_ptes(*at, nr)
    bench.hook.modify_prot_commit_ptes(*at, old, bench.hook.pte_wrprotect(old), nr)


def reinstall(bench: Bench, start: int, nr: int) -> None:
    """As mremap does."""
    pte = batch(bench, "clear_ptes", start, nr)
    bench.set(start, pte, nr)


CHANGES: dict[str, Change] = {
    "clear_ptes": lambda bench, start, nr: batch(bench, "clear_ptes", start, nr),
    "clear_full_ptes": lambda bench, start, nr: batch(bench, "clear_full_ptes", start, nr),
    "wrprotect_ptes": lambda bench, start, nr: batch(bench, "wrprotect_ptes", start, nr),
    "clear_young_dirty_ptes": lambda bench, start, nr: batch(bench, "clear_young_dirty_ptes", start, nr),
    "test_and_clear_young_ptes": lambda bench, start, nr: batch(
        bench, "test_and_clear_young_ptes", start, nr
    ),
    "modify_prot_start_ptes, modify_prot_commit_ptes": protect,
    "clear_ptes, set_ptes": reinstall,
}


def endings(nesting: bool) -> dict[str, tuple[Calls, Calls]]:
    """What makes changes take effect, and what then has to be done to have left the section."""
    begin, end = lazy_mmu.lazy_mmu_mode_enable, lazy_mmu.lazy_mmu_mode_disable
    pause, resume = lazy_mmu.lazy_mmu_mode_pause, lazy_mmu.lazy_mmu_mode_resume
    found: dict[str, tuple[Calls, Calls]] = {"the section's end": ((end,), ())}
    if nesting:
        found |= {"the end of an inner section": ((begin, end), (end,)), "a pause": ((pause,), (resume, end))}
    return found


def cases(context: Context, bench: Bench) -> Iterator[tuple[str, Layout, int, int]]:
    """Every change on a few ranges of every layout."""
    few = 1 if context.share < TINY else A_LAYOUT
    for layout in layouts(context, bench):
        every = ranges(context, bench.block, f"lazy {layout.name}")
        for start, nr in every[:: max(1, len(every) // few)][:few]:
            for name in CHANGES:
                yield name, layout, start, nr


@check(
    "batch.lazy",
    hooks=(ENTER, LEAVE, FLUSH, "ptep_get"),
    source="include/linux/pgtable.h:lazy_mmu_mode_enable",
)
def waiting(context: Context) -> None:
    """In lazy MMU mode changes may wait until a section ends or is paused, and reads through hooks see them before."""
    for variant in context.variants():
        bench = variant.bench()
        ends = endings(bool(bench.machine.feature.lazy_mmu_nesting))
        for name, layout, start, nr in cases(variant, bench):
            layout.restore(bench)
            CHANGES[name](bench, start, nr)
            table, views = bench.table.copy(), bench.looks(0, len(layout.views))
            change = f"{name}(start={start}, nr={nr})"
            for ending, (calls, rest) in ends.items():
                layout.restore(bench)
                run(bench, (lazy_mmu.lazy_mmu_mode_enable,))
                CHANGES[name](bench, start, nr)
                seen = bench.looks(0, len(layout.views))
                run(bench, calls)
                made = bench.table.copy()
                run(bench, rest)
                wrong = unseen(seen, views) or unmade(bench, made, table, ending)
                if wrong:
                    steps = (*layout.steps, "a lazy MMU section begins", change, f"then {ending}")
                    raise CheckFailed(f"{change} on {layout.name}{variant.where}: {wrong}", steps)


def run(bench: Bench, calls: Calls) -> None:
    """Functions of core-mm, one after the other."""
    for call in calls:
        bench.core(call)()


def unseen(seen: Sequence[View], views: Sequence[View]) -> str | None:
    """An entry that does not read as changed while the change may wait."""
    for index, (now, expected) in enumerate(zip(seen, views, strict=True)):
        if now != expected:
            return f"within the section entry {index} reads as {now}, expected {expected}"
    return None


def unmade(bench: Bench, made: NDArray[np.int64], table: NDArray[np.int64], ending: str) -> str | None:
    """An entry that is not as changed when it has to be."""
    for index in np.flatnonzero(made != table).tolist():
        now, expected = bench.view(int(made[index])), bench.view(int(table[index]))
        return f"after {ending} entry {index} is {now}, expected {expected}"
    return None
