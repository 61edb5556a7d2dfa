"""Part of a recording: from one time to another, of some tasks; what they had mapped before is its beginning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.trace.rows import PAGE
from mmarch.trace.spaces import Spaces
from mmarch.workload import Workload

Row = tuple[int, ...]
BIRTHS = (uapi.OP_FORK, uapi.OP_VFORK, uapi.OP_CLONE_VM)


def cut(workload: Workload, begin: str = "", end: str = "", tasks: tuple[int, ...] = ()) -> Workload:
    """The rows from `begin` to `end` of `tasks`, and of those that share their memory.

    begin, end  seconds by the clock of the trace, or +SECONDS from its first event; "" is its beginning, its end
    tasks       by the numbers that `mmarch trace show` has; () are all

    It starts with a snapshot, rows that lead to what was mapped and which pages were there: of every task
    that lives, and again where a task is born of one that is left out. Pages that two processes share
    since a fork are each one's own in it. InputError if there are no times, no such task, or nothing is left.
    """
    chosen = _sharing(workload, tasks)
    first, last = _rows(workload, begin, end)
    made = _Cut(workload, chosen)
    rows = workload.ops.tolist()
    for row in rows[:first]:
        made.spaces.act(*row)
    made.snapshots(sorted(chosen & made.spaces.of.keys()), first)
    for number in range(first, last):
        made.row(number, rows[number])
    if all(made.implied):
        raise InputError(f"{workload.name}: nothing happens there; see 'mmarch trace show'")
    return made.result(_said(begin, end, tasks))


def _rows(workload: Workload, begin: str, end: str) -> tuple[int, int]:
    """The first row of the part, and the one after its last."""
    if not begin and not end:
        return 0, len(workload.ops)
    if not len(workload.times):
        raise InputError(f"{workload.name}: its tracer printed no times; only --task can choose a part of it")
    low = _seconds(workload, begin, "--from") if begin else -np.inf
    high = _seconds(workload, end, "--to") if end else np.inf
    if low >= high:
        raise InputError(f"--from {begin} is not before --to {end}")
    times = np.maximum.accumulate(
        workload.times
    )  # a row that waited for the end of its call stands where that is
    return int(np.searchsorted(times, low)), int(np.searchsorted(times, high, "right"))


def _seconds(workload: Workload, text: str, option: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"{option} {text!r}: expected seconds, or +SECONDS from the first event")
    return float(workload.times[0]) + value if text.startswith("+") else value


def _sharing(workload: Workload, tasks: tuple[int, ...]) -> set[int]:
    """Tasks, and their threads."""
    ops = workload.ops
    known = {*np.unique(ops[:, 1]).tolist(), *ops[np.isin(ops[:, 0], BIRTHS), 2].tolist()}
    if strange := sorted(set(tasks) - known):
        raise InputError(f"--task {strange[0]}: {workload.name} has no such task; see 'mmarch trace show'")
    if not tasks:
        return known
    chosen, threads = set(tasks), ops[ops[:, 0] == uapi.OP_CLONE_VM][:, 1:3].tolist()
    before = 0
    while before != len(chosen):
        before = len(chosen)
        for pair in threads:
            if chosen & set(pair):
                chosen.update(pair)
    return chosen


def _said(begin: str, end: str, tasks: tuple[int, ...]) -> str:
    parts = [f"from {begin} s" if begin else "", f"to {end} s" if end else ""]
    parts.append(f"task {', '.join(map(str, tasks))}" if tasks else "")
    return " ".join(part for part in parts if part) or "all of it"


class _Cut:
    """The part under construction; of each row, where in the whole it stands, and whether it is of a snapshot."""

    def __init__(self, workload: Workload, chosen: set[int]) -> None:
        self.workload, self.chosen = workload, chosen
        self.spaces = Spaces(workload.page_size or PAGE)
        self.rows: list[Row] = []
        self.at: list[int] = []
        self.implied: list[bool] = []

    def add(self, row: Row, at: int, implied: bool) -> None:
        self.rows.append(row)
        self.at.append(at)
        self.implied.append(implied)

    def row(self, number: int, row: list[int]) -> None:
        """One row of the part."""
        op, task, child = row[:3]
        birth = op in BIRTHS
        if task in self.chosen and not (birth and child not in self.chosen):
            self.add(tuple(row), number, implied=False)
            self.spaces.act(*row)
        else:
            self.spaces.act(*row)
            if birth and child in self.chosen:
                self.snapshots([child], number)

    def snapshots(self, tasks: list[int], at: int) -> None:
        """Tasks as they are before row `at`; the second one in an address space is a thread of the first."""
        having: dict[int, int] = {}
        for task in tasks:
            space = self.spaces.of[task]
            first = having.setdefault(id(space), task)
            rows = list(space.rows(task)) if first == task else [(uapi.OP_CLONE_VM, first, task)]
            for row in rows:
                self.add(row, at, implied=True)
        for file, size in self.spaces.sizes.items() if tasks else ():
            self.add((uapi.OP_FTRUNCATE, tasks[0], file, size), at, implied=True)

    def result(self, what: str) -> Workload:
        """With its times, and its lines in the whole."""
        whole = self.workload
        at, implied = np.minimum(self.at, len(whole.ops) - 1), np.array(self.implied)
        ops = _as_array(self.rows)
        mappings = int((ops[implied, 0] == uapi.OP_MMAP).sum())
        pages = int(ops[implied & (ops[:, 0] == uapi.OP_TOUCH), 3].sum())
        snapshot = f"{mappings} mappings and {pages} pages that were there"
        return replace(
            whole,
            ops=ops,
            lines=np.where(implied, 0, whole.lines[at]).astype(np.int32),
            times=whole.times[at] if len(whole.times) else whole.times,
            provenance={**whole.provenance, "cut": f"{what}, after a snapshot of {snapshot}"},
        )


def _as_array(rows: list[Row]) -> NDArray[np.int64]:
    return np.array([(*row, *(0,) * (uapi.COLUMNS - len(row))) for row in rows], np.int64).reshape(
        -1, uapi.COLUMNS
    )
