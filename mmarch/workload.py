"""What the machine is asked to do: operations, the files behind them, where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core_mm import uapi
from mmarch.errors import InputError


@dataclass(frozen=True)
class File:
    """A backing file: `kind` is one of `uapi.FILE_*`, `size` is in bytes, `name` what a scenario calls it."""

    kind: int = uapi.FILE_REGULAR
    size: int = 0
    name: str = ""


# facts that a table has to name beside its counts, by how they begin
QUALIFYING = ("assumed", "mappings at the start", "page faults", "salvaged", "cut")


def qualified(name: str, facts: Mapping[str, str]) -> str:
    """A workload's name, and what was taken for granted, or left out, as it was read."""
    return "; ".join([name, *(f"{key} {what}" for key, what in facts.items() if key.startswith(QUALIFYING))])


@dataclass(frozen=True)
class Region:
    """A name for the bytes [addr, addr + length) of `task` and of what it forks; `inside` another region or none."""

    name: str
    addr: int
    length: int
    task: int = 0
    inside: str = ""


@dataclass(frozen=True)
class Step:
    """A labelled, measured slice ``ops[first:last]`` and the regions to dump after it."""

    label: str
    first: int
    last: int
    dumps: tuple[Dump, ...] = ()


@dataclass(frozen=True)
class Dump:
    """Leaf descriptors of ``[addr, addr + length)`` in `task`'s address space, under `label`.

    asked  whether the scenario says so, or it is what is dumped after every line of one without steps
    """

    label: str
    task: int
    addr: int
    length: int
    asked: bool = True


@dataclass(frozen=True)
class Workload:
    """Operations in order of execution.

    ops      (n, 8) int64, rows as in `core_mm.uapi`
    lines    (n,) int32, the 1-based line of `source` each row came from; 0: implied by another
    pids     of the tasks, as the tracer knew them; empty if it did not
    times    (n,) float64, seconds by the tracer's clock; empty if they are not known
    files    backing files, by the index that OP_MMAP rows carry
    steps    labelled slices, for scenarios; empty for traces
    regions  names of address ranges, for scenarios; empty for traces
    ignored  event kinds without effect on page tables, with their number
    page_size  of the machine that was recorded, in bytes; 0 if that is not known
    remarks  what a reader has to know about how it was read
    beside   folio orders that are enabled together with the one a scenario was lowered for
    """

    name: str
    ops: NDArray[np.int64]
    lines: NDArray[np.int32]
    files: tuple[File, ...] = ()
    steps: tuple[Step, ...] = ()
    source: str = ""
    ignored: Mapping[str, int] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    page_size: int = 0
    remarks: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    beside: tuple[int, ...] = ()
    pids: tuple[int, ...] = ()
    times: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def measured(self) -> NDArray[np.bool_]:
        """Which rows count: all of a trace, of a scenario those of its steps (not `setup:`, not `end`)."""
        rows = np.full(len(self.ops), not self.steps)
        for step in self.steps:
            rows[step.first : step.last] = True
        return rows

    def place(self, row: int) -> str:
        """`file:line` of an operation."""
        return f"{self.source or self.name}:{self.line(row)}"

    def find(self, at: str) -> int:
        """The row that `at` names: a number, "end", "line:N" (its first row), or the last one of a step.

        InputError that says what is valid.
        """
        last = len(self.ops) - 1
        steps = {step.label: step.last - 1 for step in self.steps if step.label}
        if at == "end" or at in steps:
            return steps.get(at, last)
        word, _, digits = at.rpartition("line:")
        if not digits.isdecimal() or word:
            named = f", or a step: {', '.join(steps)}" if steps else ""
            raise InputError(f"no operation {at!r}: a row from 0 to {last}, line:N, end{named}")
        if at.isdecimal():
            if int(at) > last:
                raise InputError(f"no operation {at}; valid: 0 to {last}")
            return int(at)
        rows = np.flatnonzero(self.lines == int(digits))
        if not len(rows):
            known = self.lines[self.lines > 0]
            raise InputError(
                f"no operation comes from line {digits}; lines {known.min()} to {known.max()} have some"
            )
        return int(rows[0])

    def line(self, row: int) -> int:
        """The line of an operation, or of the last one before it that has a line."""
        known = np.flatnonzero(self.lines[: row + 1])
        return int(self.lines[known[-1]]) if len(known) else 0
