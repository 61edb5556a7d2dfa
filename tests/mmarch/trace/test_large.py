"""Recordings larger than memory: read, kept, looked at and replayed in pieces, with the same results."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import mmarch
from mmarch import spill
from mmarch.errors import InputError
from mmarch.runs.workloads import Trace, bundled_traces
from mmarch.trace.assumed import PLAIN
from mmarch.trace.formats import load_trace
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.native import read_native, write_native
from mmarch.trace.summary import kinds_of, tasks_of
from mmarch.workload import Workload

TRACE = bundled_traces()["redis-bgsave"]


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is large, and pieces are small and end nowhere in particular."""
    monkeypatch.setattr("mmarch.trace.rows.MANY", 1000)
    monkeypatch.setattr("mmarch.trace.ftrace.MANY", 1000)
    monkeypatch.setattr("mmarch.trace.native.MANY", 777)
    monkeypatch.setattr("mmarch.trace.columns.BLOCK", 100)
    monkeypatch.setattr("mmarch.engine.memory.TAKEN", 1)
    monkeypatch.setattr(spill, "LARGE", 4096)
    monkeypatch.setattr(spill, "ROWS", 777)


@pytest.fixture(scope="module")
def whole() -> Workload:
    """Read as ever."""
    return load_ftrace(TRACE)


def same(one: Workload, other: Workload) -> bool:
    """Rows, lines and times."""
    return all(
        np.array_equal(getattr(one, field), getattr(other, field)) for field in ("ops", "lines", "times")
    )


@pytest.mark.usefixtures("small_memory")
def test_rows_go_to_files_and_come_back(whole: Workload) -> None:
    """Also those that are filled or taken back long after they were written."""
    assert same(load_ftrace(TRACE), whole)


def test_a_row_is_filled_after_it_went_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that begins before many others and ends after them."""
    begin = "1 munmap(0x7f0000000000, 4096 <unfinished ...>\n"
    others = "".join(f"2 munmap({0x7F1000000000 + 4096 * n:#x}, 4096) = 0\n" for n in range(40))
    path = tmp_path / "s"
    path.write_text(begin + others + "1 <... munmap resumed>) = 0\n2 munmap(0x1000, 4096) = 0\n")
    plain = load_trace(path, "strace")
    monkeypatch.setattr("mmarch.trace.rows.MANY", 7)
    assert same(load_trace(path, "strace"), plain)


@pytest.mark.usefixtures("small_memory")
def test_mmarchs_own_format_is_read_and_written_in_pieces(tmp_path: Path, whole: Workload) -> None:
    """Differences go on across pieces, of each task."""
    path = tmp_path / "r"
    write_native(whole, path)
    with path.open("rb") as stream:
        assert same(read_native(path, stream), whole)


def test_summaries_and_counts_are_the_same(whole: Workload, request: pytest.FixtureRequest) -> None:
    """Of one piece and of many; the machine works on the file itself."""
    expected = tasks_of(whole), kinds_of(whole), mmarch.run(Trace(whole), engine="linked").operations
    request.getfixturevalue("small_memory")
    large = load_trace(TRACE, "ftrace", PLAIN, head="# mmarch trace:")
    found = tasks_of(large), kinds_of(large), mmarch.run(Trace(large), engine="linked").operations
    assert found == expected


def test_room_is_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written stays when its memory is let go; nothing is left in the folder; small arrays need none."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    large = spill.room(spill.LARGE // 8, 0, np.int64)
    large[:] = np.arange(len(large))
    spill.release(large[5:])
    assert not list(tmp_path.iterdir())
    assert large[-1] == len(large) - 1
    before = resident()
    total = sum(int(part.sum()) for (part,) in spill.pieces(large))
    assert total == len(large) * (len(large) - 1) // 2
    assert resident() - before < spill.LARGE // 2
    assert not spill.room(3, 2, np.int32).any()
    assert [len(part) for (part,) in spill.pieces(np.zeros(spill.ROWS + 1))] == [spill.ROWS, 1]


def resident() -> int:
    """Bytes of memory that this process has (/proc/self/statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.usefixtures("small_memory")
def test_no_room_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which folder, and what to set."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(InputError, match=r"No space left on device; set TMPDIR to a folder with more room"):
        load_ftrace(TRACE)
