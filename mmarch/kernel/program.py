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
        uapi.OP_CLONE_VM, uapi.OP_EXIT, uapi.OP_MSYNC, uapi.OP_FTRUNCATE, uapi.OP_PWRITE, uapi.OP_CLEAR_REFS,
        uapi.OP_DROP_CACHES, uapi.OP_LRU_GEN_AGE, uapi.OP_SPAWN, uapi.OP_UNLINK, uapi.OP_SWAPOFF, uapi.OP_FALLOCATE,
    )
)  # fmt: skip
MAX_TASKS, MAX_FILES = 4096, 1024
Row = tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """A workload for one boot, with this folio order enabled (0: none), and those that it wants beside it."""

    workload: Workload
    order: int

    @property
    def orders(self) -> frozenset[int]:
        """All that are enabled."""
        return frozenset((self.order, *self.workload.beside)) - {0}


@dataclass(frozen=True)
class Segment:
    """Rows of a program that are measured together: a step (its index), or one operation outside of steps (None)."""

    program: int
    first: int
    last: int
    step: int | None = None


@dataclass(frozen=True)
class Rows:
    """What the guest executes, and its segments by their numbers; `sources` is (program, its row) of every row."""

    data: NDArray[np.int64]
    segments: tuple[Segment, ...]
    sources: tuple[tuple[int, int], ...]


def encode(programs: Sequence[Program]) -> Rows:
    """All programs one after the other; segments are numbered through."""
    rows: list[Row] = []
    sources: list[tuple[int, int]] = []
    found: list[Segment] = []
    for number, program in enumerate(programs):
        check(program.workload)
        own = list(segments(program.workload, number))
        for row, source in _program(program, number, own, len(found)):
            rows.append((*row, *(0,) * (uapi.COLUMNS - len(row))))
            sources.append((number, source))
        found += own
    data = np.array(rows, dtype=np.int64).reshape(-1, uapi.COLUMNS)
    return Rows(data, tuple(found), tuple(sources))


def segments(workload: Workload, program: int = 0) -> Iterator[Segment]:
    """All of a workload, in order."""
    done = 0
    for index, step in enumerate(workload.steps):
        yield from (Segment(program, row, row + 1) for row in range(done, step.first))
        yield Segment(program, step.first, step.last, index)
        done = step.last
    yield from (Segment(program, row, row + 1) for row in range(done, len(workload.ops)))


def check(workload: Workload) -> None:
    """InputError for what the guest cannot execute."""
    codes = workload.ops[:, 0]
    for row in np.flatnonzero(~np.isin(codes, sorted(EXECUTED))).tolist():
        name = uapi.OP_NAMES.get(int(codes[row]), f"operation {codes[row]}")
        raise InputError(f"{workload.place(row)}: {name} cannot be measured on a kernel yet")
    threads = workload.ops[codes == uapi.OP_CLONE_VM, 2]
    for row in np.flatnonzero((codes == uapi.OP_FORK) & np.isin(workload.ops[:, 1], threads)).tolist():
        raise InputError(
            f"{workload.place(row)}: a thread forks, which cannot be measured on a kernel: its child would be "
            f"without the thread's stack; let the process fork"
        )
    if len(workload.files) > MAX_FILES or (len(codes) and int(workload.ops[:, 1].max()) >= MAX_TASKS):
        raise InputError(f"{workload.source}: more than {MAX_FILES} files or {MAX_TASKS} processes")


def _program(
    program: Program, number: int, own: Sequence[Segment], numbered: int
) -> Iterator[tuple[Row, int]]:
    workload = program.workload
    yield (OP_PROGRAM, 0, sum(1 << order for order in program.orders), number), 0
    for index, file in enumerate(workload.files):
        yield (OP_FILE, 0, index, file.kind, file.size), 0
    parents = _parents(workload)
    ops: list[Row] = [tuple(row) for row in workload.ops.tolist()]
    for name, segment in enumerate(own, numbered):
        rows = ops[segment.first : segment.last]
        actor = _actor(rows, parents)
        yield (OP_BEGIN, actor, name), segment.first
        yield from ((row, at) for at, row in enumerate(rows, segment.first))
        yield (OP_END, actor, name), segment.first
        dumps = workload.steps[segment.step].dumps if segment.step is not None else ()
        for index, dump in enumerate(dumps):
            yield (OP_DUMP, dump.task, name, index, dump.addr, dump.length), segment.first


def _parents(workload: Workload) -> dict[int, int]:
    forks = workload.ops[np.isin(workload.ops[:, 0], (uapi.OP_FORK, uapi.OP_CLONE_VM))]
    return {child: parent for parent, child in forks[:, 1:3].tolist()}


def _actor(rows: Sequence[Row], parents: dict[int, int]) -> int:
    """Who measures: the process that acts, but for an exit the parent that waits for it."""
    if not rows:
        return 0
    op, task = rows[0][:2]
    return parents.get(task, 0) if op == uapi.OP_EXIT else task
