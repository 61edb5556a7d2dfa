"""The workloads that come with mmarch, as both kernels of a comparison run them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core_mm.uapi import COLUMNS
from mmarch.check.observation import OBSERVED, SEEN
from mmarch.engine.lower import Options
from mmarch.engine.machine import Config, Machine
from mmarch.runs.assemble import boot, roots, unbooted
from mmarch.runs.workloads import bundled_scenarios, bundled_traces, measured_scenarios
from mmarch.sanitize.random_rows import Row
from mmarch.scenario import Scenario, load, lower, variants
from mmarch.sizes import DEFAULT_FOLIO
from mmarch.trace.ftrace import load_ftrace
from mmarch.workload import Workload

LOG_ROWS = 1 << 22


@dataclass(frozen=True)
class Replay:
    """A workload with the folio orders that it is run with; `advised` where MADV_HUGEPAGE asks for them."""

    workload: Workload
    orders: int
    advised: bool
    place: str

    @property
    def rows(self) -> Sequence[Row]:
        """Its operations."""
        return [tuple(row) for row in self.workload.ops.tolist()]

    def but(self, rows: Sequence[Row]) -> Replay:
        """Only some of them."""
        ops = np.array(rows, np.int64).reshape(-1, COLUMNS)
        return replace(self, workload=replace(self.workload, ops=ops, steps=()))

    def machine(self, config: Config, engine: str) -> Machine:
        """Booted, with a kernel."""
        changed = replace(
            config,
            anon_orders=self.orders,
            shmem_orders=self.orders if self.advised else 0,
            memory=16 << 30,
            swap_bytes=256 << 20,
            log_rows=LOG_ROWS,
            seen=SEEN,
            overrides={"log_ptes": 1, **({} if self.advised else {"anon_always": self.orders})},
        )
        options = Options(attribute=True)
        return boot(unbooted(changed, self.workload, engine, [*roots(), *OBSERVED], options))


def replays(config: Config) -> Iterator[Replay]:
    """Every trace that fits the granule, every scenario in all of its variants."""
    page_size = 1 << config.arch.granules[config.granule].page_shift
    order = (DEFAULT_FOLIO // page_size).bit_length() - 1
    for name, path in bundled_traces().items():
        recorded = load_ftrace(path)
        if recorded.page_size in (0, page_size):
            yield Replay(recorded, 1 << order, False, f"trace {name}")
    for path in bundled_scenarios():
        for scenario in load(path).scenarios:
            yield from scripts(scenario, page_size)


def at_all_orders(config: Config) -> Iterator[Replay]:
    """Every scenario, those that kernels were measured with too, on each kind of memory with small and large folios."""
    geometry = config.arch.granules[config.granule]
    page_size, block = 1 << geometry.page_shift, max(4, geometry.cont_ptes.bit_length() - 1)
    for path in (*bundled_scenarios(), *measured_scenarios()):
        for scenario in load(path).scenarios:
            orders = (None,) if scenario.orders is not None else (0, 2, block, geometry.pte_bits)
            for order in orders:
                yield from scripts(scenario, page_size, order)


def scripts(scenario: Scenario, page_size: int, wanted: int | None = None) -> Iterator[Replay]:
    """All variants of a scenario, or those with one order; none if its lists are for other page sizes."""
    if any(page_size not in values for values in scenario.lists.values()):
        return
    for order, kind in variants(scenario, page_size, wanted):
        work = lower(scenario, page_size, order, kind).workload
        place = f"scenario {scenario.name}, order {order}, {kind}"
        yield Replay(work, 1 << order if order else 0, True, place)
