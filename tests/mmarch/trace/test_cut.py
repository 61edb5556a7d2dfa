"""Parts of a recording: the snapshot leads the twin to where the whole leads it; times, tasks, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from core_mm import uapi
from mmarch.api.choosing import prepare, silent
from mmarch.errors import InputError
from mmarch.history import Tables, record
from mmarch.runs.workloads import Trace, open_workload
from mmarch.trace.cut import cut
from mmarch.trace.formats import load_trace
from mmarch.workload import Workload
from tests.mmarch.conftest import Ran

STRACE = """\
1 0.100000 execve("/bin/sh", ["sh"], 0x7ff /* 1 var */) = 0
1 0.100000 brk(NULL) = 0x55f6d4a3b000
1 0.100000 brk(0x55f6d4a5c000) = 0x55f6d4a5c000
1 0.100000 mmap(NULL, 16384, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000
1 0.100000 clone(child_stack=NULL, flags=CLONE_VM|CLONE_THREAD) = 2
1 0.100000 mprotect(0x7f0000000000, 8192, PROT_READ) = 0
2 0.100000 munmap(0x7f0000003000, 4096) = 0
1 0.100000 clone(child_stack=NULL, flags=SIGCHLD) = 3
3 0.100000 madvise(0x7f0000000000, 4096, MADV_DONTNEED) = 0
2 0.100000 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000008000
1 0.100000 +++ exited with 0 +++
"""


def recorded(name: str) -> Workload:
    """A bundled trace."""
    source = open_workload(name)
    assert isinstance(source, Trace)
    return source.recorded


@pytest.fixture
def trace(tmp_path: Path) -> Workload:
    """STRACE, whose lines are 0.1 s apart."""
    (tmp_path / "s").write_text(STRACE)
    return load_trace(tmp_path / "s", "strace")


def tables(workload: Workload, row: int) -> Iterator[tuple[int, Tables]]:
    """Of every task that lives after a row, without large folios, which come about by history."""
    history = record(*prepare(Trace(workload), "", "", None, silent, {"folio_orders": "0"}, "linked"))
    for task in sorted(history.tasks(row)):
        yield task, history.tables(row, task)


def state(found: Tables) -> tuple[set[int], set[int]]:
    """Pages that are mapped, and anonymous ones that are there; file pages come in beside others, by order."""
    size = 1 << found.page_shift
    mapped = {at for mapping in found.mappings for at in range(mapping.start, mapping.end, size)}
    files = [(mapping.start, mapping.end) for mapping in found.mappings if mapping.file >= 0]
    there = {leaf.address for leaf in found if not any(low <= leaf.address < high for low, high in files)}
    return mapped, there


@pytest.mark.parametrize(
    ("name", "part"), [("numpy-pool", 0.5), ("redis-bgsave", 0.2), ("redis-bgsave", 0.8)]
)
def test_the_snapshot_leads_where_the_whole_leads(name: str, part: float) -> None:
    """The twin has the same tasks, mappings and anonymous pages after it as after the rows that it stands for."""
    whole = recorded(name)
    when = float(whole.times[int(len(whole.ops) * part)])
    first = int(np.searchsorted(np.maximum.accumulate(whole.times), when))
    after = cut(whole, repr(when))
    snapshot = int((after.lines == 0).sum())
    assert np.array_equal(after.ops[snapshot:], whole.ops[first:])
    assert np.array_equal(after.lines[snapshot:], whole.lines[first:])
    expected, found = list(tables(whole, first - 1)), list(tables(after, snapshot - 1))
    assert [task for task, _ in expected] == [task for task, _ in found]
    for (task, one), (_, other) in zip(expected, found, strict=True):
        assert state(one) == state(other), task


def kinds(workload: Workload) -> list[tuple[str, int]]:
    """Operations and their tasks."""
    return [(uapi.OP_NAMES[op], task) for op, task in workload.ops[:, :2].tolist()]


def test_times_choose_rows(trace: Workload) -> None:
    """Both ends are in; from the beginning nothing is a snapshot; +SECONDS counts from the first event."""
    assert np.array_equal(cut(trace, "", "99").ops, trace.ops)
    assert np.array_equal(cut(trace, "+0").ops, trace.ops)
    early = cut(trace, "", "0.45")
    assert np.array_equal(early.ops, trace.ops[: len(early.ops)])
    assert kinds(early)[-1] == ("fault", 0)
    late = cut(trace, "+0.95")
    assert [kind for kind in kinds(late) if kind == ("exit", 0)]
    assert late.provenance["cut"].startswith("from +0.95 s, after a snapshot of ")
    assert late.times.min() >= 1.0


def test_a_snapshot_has_threads_heaps_and_what_was_forbidden_since(trace: Workload) -> None:
    """A thread shares; a page written before mprotect is written in the snapshot too."""
    part = cut(trace, "0.75")
    snapshot = [row[:5] for row, line in zip(part.ops.tolist(), part.lines.tolist(), strict=True) if not line]
    assert snapshot == [
        [uapi.OP_SPAWN, 0, 0, 0, 0],
        [uapi.OP_BRK, 0, 0x55F6D4A3B000, 0, 0],
        [uapi.OP_BRK, 0, 0x55F6D4A5C000, 0, 0],
        [uapi.OP_TOUCH, 0, 0x55F6D4A3B000, 1, uapi.ACCESS_WRITE],
        [uapi.OP_MMAP, 0, 0x7F0000000000, 8192, 3],
        [uapi.OP_TOUCH, 0, 0x7F0000000000, 1, uapi.ACCESS_WRITE],
        [uapi.OP_MPROTECT, 0, 0x7F0000000000, 8192, 1],
        [uapi.OP_MMAP, 0, 0x7F0000002000, 4096, 3],
        [uapi.OP_CLONE_VM, 0, 1, 0, 0],
    ]


def test_tasks_choose_rows(trace: Workload) -> None:
    """Threads come along, in both directions; the child of a task that is left out begins with a snapshot."""
    assert {task for _, task in kinds(cut(trace, tasks=(1,)))} == {0, 1}
    assert ("fork", 0) not in kinds(cut(trace, tasks=(0,)))
    child = kinds(cut(trace, tasks=(2,)))
    assert child[0] == ("spawn", 2)
    assert child[-1] == ("madvise", 2)
    assert {task for _, task in child} == {2}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"begin": "soon"}, "--from 'soon': expected seconds"),
        ({"begin": "nan"}, "--from 'nan': expected seconds"),
        ({"begin": "2", "end": "1"}, "--from 2 is not before --to 1"),
        ({"begin": "99"}, "nothing happens there"),
        ({"tasks": (9,)}, "--task 9: s has no such task"),
    ],
)
def test_what_is_no_part(trace: Workload, chosen: dict[str, object], message: str) -> None:
    """Told by the option."""
    with pytest.raises(InputError, match=message):
        cut(trace, **chosen)  # type: ignore[arg-type]


def test_a_trace_without_times(tmp_path: Path) -> None:
    """Tasks of it can be chosen, times cannot."""
    (tmp_path / "p").write_text("# mmarch events 1\n7 exec\n7 mmap 0x10000000 65536 3 0x22\n8 brk 0x1000\n")
    plain = load_trace(tmp_path / "p", "plain")
    with pytest.raises(InputError, match="its tracer printed no times; only --task"):
        cut(plain, "1")
    assert kinds(cut(plain, tasks=(1,))) == [("spawn", 1), ("brk", 1)]


def test_the_commands_take_parts(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """convert keeps one, show shows one, and what runs it says so."""
    path = tmp_path / "part.mmarch"
    assert mmarch("trace", "convert", "redis-bgsave", "--from", "0.5", "--task", "2", "-o", path).code == 0
    shown = mmarch("trace", "show", path).out
    assert shown == mmarch("trace", "show", "redis-bgsave", "--from", "0.5", "--task", "2").out
    assert "cut: from 0.5 s task 2, after a snapshot of" in " ".join(shown.split())
    ran = mmarch("run", path, "-q")
    assert ran.code == 0
    assert "cut from 0.5 s task 2, after a snapshot of" in " ".join(ran.out.split())
    assert mmarch("trace", "show", "redis-bgsave", "--task", "99").code == 2
