"""Recordings that the recorder made on Debian's riscv64 kernels, by the means that each of them permits."""

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

FOLDER = Path(__file__).parents[3] / "examples" / "traces" / "riscv64"
MEANS = {path.name.removesuffix(".txt.gz").rpartition("-")[2]: path for path in FOLDER.glob("*.gz")}
TABLE, ROUNDS = 4 << 20, 4  # small-fork.c


@pytest.fixture(scope="module", params=sorted(MEANS))
def recorded(request: pytest.FixtureRequest) -> tuple[str, Workload]:
    """A means, and what it recorded of small-fork.c."""
    path = MEANS[request.param]
    head = gzip.decompress(path.read_bytes())[: 1 << 16].decode()
    return request.param, load_trace(path, format_of(head), PLAIN, head=head)


def test_each_means_sees_what_the_program_does(recorded: tuple[str, Workload]) -> None:
    """Its calls, by its source; a fault for each page of its table, and for each page that a child writes to."""
    _, workload = recorded
    assert (workload.provenance["arch"], workload.page_size) == ("riscv64", 4096)
    rows = workload.ops.tolist()
    done = Counter(row[0] for row in rows)
    of = (uapi.OP_FORK, uapi.OP_MREMAP, uapi.OP_CLONE_VM, uapi.OP_EXIT, uapi.OP_EXEC)
    assert [done[op] for op in of] == [ROUNDS, ROUNDS, 1, 6, 1]
    table = next(row for row in rows if row[0] == uapi.OP_MMAP and row[3] == TABLE)
    pages = range(table[2], table[2] + TABLE, 4096)
    by_task: dict[int, set[int]] = {}
    for row in rows:
        if row[0] == uapi.OP_TOUCH:
            by_task.setdefault(row[1], set()).add(row[2])
    assert by_task[0] >= set(pages)
    forked = [task for task in by_task if by_task[task] >= set(pages[: len(pages) // 4])]
    assert len(forked) == 1 + ROUNDS


def test_what_ftrace_recorded_lies_in_mappings_that_permit_it(recorded: tuple[str, Workload]) -> None:
    """The recorder put execve's mappings on the timeline; perf has none of them, and they are assumed."""
    means, workload = recorded
    if means == "perf":
        assert "assumed mappings" in workload.provenance
        return
    judge = Judge(workload).run()
    assert (judge.outside, judge.forbidden, judge.beyond) == ([], [], [])
    assert workload.provenance["recorded by"] == {
        "kprobe": "kprobe on handle_mm_fault", "tracepoints": "page-fault tracepoints",
    }[means]  # fmt: skip
