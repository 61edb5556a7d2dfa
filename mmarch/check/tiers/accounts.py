"""Tier stateful: choices of core-mm that nobody sees in what a program reads, against second accounts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    COLUMNS,
    MADV_COLD,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_HUGEPAGE,
    MADV_NOHUGEPAGE,
    MADV_PAGEOUT,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    OP_EXIT,
    OP_FORK,
    OP_LRU_GEN_AGE,
    OP_MADVISE,
    OP_MMAP,
    OP_SPAWN,
    OP_TOUCH,
)
from mmarch.check.batches import Batches
from mmarch.check.context import Context
from mmarch.check.reclaiming import Reclaiming
from mmarch.check.registry import check
from mmarch.check.system import books_in_order, run_rows
from mmarch.engine.direct import DirectMachine
from mmarch.sanitize import rare, soak

OPERATIONS, FEWEST, RARE = 1_200, 450, 150
EACH = 150  # operations of one machine
CROWDED = 4  # machines whose programs keep to little memory, the last one without swap
AT, HUGE, RW, PAGES = 1 << 34, 1 << 35, 3, 128
PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
ADVICE = (MADV_PAGEOUT,) * 4 + (MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_HUGEPAGE, MADV_NOHUGEPAGE)


@check(
    "stateful.accounts",
    source="mm/memory.c:alloc_anon_folio, alloc_swap_folio, zap_present_ptes; mm/swap.c; mm/vmscan.c:shrink_folio_list",
    turns=True,
)
def accounts(context: Context) -> str:
    """Folios are as large, batches as long as they can be; reclaim frees in turn; what waits for a list is on none."""
    done = 0
    for made in programs(context):
        batches, reclaiming = Batches(), Reclaiming()
        instead = {**reclaiming.instead(), **batches.instead()}
        machine = soak.machine(made, "direct", instead=instead)
        assert isinstance(machine, DirectMachine)
        batches.given = reclaiming.given = machine
        done += run_rows(machine, made.rows, context.where)
        books_in_order(machine, made.rows, context.where)
    return f"{done:,} operations"


def programs(context: Context) -> Iterator[soak.Round]:
    """Usual and seldom operations, and programs that reclaim and fault again what a few folios hold."""
    base = replace(context.config(), granule=context.granule or context.arch.default_granule)
    wanted = EACH if context.aside else max(FEWEST, round(OPERATIONS * context.share))
    usual = list(soak.rounds(base, wanted, context.seed, each=EACH))
    yield from usual if context.aside else chain(usual, rare.rounds(base, RARE, context.seed))
    for number in range(1 if context.aside else CROWDED):
        made = usual[number % len(usual)]
        rows = crowded(context.rng(f"crowded {number}"), made)
        huge = 1 << context.geometry.pte_bits if number == 1 else 0
        made = replace(made, config=replace(made.config, anon_orders=made.config.anon_orders | huge))
        config = replace(made.config, swap_bytes=0) if number == CROWDED - 1 else made.config
        yield replace(made, rows=rows, first_asid=0, config=config)


def crowded(rng: random.Random, made: soak.Round) -> tuple[tuple[int, ...], ...]:
    """Task 1 and its children take, lose and share what three mappings have, and now and then a page of a huge one."""
    geometry = made.config.arch.granules[made.config.granule]
    page = 1 << geometry.page_shift
    places = [AT, AT + 2 * PAGES * page, AT + 4 * PAGES * page]
    rows: list[tuple[int, ...]] = [
        (OP_SPAWN, 1), (OP_MMAP, 1, places[0], PAGES * page, RW, PRIVATE, -1, 0),
        (OP_MMAP, 1, places[1], PAGES * page, RW, MAP_SHARED | MAP_FIXED, 1, 0),
        (OP_MMAP, 1, places[2], PAGES * page, RW, MAP_PRIVATE | MAP_FIXED, 0, 0),
    ]  # fmt: skip
    child, table = 0, page << geometry.pte_bits
    rows.append((OP_MMAP, 1, HUGE, 2 * table, RW, PRIVATE, -1, 0))
    rows.append((OP_MADVISE, 1, HUGE, 2 * table, MADV_HUGEPAGE))
    for _ in range(2 * EACH):
        at, task = rng.choice((places[0], *places)), rng.choice((1, child or 1))
        first, nr = rng.randrange(PAGES), rng.choice((1, 1, 2, 16, PAGES))
        start, nr = at + first * page, min(nr, PAGES - first)
        chosen = rng.random()
        if chosen < 0.55:
            rows.append((OP_TOUCH, task, start, nr, rng.choice((ACCESS_READ, ACCESS_WRITE))))
        elif chosen < 0.93:
            rows.append((OP_MADVISE, task, start, nr * page, rng.choice(ADVICE)))
        elif chosen < 0.95:
            rows.append((OP_TOUCH, task, HUGE + first * page, 1, rng.choice((ACCESS_READ, ACCESS_WRITE))))
        elif chosen < 0.97:
            rows.append((OP_LRU_GEN_AGE, 1, rng.randrange(2)))
        elif child:
            rows.append((OP_EXIT, child))
            child = 0
        else:
            child = 2
            rows.append((OP_FORK, 1, child))
    return tuple((*row, *[0] * (COLUMNS - len(row))) for row in rows)
