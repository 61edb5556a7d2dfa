"""The steps of a scenario, each with its counts and the page tables that a `dump` after it asks for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mmarch.engine.machine import Machine
from mmarch.runs.configure import Setup
from mmarch.runs.ranges import ranges
from mmarch.runs.result import Counts, Dumped, Stepped
from mmarch.runs.tables import entries_of, leaves_of
from mmarch.workload import Dump, Workload


class Steps:
    """Follows a run from stop to stop."""

    def __init__(self, machine: Machine, workload: Workload, setup: Setup, names: Mapping[int, str]) -> None:
        self.machine, self.workload, self.setup, self.names = machine, workload, setup, names
        self.steps = list(workload.steps)
        self.found: list[Stepped] = []
        self.codes = np.unique(workload.ops[:, 0])
        self.before = self._counts()

    def stops(self) -> set[int]:
        """After how many rows `see` has something to do."""
        return {row for step in self.steps for row in (step.first, step.last)}

    def see(self, row: int) -> None:
        """Rows up to `row` have run."""
        now = self._counts()
        while self.steps and self.steps[0].last <= row:
            step = self.steps.pop(0)
            dumps = tuple(self._dumped(dump) for dump in step.dumps if dump.asked)
            self.found.append(Stepped(name=step.label, events=self._events(now - self.before), dumps=dumps))
            self.before = now
        if not self.steps or self.steps[0].first >= row:
            self.before = now

    def _counts(self) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.machine.counts()[self.codes].sum(axis=(0, 1))
        return found

    def _events(self, counts: NDArray[np.int64]) -> Counts:
        happened = np.flatnonzero(counts).tolist()
        return {self.names[event]: int(counts[event]) for event in happened if event in self.names}

    def _dumped(self, dump: Dump) -> Dumped:
        mm = int(self.machine.memory.tables["TASK"]["mm"][dump.task + 1])
        if not mm:
            return Dumped(name=dump.label, task=dump.task, ranges=())
        own, page_shift = leaves_of(self.machine, self.setup, mm), self.setup.page_shift
        shown = ranges(own, entries_of(self.setup), page_shift, dump.addr, dump.addr + dump.length)
        return Dumped(name=dump.label, task=dump.task, ranges=tuple(shown))
