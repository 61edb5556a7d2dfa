"""Coverage over time: how much of all memory large folios cover, at moments of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core_mm.mm_types import PG_ANON, PG_ORDER_SHIFT
from mmarch.engine.machine import Machine
from mmarch.runs.configure import Setup
from mmarch.runs.coverage import Folios, covered
from mmarch.runs.entries import Entries
from mmarch.runs.leaves import leaves
from mmarch.runs.result import Sample

MOMENTS = 16  # of a run: a walk of all page tables each


def moments(rows: int) -> list[int]:
    """After how many operations samples are taken: all of a short run, else MOMENTS equally far apart."""
    return sorted({round(rows * number / MOMENTS) for number in range(1, MOMENTS + 1)} - {0})


def sample(machine: Machine, setup: Setup, row: int) -> Sample:
    """Of all address spaces, after operation `row`."""
    geometry, tables = setup.geometry, machine.memory.tables
    entries = _entries(_Kind(setup))
    page = tables["PAGE"]

    def folios(frames: NDArray[np.int64]) -> Folios:
        flags = page["flags"][page["head"][frames]]
        return Folios(flags.astype(np.int64) >> PG_ORDER_SHIFT, flags & PG_ANON == 0)

    found: Counter[str] = Counter()
    for pgd in _pgds(machine):
        own = leaves(machine.memory.arrays["ptes"], entries, pgd, geometry.levels - 1, geometry.pte_bits)
        found += covered(own, entries, geometry.page_shift, folios)
    return Sample(operation=row, bytes=dict(sorted(found.items())))


def _pgds(machine: Machine) -> Iterator[int]:
    """The top-level table of each address space; tasks may share one."""
    used = np.unique(machine.memory.tables["TASK"]["mm"])
    yield from machine.memory.tables["MM"]["pgd"][used[used > 0]].tolist()


class _Kind:
    """Setups that give entries the same meaning are equal."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        chosen = setup.configuration
        names = (chosen.release, chosen.cpu, chosen.granule, chosen.with_, chosen.without)
        hooks = (frozenset(arch.hooks.items()) for arch in (setup.arch, setup.generic))
        self.key = (*names, *hooks, *(one.digest for one in setup.applied))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kind) and self.key == other.key


@lru_cache(maxsize=16)
def _entries(kind: _Kind) -> Entries:
    """Once for runs in a loop: binding the hooks takes longer than a small run."""
    return Entries(kind.setup)
