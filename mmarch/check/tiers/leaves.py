"""Tier batch: PMD leaves that are cleared, made invalid or old."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from core_mm.pgtable import pmd_off
from mmarch.check.bench import Bench, View
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check

CLEARS = ("pmdp_huge_get_and_clear", "pmdp_huge_get_and_clear_full")
INVALIDATES = ("pmdp_invalidate", "pmdp_invalidate_ad")
YOUNG = ("pmdp_test_and_clear_young", "pmdp_clear_flush_young")


def call(bench: Bench, name: str, addr: int, pmdp: int) -> int:
    """One of them."""
    hook: Callable[..., int] = getattr(bench.hook, name)
    if name == "pmdp_huge_get_and_clear":
        return hook(bench.mm, addr, pmdp)
    return hook(bench.vma, addr, pmdp, *((0,) if name in CLEARS else ()))


def leaves(bench: Bench) -> Iterator[int]:
    """Of every protection, accessed and dirty or not."""
    for perm in ("r", "w", "x", "s"):
        for state in range(4):
            yield bench.hook.pmd_mkhuge(bench.value(5 * bench.entries, perm, state & 1, state >> 1))


@check(
    "batch.pmd-clear", hooks=(*CLEARS, *INVALIDATES), source="mm/huge_memory.c:zap_huge_pmd, change_huge_pmd"
)
def cleared(context: Context) -> None:
    """Clearing or invalidating a leaf returns it as it was; it leaves nothing, or the leaf, which hardware ignores."""
    for variant in context.variants():
        bench = variant.bench()
        addr = bench.first_addr + bench.entries * bench.page
        pmdp, table = bench.core(pmd_off)(bench.mm, addr), bench.machine.memory.arrays["ptes"]
        before = int(table[pmdp])
        for leaf in leaves(bench):
            for name in (*CLEARS, *INVALIDATES):
                bench.hook.set_pmd_at(bench.mm, addr, pmdp, leaf)
                old, now = call(bench, name, addr, pmdp), int(table[pmdp])
                table[pmdp] = before
                was, seen = pmd_view(bench, leaf), pmd_view(bench, old)
                if seen != was:
                    raise CheckFailed(f"{name} of a leaf {was}{variant.where} returned {seen}")
                if not (bench.hook.pmd_none(now) if name in CLEARS else invalid(bench, now, was)):
                    raise CheckFailed(f"{name} of a leaf {was}{variant.where} left {pmd_view(bench, now)}")


@check(
    "batch.pmd-young",
    hooks=YOUNG,
    source="mm/pgtable-generic.c:pmdp_clear_flush_young; mm/vmscan.c:walk_pmd_range",
)
def made_old(context: Context) -> None:
    """Whoever clears a leaf's accessed flag learns whether it was set, and leaves everything else as it was."""
    for variant in context.variants():
        bench = variant.bench()
        addr = bench.first_addr + bench.entries * bench.page
        pmdp, table = bench.core(pmd_off)(bench.mm, addr), bench.machine.memory.arrays["ptes"]
        before = int(table[pmdp])
        for leaf, name in product(leaves(bench), YOUNG):
            bench.hook.set_pmd_at(bench.mm, addr, pmdp, leaf)
            young, now = getattr(bench.hook, name)(bench.vma, addr, pmdp), int(table[pmdp])
            table[pmdp] = before
            was, seen = pmd_view(bench, leaf), pmd_view(bench, now)
            if bool(young) != bool(was.young):
                raise CheckFailed(f"{name} of a leaf {was}{variant.where} returned {young}")
            if seen != was.but(young=0):
                raise CheckFailed(f"{name} of a leaf {was}{variant.where} left {seen}")


def pmd_view(bench: Bench, pmd: int) -> View:
    """What core-mm sees in a leaf."""
    return bench.view(bench.hook.pmd_pte(pmd))


def invalid(bench: Bench, pmd: int, was: View) -> bool:
    """A leaf of the same frame through which nothing is translated."""
    seen = pmd_view(bench, pmd)
    return bool(bench.hook.pmd_leaf(pmd)) and not seen.valid and seen.pfn == was.pfn
