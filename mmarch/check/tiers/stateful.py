"""Tier stateful: random programs against the model, found and shrunk by hypothesis if it is installed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from mmarch.check.choices import writer
from mmarch.check.context import Context
from mmarch.check.driver import Driver
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import check
from mmarch.sanitize.random_rows import Row, block_pages
from mmarch.sanitize.shrinking import shortest

PROGRAMS, CALLS = 12, 40
SHRINKING = 60  # seconds


def failure(context: Context, orders: int, rows: Sequence[Row]) -> tuple[CheckFailed, int] | None:
    """What is wrong first in a program, everything compared after every call, and how many calls that took."""
    driver = Driver(context, orders, orders)
    for number, row in enumerate(rows, 1):
        try:
            driver.call(row)
            driver.compare()
        except CheckFailed as error:
            return error, number
    return None


def program(context: Context, rng: random.Random) -> tuple[int, tuple[Row, ...]]:
    """Orders of folios, of shared memory too, and calls; the first task is there already."""
    block = block_pages(context.geometry)
    usual = block | 1 << 2  # as masks: a folio of order n has 1 << n pages
    orders = rng.choice((usual, usual, 1 << context.geometry.pte_bits))
    return orders, writer(context, rng).write(CALLS + 1)[1:]


@check("stateful.random", hooks=(), source="the system calls' manual pages")
def random_programs(context: Context) -> None:
    """Random programs see what their users expect: contents, permissions, faults; bookkeeping and TLB agree."""
    for variant in context.variants():
        rng = variant.rng("programs")
        for _ in range(max(1, round(PROGRAMS * variant.share))):
            orders, rows = program(variant, rng)
            found = failure(variant, orders, rows)
            if found is not None:
                raise shortest(rows, found, lambda part: failure(variant, orders, part), SHRINKING)[0]  # noqa: B023 - called before the next turn


@check("stateful.machine", hooks=(), source="the system calls' manual pages", limit=600, long=True)
def state_machine(context: Context) -> None:
    """The same with programs that hypothesis chooses and shrinks."""
    try:
        from mmarch.check.hypothesis_machine import run_machine
    except ImportError as error:
        raise Skipped("hypothesis is not installed (pip install 'mmarch[check]')") from error
    run_machine(context)
