"""Tier stateful: aging that passes over page tables whose own accessed flag is clear."""

from __future__ import annotations

from core_mm.pgtable import pmd_off
from core_mm.uapi import (
    ACCESS_READ,
    MADV_NOHUGEPAGE,
    MADV_POPULATE_READ,
    OP_LRU_GEN_AGE,
    OP_MADVISE,
    OP_SWAPOFF,
    OP_TOUCH,
)
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, system
from mmarch.check.tiers.tlb import AT, mapped, ok
from mmarch.engine.direct import DirectMachine

PAGES = 80  # more than the 64 below which a process is not walked
ROUNDS = 3


def direct(s: System) -> DirectMachine:
    """The machine, whose functions can be called one by one."""
    assert isinstance(s.machine, DirectMachine)
    return s.machine


def entry(s: System) -> int:
    """Index of the PMD that points to the table of the pages."""
    mm = int(s.machine.memory.tables["TASK"]["mm"][2])
    return int(direct(s).bound(pmd_off)(mm, AT))


def young(s: System) -> int:
    """How many of the pages the aging has yet to find."""
    hooks, table = direct(s).hooks, s.machine.memory.arrays["ptes"]
    first = hooks["table_slot"](int(table[entry(s)])) * s.machine.memory.get("cfg", "ptrs_per_pte")
    first += AT // s.page % s.machine.memory.get("cfg", "ptrs_per_pte")
    return sum(bool(hooks["pte_young"](hooks["ptep_get"](first + i))) for i in range(PAGES))


@check(
    "stateful.aging",
    hooks=("arch_has_hw_nonleaf_pmd_young", "pmdp_test_and_clear_young", "mmu_access"),
    source="mm/vmscan.c:walk_pmd_range, should_skip_vma",
)
def aging(context: Context) -> None:
    """A gentle pass finds every access, if need be through the flag of the table; clearing that keeps the table."""
    for variant in context.variants():
        s = system(variant)
        if not direct(s).hooks["arch_has_hw_pte_young"]():
            continue
        mapped(s, PAGES)
        ok(
            s, OP_MADVISE, 1, AT + PAGES // 2 * s.page, PAGES // 4 * s.page, MADV_NOHUGEPAGE
        )  # VMAs share the table
        ok(s, OP_MADVISE, 1, AT, s.page, MADV_POPULATE_READ)  # no page waits for its place on a list
        table = direct(s).hooks["table_slot"](int(s.machine.memory.arrays["ptes"][entry(s)]))
        for _ in range(ROUNDS):
            ok(s, OP_TOUCH, 1, AT, PAGES, ACCESS_READ)
            ok(s, OP_LRU_GEN_AGE, 1, 1)
            now = int(s.machine.memory.arrays["ptes"][entry(s)])
            if direct(s).hooks["table_slot"](now) != table or direct(s).hooks["pmd_leaf"](now):
                raise CheckFailed(f"aging changes where a PMD points: {now:#x}{variant.where}", s.steps())
            if young(s):
                raise CheckFailed(
                    f"aging misses {young(s)} accessed pages of {PAGES}{variant.where}", s.steps()
                )
        ok(s, OP_TOUCH, 1, AT, PAGES, ACCESS_READ)
        ok(s, OP_SWAPOFF, 1)
        ok(s, OP_LRU_GEN_AGE, 1)
        if young(s) != PAGES:
            raise CheckFailed(
                f"without swap aging looks at {PAGES - young(s)} pages that cannot be reclaimed{variant.where}",
                s.steps(),
            )
        s.judge(variant.where)
