"""Recordings of one program by each means, made on Debian's kernels for riscv64 and x86-64, see the same things."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.trace.assumed import PLAIN
from mmarch.trace.formats import format_of, load_trace
from mmarch.workload import Workload
from tests.support.vma_model import Judge

FOLDER = Path(__file__).parents[3] / "examples" / "traces" / "means"
BOTH = ["riscv64-7.2.13", "x86_64-6.12.117"]
PERF = "riscv64-6.12.117-perf"
NAMES = [*(f"{kernel}-{means}" for kernel in BOTH for means in ("kprobe", "tracepoints")), PERF]
TABLE, ROUNDS = 4 << 20, 4  # small-fork.c
SAID = {
    "kprobe": "kprobe on handle_mm_fault",
    "tracepoints": "page-fault tracepoints",
    "perf": "perf's page-faults",
}


@pytest.fixture(scope="module")
def recorded() -> dict[str, Workload]:
    """All of them, by name."""
    return {name: load(FOLDER / f"{name}.txt.gz") for name in NAMES}


def load(path: Path) -> Workload:
    """Whatever format it has."""
    head = gzip.decompress(path.read_bytes())[: 1 << 16].decode()
    return load_trace(path, format_of(head), PLAIN, head=head)


def test_there_are_no_others() -> None:
    """Each is tested."""
    assert sorted(path.name.removesuffix(".txt.gz") for path in FOLDER.glob("*.gz")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_sees_what_the_program_does(recorded: dict[str, Workload], name: str) -> None:
    """Its calls, by its source; a fault for each page of its table, and for each page that a child writes to."""
    workload = recorded[name]
    arch, kernel, means = name.split("-")
    said = workload.provenance
    assert (said["arch"], said["kernel"].partition("+")[0], said["recorded by"]) == (
        arch,
        kernel,
        SAID[means],
    )
    assert workload.page_size == 4096
    rows = workload.ops.tolist()
    done = Counter(row[0] for row in rows)
    of = (uapi.OP_FORK, uapi.OP_MREMAP, uapi.OP_CLONE_VM, uapi.OP_EXEC, uapi.OP_EXIT)
    assert [done[op] for op in of] == [ROUNDS, ROUNDS, 1, 1, 2 + ROUNDS]
    table = next(row for row in rows if row[0] == uapi.OP_MMAP and row[3] == TABLE)
    pages = range(table[2], table[2] + TABLE, 4096)
    by_task: dict[int, set[int]] = {}
    for row in rows:
        if row[0] == uapi.OP_TOUCH:
            by_task.setdefault(row[1], set()).add(row[2])
    assert by_task[0] >= set(pages)
    wrote = [task for task in by_task if by_task[task] >= set(pages[: len(pages) // 4])]
    assert len(wrote) == 1 + ROUNDS


@pytest.mark.parametrize("kernel", BOTH)
def test_the_probe_sees_the_faults_that_the_tracepoints_see(
    recorded: dict[str, Workload], kernel: str
) -> None:
    """Of each task, in the same order, and of the same kind, for addresses were not random."""
    by_probe, by_tracepoints = (faults(recorded[f"{kernel}-{means}"]) for means in ("kprobe", "tracepoints"))
    assert by_probe == by_tracepoints
    assert sum(map(len, by_probe.values())) > 4000


def faults(workload: Workload) -> dict[int, list[tuple[int, int]]]:
    """Addresses and kinds, by task."""
    found: dict[int, list[tuple[int, int]]] = {}
    for op, task, address, _, access, *_ in workload.ops.tolist():
        if op == uapi.OP_TOUCH:
            found.setdefault(task, []).append((address, access))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_accesses_by_ftrace_lie_in_mappings_that_permit_them(
    recorded: dict[str, Workload], name: str
) -> None:
    """The recorder put execve's mappings on the timeline; perf has none of them, and they are assumed."""
    workload = recorded[name]
    if name == PERF:
        assert "assumed mappings" in workload.provenance
        return
    judge = Judge(workload).run()
    assert (judge.outside, judge.forbidden, judge.beyond) == ([], [], [])
