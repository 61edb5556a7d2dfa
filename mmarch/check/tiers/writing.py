"""Tier stateful: of what sizes the folios are that writing makes."""

from __future__ import annotations

from collections.abc import Iterator

from core_mm.mm_types import PG_ORDER_SHIFT
from core_mm.uapi import FILE_TMPFS_HUGE, OP_PWRITE
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, system
from mmarch.check.tiers.tlb import ok
from mmarch.engine.direct import DirectMachine

WRITES = (
    (0, 1),
    (0, 5),
    (3, 9),
    (4, 4),
    (6, 2),
    (7, 1),
    (8, 24),
    (12, 40),
    (1, 16),
    (64, 70),
)  # first page, pages


@check(
    "stateful.write-orders",
    source='Documentation/admin-guide/mm/transhuge.rst: tmpfs, "the size of write"; acd7ccb284b8',
    wide=True,
    turns=True,
)
def write_orders(context: Context) -> str:
    """A write to a tmpfs of huge=always makes the largest folios that it fills, or, on other releases, huge ones."""
    huge = 1 << context.geometry.pte_bits
    file = FILE_TMPFS_HUGE, 2 * huge << context.geometry.page_shift
    s = system(context, files=[file] * len(WRITES), changes={"memory": 4 * len(WRITES) * file[1]})
    assert isinstance(s.machine, DirectMachine)
    filled = bool(s.machine.feature.tmpfs_write_orders)
    for number, (first, pages) in enumerate(WRITES):
        ok(s, OP_PWRITE, 1, number, first * s.page, pages * s.page, pages * s.page)
        right = list(folios(first, pages) if filled else [(0, huge)])
        if (found := list(cached(s, number + 1))) != right:
            raise CheckFailed(
                f"a write of {pages} pages from page {first} on makes folios (first page, pages) {found}; "
                f"right is {right}{context.where}",
                s.steps()[-1:],
            )
    return f"{len(WRITES)} writes"


def folios(first: int, pages: int) -> Iterator[tuple[int, int]]:
    """Those that a write fills: each as large as its place and what is left to write allow."""
    end = first + pages
    while first < end:
        nr = 1 << (end - first).bit_length() - 1
        while first % nr:
            nr //= 2
        yield first, nr
        first += nr


def cached(s: System, inode: int) -> Iterator[tuple[int, int]]:
    """The folios of a file."""
    memory = s.machine.memory
    inodes, page = memory.tables["INODE"], memory.tables["PAGE"]
    at, index = int(inodes["first"][inode]), 0
    while index < inodes["pages"][inode]:
        frame = int(memory.arrays["i_pages"][at + index])
        nr = 1 << (int(page["flags"][frame]) >> PG_ORDER_SHIFT) if frame > 0 else 1
        if frame > 0:
            yield index, nr
        index += nr
