"""Tier stateful: what common operations may cost at most, against bugs that lose nothing but time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core_mm import folio
from core_mm.uapi import (
    ACCESS_WRITE,
    FILE_SHMEM,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    OP_MMAP,
    OP_MREMAP,
    OP_TOUCH,
)
from core_mm.vmstat import FAULT, FOLD, UNFOLD
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, system
from mmarch.engine.direct import Bound
from mmarch.sanitize.random_rows import block_pages

AT, ELSEWHERE, RW = 0x10000000, 0x50000000, 3
BLOCKS = 4


def done(machine: System, *row: int) -> None:
    """An operation that has to succeed."""
    if machine.do(*row) < 0:
        raise CheckFailed("an operation fails", machine.steps())


@check(
    "stateful.effort-fault",
    hooks=("set_ptes",),
    level="should",
    source="mm/memory.c:finish_fault, 43e027e41423",
)
def faults(context: Context) -> None:
    """A fault in a folio of shared memory maps all of it: its other pages do not fault, no block is folded later."""
    for variant in context.variants():
        block = block_pages(variant.geometry)
        orders = 1 << block.bit_length() - 1
        machine = system(variant, files=((FILE_SHMEM, 8 << 20),), changes={"shmem_orders": orders})
        pages = BLOCKS * block
        done(machine, OP_MMAP, 1, AT, pages * machine.page, RW, MAP_SHARED | MAP_FIXED, 0, 0)
        done(machine, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)
        taken, converted = machine.count(FAULT), machine.count(FOLD) + machine.count(UNFOLD)
        if taken > BLOCKS or converted:
            raise CheckFailed(
                f"writing to {BLOCKS} folios of {block} pages takes {taken} faults and folds or unfolds {converted} "
                f"times; one fault a folio and none are enough{variant.where}", machine.steps(),
            )  # fmt: skip


@check("stateful.effort-mremap", level="should", source="mm/mremap.c:mremap_folio_pte_batch")
def mremap(context: Context) -> None:
    """Moving pages that the architecture gives no hint for looks at none of their folios."""
    for variant in context.variants():
        looked = Counted()
        machine = system(
            variant, instead={folio.page_folio: looked.watch}, changes={"anon_orders": 0, "overrides": {}}
        )
        pages, size = 32, 32 * machine.page
        done(machine, OP_MMAP, 1, AT, size, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
        done(machine, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)
        looked.calls = 0
        done(machine, OP_MREMAP, 1, AT, size, size, 3, ELSEWHERE)
        if looked.calls:
            raise CheckFailed(
                f"mremap of {pages} single pages looks {looked.calls} times at a folio{variant.where}",
                machine.steps(),
            )


class Counted:
    """A function of core-mm whose calls are counted."""

    def __init__(self) -> None:
        self.calls = 0

    def watch(self, original: Bound) -> Bound:
        """What replaces it."""
        counted: Callable[..., Any] = original

        def call(*arguments: int) -> Any:
            self.calls += 1
            return counted(*arguments)

        return call
