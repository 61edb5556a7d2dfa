"""Tier batch: frames far beyond the memory map, as devices have them."""

from __future__ import annotations

from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check

NR = 8  # shorter than any block
HIGHEST = 28  # bits of a frame number


@check(
    "batch.set-far",
    hooks=("set_ptes", "pte_advance_pfn"),
    source="arch/arm64/include/asm/pgtable.h:set_ptes, Fixes 4a169d61c2ed",
)
def set_far(context: Context) -> None:
    """set_ptes over every power of two maps consecutive frames with equal permissions, also where no page is."""
    for variant in context.variants():
        bench = variant.bench()
        for bit in range(4, HIGHEST):
            for perm in ("r", "s"):
                pfn = (1 << bit) - NR // 2
                pte = bench.hook.pte_mkspecial(bench.value(pfn, perm))
                bench.clear_table()
                bench.set(1, pte, NR)
                first = bench.view(pte)
                for i in range(NR):
                    seen = bench.look(1 + i)
                    if seen != first.but(pfn=pfn + i):
                        raise CheckFailed(
                            f"set_ptes of {NR} entries from frame {pfn:#x} on{variant.where}: entry {i} is {seen}, "
                            f"expected {first.but(pfn=pfn + i)}"
                        )
