"""The log of a run, by operation, and the state that can be made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core_mm import vmstat
from core_mm.vmstat import EVENTS, HOOKS
from mmarch.engine.log import Log
from mmarch.history.calls import CallTree
from mmarch.history.replay import Replay
from mmarch.history.tables import Tables, tables_at
from mmarch.runs.configure import Setup
from mmarch.runs.entries import Entries
from mmarch.runs.run import event_names
from mmarch.suggest import unknown_number
from mmarch.workload import Workload

Note = Callable[[str], None]
LOOKS = 100  # for the last moment at which something is mapped
KINDS = {
    vmstat.LOG_TLBI: "tlbi", vmstat.LOG_DSB: "barrier", vmstat.LOG_ISB: "barrier", vmstat.LOG_PTE: "pte",
    vmstat.LOG_HW: "hardware", vmstat.LOG_FREE: "free", vmstat.LOG_TABLE: "table", vmstat.LOG_ASID: "asid",
    vmstat.LOG_EXIT: "exit", vmstat.LOG_TASK: "task", vmstat.LOG_VMA: "vma", vmstat.LOG_FOLIO: "folio",
    vmstat.LOG_FAULT: "fault", vmstat.LOG_CONVERT: "convert",
}  # fmt: skip


class Event(NamedTuple):
    """One row of the log; operands as `core_mm.vmstat` has them. `call` is a row of the tree of calls."""

    operation: int
    kind: str
    a: int
    b: int
    c: int
    asid: int
    call: int


@dataclass(frozen=True)
class History:
    """What happened in a run, in order.

    log       its events as columns; `call` is less the operation's row
    calls     who called whom, with counts of every event by path
    complete  whether the whole run is in it
    frames    how many frames of memory were ever used
    """

    setup: Setup
    workload: Workload
    log: Log
    calls: CallTree
    complete: bool
    frames: int

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where the events of each operation begin, and after the last one the end."""
        begin = self.log.of_kind(vmstat.LOG_OP)
        if self.complete:
            begin = np.append(begin, len(self.log))
        return begin

    @property
    def operations(self) -> int:
        """How many operations are in it whole."""
        return len(self.starts) - 1

    @cached_property
    def entries(self) -> Entries:
        """What entries mean to the architecture."""
        return Entries(self.setup)

    @cached_property
    def _replay(self) -> Replay:
        return Replay(self.log, 1 << self.setup.geometry.pte_bits, self.frames)

    def tables(self, at: int, task: int = 0) -> Tables:
        """The page tables and mappings of `task` after operation `at`.

        InputError if there is no such operation, or if the task has no address space then.
        """
        if not 0 <= at < self.operations:
            raise unknown_number("operation", at, 0, self.operations - 1)
        return tables_at(self._replay, self.entries, self.setup, int(self.starts[at + 1]), at, task)

    def find(self, at: str) -> int:
        """The operation that `at` names, see `Workload.find`; InputError if it is not in the history."""
        row = self.workload.find(at)
        if at == "end":
            return self.operations - 1
        if row >= self.operations:
            raise unknown_number("operation", row, 0, self.operations - 1)
        return row

    def last_mapped(self, task: int) -> int:
        """The last operation after which `task` has something mapped, the very last one if it never has."""
        end = self.operations - 1
        last = end
        if task not in self.tasks(end):
            last = self._replay.ended(int(self.starts[-1]), task) - 1
        writes = self.log.of_kind(vmstat.LOG_PTE)
        changing = np.unique(np.searchsorted(self.starts, writes, side="right") - 1)
        before = changing[changing <= last][::-1] - 1
        rows = (row for row in (last, *before[:LOOKS].tolist()) if row >= 0 and task in self.tasks(row))
        return next((row for row in rows if len(self.tables(row, task))), end)

    def tasks(self, at: int) -> dict[int, int]:
        """Task -> its mm, of the tasks that have one after operation `at`."""
        return self._replay.tasks(int(self.starts[at + 1]))

    def events(self, first: int, last: int) -> Iterator[Event]:
        """What happened in operations [first, last)."""
        operation, base = first, 0
        for kind, a, b, c, asid, call in self.log.rows(int(self.starts[first]), int(self.starts[last])):
            if kind == vmstat.LOG_OP:
                operation, base = a, b * HOOKS
            else:
                yield Event(operation, KINDS[kind], a, b, c, asid, base + call)

    @cached_property
    def event_names(self) -> tuple[str, ...]:
        """The name of every event number, "" for those that none has."""
        names = event_names(self.setup)
        return (*names, *[""] * (EVENTS - len(names)))
