"""What a recording holds: its tasks, how much they mapped, its operations by kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core_mm import uapi
from mmarch.workload import Workload


@dataclass(frozen=True)
class Task:
    """One task of a recording.

    operations  rows that it acts in
    mapped      bytes of its mmap calls
    touched     pages, of the recorded size, that it touched at least once
    faults      rows of accesses
    """

    index: int
    operations: int
    mapped: int
    touched: int
    faults: int


def tasks_of(workload: Workload) -> list[Task]:
    """Every task, in the order in which they first act."""
    ops = workload.ops
    shift = (workload.page_size or 4096).bit_length() - 1
    found = []
    for index in dict.fromkeys(ops[:, 1].tolist()):
        own = ops[ops[:, 1] == index]
        touches = own[own[:, 0] == uapi.OP_TOUCH]
        single = np.unique(touches[touches[:, 3] == 1, 2] >> shift).size
        many = int(touches[touches[:, 3] != 1, 3].sum())
        mapped = int(own[own[:, 0] == uapi.OP_MMAP, 3].sum())
        found.append(Task(index, len(own), mapped, single + many, len(touches)))
    return found


def kinds_of(workload: Workload) -> dict[str, int]:
    """Operations by their kind, most frequent first."""
    numbers, counts = np.unique(workload.ops[:, 0], return_counts=True)
    pairs = sorted(zip(counts.tolist(), numbers.tolist(), strict=True), reverse=True)
    return {uapi.OP_NAMES[number]: count for count, number in pairs}
