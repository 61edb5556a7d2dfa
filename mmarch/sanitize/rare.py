"""Machines for operations that programs seldom make: huge pages on every other one, every kind of file in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from core_mm.releases import RELEASES
from mmarch.engine.machine import Config
from mmarch.sanitize import soak
from mmarch.sanitize.rare_rows import Rare
from mmarch.sanitize.soak import DISK_KINDS, SHARED_KINDS, Round

ROUND = 125  # operations of a machine's life


def rounds(base: Config, operations: int, seed: int) -> Iterator[Round]:
    """As `soak.rounds`, shorter; each release begins elsewhere in the list of CPUs, so that together they have all."""
    turn = list(RELEASES).index(base.release)
    machines = zip(range(0, operations, ROUND), soak.machines(base, turn), strict=False)
    for number, (done, config) in enumerate(machines):
        count = min(ROUND, operations - done)
        made = soak.one_round(config, seed * len(RELEASES) + turn, number, count, Rare)
        yield with_huge_pages(made) if number % 2 == 0 else alone(made)


def alone(made: Round) -> Round:
    """The same with large folios for shared memory too, every third time on a machine of one CPU."""
    config = made.config
    overrides = {**config.overrides, "smp": int(made.number % 3 != 0)}
    return replace(made, config=replace(config, shmem_orders=config.anon_orders, overrides=overrides))


def with_huge_pages(made: Round) -> Round:
    """The same on a machine with huge pages, and files of the kinds that its number says."""
    config = made.config
    huge = 1 << config.arch.granules[config.granule].pte_bits
    orders = config.anon_orders | huge
    disk, shared = DISK_KINDS, SHARED_KINDS
    kinds = disk[made.number // 2 % len(disk)], shared[-1 - made.number // 2 % len(shared)]
    overrides = {**config.overrides, "fail_nowait": 1} if made.number % 4 == 2 else config.overrides
    config = replace(config, anon_orders=orders, shmem_orders=config.shmem_orders | huge, overrides=overrides)
    return replace(made, config=config, kinds=kinds)
