"""What a recording holds: its tasks, how much they mapped, its operations by kind, how long it lasted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core_mm import uapi
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
    ops = workload.ops
    shift = (workload.page_size or 4096).bit_length() - 1
    order = np.argsort(ops[:, 1], kind="stable")
    numbers, begins = np.unique(ops[order, 1], return_index=True)
    rows = np.split(order, begins[1:])
    found = []
    for number, own in sorted(zip(numbers.tolist(), rows, strict=True), key=lambda pair: int(pair[1][0])):
        op = ops[own, 0]
        touches, maps = own[op == uapi.OP_TOUCH], own[op == uapi.OP_MMAP]
        pages = ops[touches, 3]
        single = np.unique(ops[touches[pages == 1], 2] >> shift).size
        pid = workload.pids[number] if number < len(workload.pids) else 0
        mapped, touched = int(ops[maps, 3].sum()), single + int(pages[pages != 1].sum())
        found.append(Task(number, pid, len(own), len(maps), mapped, touched, len(touches)))
    return found


def kinds_of(workload: Workload) -> dict[str, int]:
    """Operations by their kind, most frequent first."""
    numbers, counts = np.unique(workload.ops[:, 0], return_counts=True)
    pairs = sorted(zip(counts.tolist(), numbers.tolist(), strict=True), reverse=True)
    return {uapi.OP_NAMES[number]: count for count, number in pairs}


def span_of(workload: Workload) -> tuple[float, float]:
    """Its first and last time, in seconds by the clock of the trace; 0 and 0 if it has none."""
    times = workload.times
    return (float(times.min()), float(times.max())) if len(times) else (0.0, 0.0)
