"""What a recording holds: its tasks, how much they mapped, its operations by kind, how long it lasted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core_mm import uapi
from mmarch.spill import pieces
from mmarch.workload import Workload


@dataclass(frozen=True)
class Task:
    """One task of a recording.

    pid         of the trace, 0 if it does not say
    operations  rows that it acts in
    mappings    its mmap calls
    mapped      bytes of them
    touched     pages, of the recorded size, that it touched at least once
    faults      rows of accesses
    """

    index: int
    pid: int
    operations: int
    mappings: int
    mapped: int
    touched: int
    faults: int


def tasks_of(workload: Workload) -> list[Task]:
    """Every task, in the order in which they first act."""
    shift = (workload.page_size or 4096).bit_length() - 1
    sums: dict[int, NDArray[np.int64]] = {}
    pages: dict[int, NDArray[np.int64]] = {}
    for (ops,) in pieces(workload.ops):
        numbers, first = np.unique(ops[:, 1].astype(np.int32), return_index=True)
        for number in numbers[np.argsort(first)].tolist():
            own = ops[ops[:, 1] == number]
            touches, maps = own[own[:, 0] == uapi.OP_TOUCH], own[own[:, 0] == uapi.OP_MMAP]
            single = touches[:, 3] == 1
            several = touches[~single, 3].sum()
            counts = np.array([len(own), len(maps), maps[:, 3].sum(), several, len(touches)])
            sums[number] = sums.get(number, 0) + counts
            before = pages.get(number, touches[:0, 2])
            pages[number] = _distinct(np.concatenate([before, touches[single, 2] >> shift]))
    found = []
    for number, (operations, mappings, mapped, several, faults) in (
        (n, counts.tolist()) for n, counts in sums.items()
    ):
        pid = workload.pids[number] if number < len(workload.pids) else 0
        touched = several + len(pages[number])
        found.append(Task(number, pid, operations, mappings, mapped, touched, faults))
    return found


def _distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """In order; by sorting, which is ten times as fast as np.unique's hashing here."""
    ordered: NDArray[np.int64] = np.sort(numbers)
    found: NDArray[np.int64] = ordered[np.diff(ordered, prepend=-1) != 0]
    return found


def kinds_of(workload: Workload) -> dict[str, int]:
    """Operations by their kind, most frequent first."""
    counts = np.zeros(max(uapi.OP_NAMES) + 1, np.int64)
    for (ops,) in pieces(workload.ops):
        counts += np.bincount(ops[:, 0], minlength=len(counts))
    pairs = sorted(((count, number) for number, count in enumerate(counts.tolist()) if count), reverse=True)
    return {uapi.OP_NAMES[number]: count for count, number in pairs}


def span_of(workload: Workload) -> tuple[float, float]:
    """Its first and last time, in seconds by the clock of the trace; 0 and 0 if it has none."""
    times = workload.times
    return (float(times.min()), float(times.max())) if len(times) else (0.0, 0.0)
