"""mmarch's own format: nothing is lost, little is taken, and a damaged file is a message."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.runs.workloads import bundled_traces
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.native import KEY, read_native, seal, write_native
from mmarch.trace.summary import kinds_of, tasks_of
from mmarch.workload import File, Workload
from tests.mmarch.conftest import Ran

NAMES = sorted(bundled_traces())


def again(path: Path) -> Workload:
    """Read it."""
    with path.open("rb") as stream:
        return read_native(path, stream)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_recording_is_lost(name: str, tmp_path: Path) -> None:
    """Operations, their lines, files, what was left out and what it says of itself; at most six bytes an event."""
    recorded, path = load_ftrace(bundled_traces()[name]), tmp_path / "r.parquet"
    size = write_native(recorded, path)
    assert size == path.stat().st_size <= 6 * len(recorded.ops)
    read = again(path)
    assert np.array_equal(read.ops, recorded.ops)
    assert np.array_equal(read.lines, recorded.lines)
    for field in ("name", "files", "ignored", "provenance", "page_size", "remarks"):
        assert getattr(read, field) == getattr(recorded, field), field


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_any_numbers_survive(tmp_path: Path, data: st.DataObject) -> None:
    """Addresses at both ends of what a cell holds, tasks in any order."""
    cell = st.integers(-(1 << 63), (1 << 63) - 1)
    rows = data.draw(st.lists(st.tuples(st.integers(0, 9), cell, cell), max_size=20))
    ops = np.array([(uapi.OP_MUNMAP, task, a, b, 0, 0, 0, 0) for task, a, b in rows], np.int64).reshape(-1, 8)
    lines = np.arange(len(rows), dtype=np.int32)[::-1].copy()
    path = tmp_path / "r"
    write_native(Workload("w", ops, lines), path)
    assert np.array_equal(again(path).ops, ops)
    assert np.array_equal(again(path).lines, lines)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A recording of four operations and a file."""
    rows = [(uapi.OP_SPAWN, 0), (uapi.OP_MMAP, 0, 1 << 20, 8192, 3, 2, 0, 0), (uapi.OP_TOUCH, 0, 1 << 20, 1, 1)]
    ops = np.array([(*row, *(0,) * (8 - len(row))) for row in rows], np.int64)
    path = tmp_path_factory.mktemp("native") / "r"
    write_native(Workload("w", ops, np.arange(3, dtype=np.int32), files=(File(0, 8192),)), path)
    return path.read_bytes()


@pytest.mark.parametrize("bit", [1, 16, 128])
def test_any_changed_byte_is_noticed(tmp_path: Path, small: bytes, bit: int) -> None:
    """Wherever it is, before polars sees it: there are sizes over which it would end the process."""
    path = tmp_path / "damaged"
    for at in range(len(small)):
        path.write_bytes(small[:at] + bytes([small[at] ^ bit]) + small[at + 1 :])
        with pytest.raises(InputError, match=r"damaged: its bytes|no recording"):
            again(path)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_damage_is_a_message(tmp_path: Path, small: bytes, data: st.DataObject) -> None:
    """Cut, or with other bytes in it: what it holds, or one line that names it."""
    raw = bytearray(small)
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(1, len(raw)))] if data.draw(st.booleans()) else raw
    path = tmp_path / "damaged"
    path.write_bytes(raw)
    try:
        assert again(path).ops.shape[1] == uapi.COLUMNS
    except InputError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)


def changed(small: bytes, path: Path, **columns: object) -> Path:
    """With other columns."""
    metadata = pl.read_parquet_metadata(io.BytesIO(small))
    frame = pl.read_parquet(io.BytesIO(small)).with_columns(**columns)  # type: ignore[arg-type]
    return sealed(frame, path, metadata[KEY])


def sealed(frame: pl.DataFrame, path: Path, head: str) -> Path:
    """Written as a recording is."""
    made = io.BytesIO()
    frame.write_parquet(made, compression="zstd", metadata={KEY: head})
    path.write_bytes(seal(made.getvalue()))
    return path


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"op": pl.lit(99, pl.UInt8)}, "operation 0 cannot be"),
        ({"task": pl.lit(-1, pl.Int32)}, "operation 0 cannot be"),
        ({"e": pl.lit(7, pl.Int64)}, "operation 1 cannot be"),
        ({"c": pl.lit("x")}, "columns are not numbers"),
        ({"c": pl.lit(None, pl.Int64)}, "columns are not numbers"),
    ],
)
def test_what_no_recording_can_hold(small: bytes, tmp_path: Path, columns: dict[str, object], message: str) -> None:
    """Operations, tasks and files that there are not, columns of another kind."""
    with pytest.raises(InputError, match=f"damaged: {message}"):
        again(changed(small, tmp_path / "r", **columns))


def test_other_files_are_refused_by_what_they_are(small: bytes, tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """Parquet that is no recording; a billion rows in a few bytes; a scenario to convert."""
    path = tmp_path / "r.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    assert "a Parquet file, but no recording" in mmarch("run", path).err
    metadata = pl.read_parquet_metadata(io.BytesIO(small))
    zeros = pl.select(pl.zeros(1 << 27, dtype=pl.UInt8).alias("op"))
    sealed(zeros, path, metadata[KEY])
    assert path.stat().st_size < 1 << 20
    assert "134217728 operations; at most 67108864 are read" in mmarch("run", path).err
    scenario = tmp_path / "s.scn"
    scenario.write_text("scenario s\n  map A 4\n  write A\nend\n")
    assert mmarch("trace", "convert", scenario, "-o", path).code == 2


def test_the_commands(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """A converted recording gives the same counts; what is in it is shown."""
    path = tmp_path / "r.parquet"
    assert mmarch("trace", "convert", "redis-bgsave", "-o", path).code == 0
    assert mmarch("run", path, "-q").out == mmarch("run", "redis-bgsave", "-q").out
    shown = mmarch("trace", "show", path).out
    assert "redis-bgsave: 17,725 operations" in shown
    assert "program: sh" in shown


def test_the_summary_counts(small: bytes, tmp_path: Path) -> None:
    """One task that mapped two pages and touched one."""
    path = tmp_path / "r"
    path.write_bytes(small)
    (task,) = tasks_of(again(path))
    assert (task.operations, task.mapped, task.touched, task.faults) == (3, 8192, 1, 1)
    assert kinds_of(again(path)) == {"spawn": 1, "fault": 1, "mmap": 1}
