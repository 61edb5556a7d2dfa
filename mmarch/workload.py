"""What the machine is asked to do: operations, the files behind them, where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core_mm import uapi


@dataclass(frozen=True)
class File:
    """A backing file: `kind` is one of `uapi.FILE_*`, `size` is in bytes."""

    kind: int = uapi.FILE_REGULAR
    size: int = 0


@dataclass(frozen=True)
class Step:
    """A labelled, measured slice ``ops[first:last]`` and the regions to dump after it."""

    label: str
    first: int
    last: int
    dumps: tuple[Dump, ...] = ()


@dataclass(frozen=True)
class Dump:
    """Leaf descriptors of ``[addr, addr + length)`` in `task`'s address space, under `label`."""

    label: str
    task: int
    addr: int
    length: int


@dataclass(frozen=True)
class Workload:
    """Operations in order of execution.

    ops      (n, 8) int64, rows as in `core_mm.uapi`
    lines    (n,) int32, the 1-based line of `source` each row came from; 0: implied by another
    files    backing files, by the index that OP_MMAP rows carry
    steps    labelled slices, for scenarios; empty for traces
    ignored  event kinds without effect on page tables, with their number
    page_size  of the machine that was recorded, in bytes; 0 if that is not known
    remarks  what a reader has to know about how it was read
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

    def measured(self) -> NDArray[np.bool_]:
        """Which rows count: all of a trace, of a scenario those of its steps (not `setup:`, not `end`)."""
        rows = np.full(len(self.ops), not self.steps)
        for step in self.steps:
            rows[step.first : step.last] = True
        return rows

    def place(self, row: int) -> str:
        """`file:line` of an operation."""
        return f"{self.source or self.name}:{self.line(row)}"

    def line(self, row: int) -> int:
        """The line of an operation, or of the last one before it that has a line."""
        known = np.flatnonzero(self.lines[: row + 1])
        return int(self.lines[known[-1]]) if len(known) else 0
