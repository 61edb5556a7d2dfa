"""Coverage over time: how much of all memory large folios cover, at moments of a run."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from core_mm.mm_types import PG_ANON, PG_ORDER_SHIFT
from mmarch.engine.machine import Machine
from mmarch.runs.configure import Setup
from mmarch.runs.coverage import Folios, covered
from mmarch.runs.result import Sample
from mmarch.runs.tables import entries_of, leaves_of

MOMENTS = 16  # of a run: a walk of all page tables each


def moments(rows: int) -> list[int]:
    """After how many operations samples are taken: all of a short run, else MOMENTS equally far apart."""
    return sorted({round(rows * number / MOMENTS) for number in range(1, MOMENTS + 1)} - {0})


def sample(machine: Machine, setup: Setup, row: int) -> Sample:
    """Of all address spaces, after operation `row`."""
    entries = entries_of(setup)
    page = machine.memory.tables["PAGE"]

    def folios(frames: NDArray[np.int64]) -> Folios:
        flags = page["flags"][page["head"][frames]]
        return Folios(flags.astype(np.int64) >> PG_ORDER_SHIFT, flags & PG_ANON == 0)

    found: Counter[str] = Counter()
    tasks = machine.memory.tables["TASK"]["mm"]
    for mm in np.unique(tasks[tasks > 0]).tolist():
        found += covered(leaves_of(machine, setup, mm), entries, setup.page_shift, folios)
    return Sample(operation=row, bytes=dict(sorted(found.items())))
