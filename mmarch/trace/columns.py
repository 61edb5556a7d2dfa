"""Rows of a recording as narrow columns, and back.

op, task, and a to f are as rows have them (`core_mm.uapi`), a as the difference to that of the task's row before; line,
and time in microseconds, are differences to the row before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from core_mm import uapi
from mmarch import spill
from mmarch.trace.packed import Damaged
from mmarch.workload import Workload

if TYPE_CHECKING:
    from polars import DataFrame

MOST_ROWS, MOST_TASKS, MOST_FILES = 1 << 26, 1 << 16, 1 << 16
MOST_PAGES = 1 << 40
BLOCK = 1 << 15  # rows that lie in a cache while they are put together
MICRO = 1e6
CELLS = ("op", "task", "a", "b", "c", "d", "e", "f")
COLUMNS = {
    "op": np.uint8, "task": np.uint16, **dict.fromkeys("abcdef", np.int64), "line": np.int32, "time": np.int64,
}  # fmt: skip
_INTEGERS = {"UInt8", "UInt16", "Int32", "Int64"}
_OF_FILE = (uapi.OP_FTRUNCATE, uapi.OP_PWRITE, uapi.OP_UNLINK, uapi.OP_FALLOCATE)
_BIRTHS = (uapi.OP_FORK, uapi.OP_VFORK, uapi.OP_CLONE_VM)
_KINDS = {value for name, value in vars(uapi).items() if name.startswith("FILE_")}

Values = dict[str, NDArray[Any]]


class Head(BaseModel):
    """What is no column."""

    model_config = ConfigDict(extra="forbid")

    version: int
    name: str = Field(max_length=200)
    rows: int = Field(default=0, ge=0)
    files: list[tuple[int, int]] = Field(default=[], max_length=MOST_FILES)
    ignored: dict[str, int] = Field(default={}, max_length=1000)
    provenance: dict[str, str] = Field(default={}, max_length=200)
    page_size: int = Field(default=0, ge=0, le=1 << 16)
    remarks: tuple[str, ...] = Field(default=(), max_length=20)
    pids: tuple[int, ...] = Field(default=(), max_length=MOST_TASKS)

    def check(self) -> None:
        """Damaged for files that cannot be."""
        for kind, size in self.files:
            if kind not in _KINDS or not 0 <= size < 1 << 62:
                raise Damaged(f"damaged: file {(kind, size)} cannot be")


def columns(workload: Workload, rows: int) -> Iterator[Values]:
    """Of a workload, so many rows at a time."""
    before, line, time = np.zeros(MOST_TASKS, np.int64), 0, 0
    times = workload.times if len(workload.times) else np.zeros(len(workload.ops))
    for ops, lines, when in spill.pieces(workload.ops, workload.lines, times, rows=rows):
        micro = np.rint(when * MICRO).astype(np.int64)
        values = {name: ops[:, number] for number, name in enumerate(CELLS)}
        values["a"] = _steps(ops[:, 1], ops[:, 2], before)
        values["line"], values["time"] = np.diff(lines, prepend=line), np.diff(micro, prepend=time)
        line, time = lines[-1], micro[-1]
        yield {name: values[name].astype(kind) for name, kind in COLUMNS.items()}


class Rows:
    """Rows of a workload, that columns become again, some at a time.

    done  how many there are by now
    """

    def __init__(self, head: Head) -> None:
        self.head, self.done = head, 0
        self.ops = spill.room(head.rows, uapi.COLUMNS, np.int64)
        self.lines, self.times = spill.room(head.rows, 0, np.int32), spill.room(head.rows, 0, np.float64)
        self._before, self._line, self._time, self._timed = np.zeros(MOST_TASKS, np.int64), 0, 0, False

    def add(self, frame: DataFrame) -> None:
        """The next ones; Damaged for what no recording can hold."""
        values = self._values(frame)
        values["a"] = _sums(values["task"], values["a"], self._before)
        self._refuse(self._odd(**{name: values[name] for name in ("op", "a", "b", "c", "e")}))
        lines = np.cumsum(values["line"], dtype=np.int64) + self._line
        micro = np.cumsum(values["time"]) + self._time
        self._line, self._time = int(lines[-1]), int(micro[-1])
        self._timed = self._timed or bool(micro.any())
        spill.put(self.lines, self.done, lines)
        spill.put(self.times, self.done, micro / MICRO)
        self._put(values)
        self.done += len(lines)

    def _put(self, values: Values) -> None:
        """Columns side by side."""
        rows = len(values["op"])
        cells = np.empty((min(BLOCK, rows), uapi.COLUMNS), np.int64)
        for first in range(0, rows, BLOCK):
            some = cells[: rows - first]
            for number, name in enumerate(CELLS):
                some[:, number] = values[name][first : first + BLOCK]
            spill.put(self.ops, self.done + first, some)

    def result(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
        """Operations, lines and times; no times where none was told."""
        return self.ops[: self.done], self.lines[: self.done], self.times[: self.done if self._timed else 0]

    def _values(self, frame: DataFrame) -> Values:
        if set(map(str, frame.dtypes)) - _INTEGERS or sum(frame.null_count().row(0)):
            raise Damaged("damaged: columns are not numbers")
        if self.done + len(frame) > self.head.rows:
            raise Damaged(f"damaged: more operations than the {self.head.rows} that it announces")
        values = {name: frame[name].to_numpy() for name in COLUMNS}
        self._refuse(_beyond(values["task"], MOST_TASKS - 1))
        return values

    def _refuse(self, bad: NDArray[np.bool_]) -> None:
        if bad.any():
            raise Damaged(f"damaged: operation {self.done + int(np.flatnonzero(bad)[0])} cannot be")

    def _odd(
        self, op: NDArray[Any], a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], e: NDArray[Any]
    ) -> Any:
        """What would lead out of a table of the twin."""
        touch, last = op == uapi.OP_TOUCH, len(self.head.files) - 1
        odd = touch & (_beyond(b, MOST_PAGES) | _beyond(c, uapi.ACCESS_EXEC))
        rest = np.flatnonzero(~touch)
        op, a, e = op[rest], a[rest], e[rest]
        odd[rest] |= ~np.isin(op, list(uapi.OP_NAMES))
        odd[rest] |= np.isin(op, _BIRTHS) & _beyond(a, MOST_TASKS - 1)
        odd[rest] |= (op == uapi.OP_MMAP) & ((e < -1) | (e > last))
        odd[rest] |= np.isin(op, _OF_FILE) & ((a < 0) | (a > last))
        return odd


def _beyond(column: NDArray[Any], most: int) -> NDArray[np.bool_]:
    """Negative, or more than `most`."""
    beyond: NDArray[np.bool_] = column.astype(np.int64, copy=False).view(np.uint64) > most
    return beyond


def _steps(
    tasks: NDArray[np.int64], cells: NDArray[np.int64], before: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Differences of cells to the one before of the same task, the last one of each of which goes into `before`."""
    order, begins = _by_task(tasks)
    ordered = cells[order]
    step = np.diff(ordered, prepend=0)
    own = tasks[order][begins]
    step[begins] = ordered[begins] - before[own]
    before[own] = ordered[[*(begins[1:] - 1), -1]]
    found: NDArray[np.int64] = np.empty_like(step)
    found[order] = step
    return found


def _sums(tasks: NDArray[Any], steps: NDArray[np.int64], before: NDArray[np.int64]) -> NDArray[np.int64]:
    """What `_steps` was made from."""
    sums: NDArray[np.int64]
    first = int(tasks[0])
    if (tasks == first).all():
        sums = np.cumsum(steps) + before[first]
        before[first] = sums[-1]
        return sums
    order, begins = _by_task(tasks)
    ordered = steps[order]
    own = tasks[order][begins]
    ordered[begins] += before[own]
    ordered[begins[1:]] -= np.add.reduceat(ordered, begins)[:-1]
    sums = np.cumsum(ordered)
    before[own] = sums[[*(begins[1:] - 1), -1]]
    found: NDArray[np.int64] = np.empty_like(sums)
    found[order] = sums
    return found


def _by_task(tasks: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by task, and where in that order each task begins."""
    narrow = tasks.astype(np.uint16, copy=False)
    order = np.argsort(narrow, kind="stable")  # by digits, since they are narrow
    begins = np.flatnonzero(np.diff(narrow[order], prepend=-1))
    return order, begins
