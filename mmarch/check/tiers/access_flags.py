"""Tier batch: what hooks that add rights to an entry say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from core_mm.pgtable import pmd_off
from mmarch.check.bench import Bench
from mmarch.check.context import Context
from mmarch.check.layouts import BLOCKS, layouts
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check


@dataclass
class Sayings:
    """Of hooks of one machine.

    unchanged  what it has said of entries that were as they should be already
    """

    where: str
    unchanged: set[bool]

    def hear(self, what: str, table: NDArray[np.int64], same: bool, call: Callable[[], int]) -> bool:
        """Call it; whether it has changed the table, CheckFailed if it does not say so."""
        before = table.copy()
        said, changed = bool(call()), bool((table != before).any())
        if changed and not said:
            raise CheckFailed(f"{what}{self.where} changes the entry and says that it does not")
        if same and not changed:
            self.unchanged.add(said)
        if len(self.unchanged) > 1:
            raise CheckFailed(
                f"{what}{self.where} says {said} of an entry that it leaves as it should be, and has said otherwise"
            )
        return changed


@check(
    "batch.access-flags-said",
    hooks=("ptep_set_access_flags", "pmdp_set_access_flags"),
    source="mm/memory.c:handle_pte_fault; mm/huge_memory.c:touch_pmd",
)
def access_flags_said(context: Context) -> None:
    """Who adds rights to an entry says so; a second time nothing is left to add, which is said alike of all."""
    for variant in context.variants():
        bench, sayings = variant.bench(), Sayings(variant.where, set())
        leaves(bench, sayings)
        entries(variant, bench, sayings, "wr" if variant.cpu == context.cpu else "w")


def wanted(bench: Bench, entry: int) -> Iterator[tuple[int, int]]:
    """What faults make of an entry, and whether they write: it is as it is, it is young, it is written."""
    hook = bench.hook
    yield entry, 0
    yield hook.pte_mkyoung(entry), 0
    yield hook.pte_mkwrite(hook.pte_mkdirty(hook.pte_mkyoung(entry))), 1


def entries(context: Context, bench: Bench, sayings: Sayings, perms: str) -> None:
    """Of entries of every layout."""
    hook, block = bench.hook, bench.block
    table = bench.table[: BLOCKS * block]
    for layout in layouts(context, bench, perms):
        for start in (0, block // 2, block - 1, block, 2 * block + 1, BLOCKS * block - 2):
            layout.restore(bench)
            at = bench.vma, bench.addr(start), bench.ptep(start)
            for entry, dirty in wanted(bench, hook.ptep_get(at[2])):
                what = f"ptep_set_access_flags(start={start}, dirty={dirty}) on {layout.name}"
                for again in (False, True):
                    same = bool(hook.pte_same(hook.ptep_get(at[2]), entry))
                    call = partial(hook.ptep_set_access_flags, *at, entry, dirty)
                    changed = sayings.hear(what, table, same, call)
                    if again and changed:
                        raise CheckFailed(f"{what}{context.where} changes the entry a second time", layout.steps)


def leaves(bench: Bench, sayings: Sayings) -> None:
    """Of PMD leaves."""
    hook = bench.hook
    addr = bench.first_addr + bench.entries * bench.page
    pmdp, table = bench.core(pmd_off)(bench.mm, addr), bench.machine.memory.arrays["ptes"]
    leaf, before = table[pmdp : pmdp + 1], int(table[pmdp])
    try:
        for perm, young in (("w", 0), ("w", 1), ("r", 0), ("r", 1)):
            value = bench.value(5 * bench.entries, perm, young=young)
            leaf[0] = hook.pmd_mkhuge(value)
            for entry, dirty in wanted(bench, value):
                pmd, what = hook.pmd_mkhuge(entry), f"pmdp_set_access_flags(dirty={dirty})"
                for again in (False, True):
                    call = partial(hook.pmdp_set_access_flags, bench.vma, addr, pmdp, pmd, dirty)
                    changed = sayings.hear(what, leaf, int(leaf[0]) == pmd, call)
                    if again and changed:
                        raise CheckFailed(f"{what}{sayings.where} changes the leaf a second time")
    finally:
        leaf[0] = before
