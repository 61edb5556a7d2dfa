"""Workloads as the guest reads them: rows of operations, with its own rows between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.workload import Workload

OP_PROGRAM, OP_FILE, OP_BEGIN, OP_END, OP_DUMP = 100, 101, 102, 103, 104  # guest/guest.c
EXECUTED = frozenset(
    (
        uapi.OP_MMAP, uapi.OP_MUNMAP, uapi.OP_MPROTECT, uapi.OP_MADVISE, uapi.OP_MREMAP, uapi.OP_TOUCH, uapi.OP_FORK,
        uapi.OP_EXIT, uapi.OP_MSYNC, uapi.OP_FTRUNCATE, uapi.OP_PWRITE, uapi.OP_CLEAR_REFS, uapi.OP_DROP_CACHES,
        uapi.OP_LRU_GEN_AGE, uapi.OP_SPAWN, uapi.OP_UNLINK,
    )
)  # fmt: skip
MAX_TASKS, MAX_FILES = 4096, 1024
Row = tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """A workload for one boot, with this folio order enabled alone (0: none)."""

    workload: Workload
    order: int


@dataclass(frozen=True)
class Rows:
    """What the guest executes; `first[i]` is the row, `steps[i]` the step with which program i begins."""

    data: NDArray[np.int64]
    sources: tuple[tuple[int, int], ...]  # (program, row of its workload) of every row

    def source(self, row: int) -> tuple[int, int]:
        """The program and the row of its workload that a row of the guest stands for."""
        return self.sources[row]


def encode(programs: Sequence[Program]) -> Rows:
    """All programs one after the other; steps and programs are numbered through."""
    rows: list[Row] = []
    sources: list[tuple[int, int]] = []
    step = 0
    for number, program in enumerate(programs):
        check(program.workload)
        for row, source in _program(program, number, step):
            rows.append((*row, *(0,) * (uapi.COLUMNS - len(row))))
            sources.append((number, source))
        step += len(program.workload.steps)
    return Rows(np.array(rows, dtype=np.int64).reshape(-1, uapi.COLUMNS), tuple(sources))


def check(workload: Workload) -> None:
    """InputError for what the guest cannot execute."""
    codes = workload.ops[:, 0]
    for row in np.flatnonzero(~np.isin(codes, sorted(EXECUTED))).tolist():
        name = uapi.OP_NAMES.get(int(codes[row]), f"operation {codes[row]}")
        raise InputError(f"{workload.place(row)}: {name} cannot be measured on a kernel yet")
    if len(workload.files) > MAX_FILES or len(codes) and int(workload.ops[:, 1].max()) >= MAX_TASKS:
        raise InputError(f"{workload.source}: more than {MAX_FILES} files or {MAX_TASKS} processes")


def _program(program: Program, number: int, step: int) -> Iterator[tuple[Row, int]]:
    workload = program.workload
    yield (OP_PROGRAM, 0, program.order, number), 0
    for index, file in enumerate(workload.files):
        yield (OP_FILE, 0, index, file.kind, file.size), 0
    done = 0
    parents = _parents(workload)
    ops: list[Row] = [tuple(row) for row in workload.ops.tolist()]
    for offset, part in enumerate(workload.steps):
        yield from ((row, at) for at, row in enumerate(ops[done : part.first], done))
        actor = _actor(ops[part.first : part.last], parents)
        if part.label:
            yield (OP_BEGIN, actor, step + offset), part.first
        yield from ((row, at) for at, row in enumerate(ops[part.first : part.last], part.first))
        if part.label:
            yield (OP_END, actor, step + offset), part.first
        done = part.last
        for index, dump in enumerate(part.dumps):
            yield (OP_DUMP, dump.task, step + offset, index, dump.addr, dump.length), part.first
    yield from ((row, at) for at, row in enumerate(ops[done:], done))


def _parents(workload: Workload) -> dict[int, int]:
    forks = workload.ops[workload.ops[:, 0] == uapi.OP_FORK]
    return {child: parent for parent, child in forks[:, 1:3].tolist()}


def _actor(rows: Sequence[Row], parents: dict[int, int]) -> int:
    """Who measures: the process that acts, but for an exit the parent that waits for it."""
    if not rows:
        return 0
    op, task = rows[0][:2]
    return parents.get(task, 0) if op == uapi.OP_EXIT else task
