"""mmarch's own format: nothing is lost, little is taken, and a damaged file is a message."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
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
from mmarch.trace.columns import columns as columns_of
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.native import HEAD, read_native, write_native
from mmarch.trace.parts import write_parts
from mmarch.trace.summary import kinds_of, tasks_of
from mmarch.workload import File, Workload
from tests.mmarch.conftest import Ran

NAMES = sorted(bundled_traces())


def again(path: Path, salvage: bool = False) -> Workload:
    """Read it."""
    with path.open("rb") as stream:
        return read_native(path, stream, salvage)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_recording_is_lost(name: str, tmp_path: Path) -> None:
    """Operations, their lines, files, what was left out and what it says of itself; at most six bytes an event."""
    recorded, path = load_ftrace(bundled_traces()[name]), tmp_path / "r.mmarch"
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
    rows = [
        (uapi.OP_SPAWN, 0),
        (uapi.OP_MMAP, 0, 1 << 20, 8192, 3, 2, 0, 0),
        (uapi.OP_TOUCH, 0, 1 << 20, 1, 1),
    ]
    ops = np.array([(*row, *(0,) * (8 - len(row))) for row in rows], np.int64)
    path = tmp_path_factory.mktemp("native") / "r"
    write_native(Workload("w", ops, np.arange(3, dtype=np.int32), files=(File(0, 8192),)), path)
    return path.read_bytes()


@pytest.mark.parametrize("bit", [1, 16, 128])
def test_any_changed_byte_is_noticed(small: bytes, bit: int) -> None:
    """Wherever it is before the index: there are sizes over which polars ends the process."""
    for at in range(small.index(b"PK\x01\x02")):
        changed = small[:at] + bytes([small[at] ^ bit]) + small[at + 1 :]
        with pytest.raises(InputError, match=r"damaged in its part|truncated: it ends in its part"):
            read_native(Path("r"), io.BytesIO(changed))


@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_damage_is_a_message(small: bytes, data: st.DataObject) -> None:
    """Cut, or with other bytes in it: what it holds, or one line that names it."""
    raw = bytearray(small)
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(1, len(raw)))] if data.draw(st.booleans()) else raw
    try:
        assert read_native(Path("r"), io.BytesIO(raw)).ops.shape[1] == uapi.COLUMNS
    except InputError as error:
        assert str(error).startswith("r: ")
        assert "\n" not in str(error)


@pytest.fixture
def parted(tmp_path: Path) -> tuple[Workload, bytes]:
    """A recording in three parts of 8,192 rows and less, and its file."""
    recorded = load_ftrace(bundled_traces()["redis-bgsave"])
    write_native(recorded, tmp_path / "whole")
    return recorded, (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_what_stands_before_damage_is_salvaged(
    tmp_path: Path, parted: tuple[Workload, bytes], damage: str, mmarch: Callable[..., Ran]
) -> None:
    """The parts before it, row by row; the table says how many of how many; without --salvage an error names it."""
    (recorded, raw), path = parted, tmp_path / "r"
    at = raw.index(b"00002.parquet") + 1000
    path.write_bytes(raw[:at] + (bytes([raw[at] ^ 1]) + raw[at + 1 :] if damage == "changed" else b""))
    what = {"cut": "truncated: it ends in", "changed": "damaged in"}[damage] + " its part 00002.parquet"
    with pytest.raises(InputError, match=f"^{path}: {what}; what stands before it: --salvage$"):
        again(path)
    read = again(path, salvage=True)
    assert len(read.ops) == 2 * 8192
    for field in ("ops", "lines", "times"):
        assert np.allclose(getattr(read, field), getattr(recorded, field)[: 2 * 8192], atol=1e-6), field
    assert read.provenance["salvaged"] == f"16,384 of 17,725 operations: {what}"
    ran = mmarch("run", path, "--salvage")
    assert ran.code == 0
    assert "salvaged 16,384 of 17,725 operations" in " ".join(ran.out.split())


def test_nothing_before_damage_is_an_error_by_itself(tmp_path: Path, parted: tuple[Workload, bytes]) -> None:
    """In what it says of itself, and in its first part."""
    raw, path = parted[1], tmp_path / "r"
    for at in (31, 40, raw.index(b"00000.parquet") + 100):
        path.write_bytes(raw[:at])
        with pytest.raises(InputError, match=r"truncated: it ends in its part [\w.]+$"):
            again(path, salvage=True)


def test_every_program_for_zip_and_parquet_reads_it(tmp_path: Path, parted: tuple[Workload, bytes]) -> None:
    """Its index is whole; the parts together have each row, and the steps of addresses add up."""
    with zipfile.ZipFile(io.BytesIO(parted[1])) as made:
        assert made.testzip() is None
        names = [name for name in made.namelist() if name.endswith(".parquet")]
        frame = pl.concat([pl.read_parquet(io.BytesIO(made.read(name))) for name in names])
    recorded = parted[0]
    assert frame["op"].to_list() == recorded.ops[:, 0].tolist()
    own = frame["task"].to_numpy() == 1
    assert frame["a"].to_numpy()[own].cumsum().tolist() == recorded.ops[own, 2].tolist()


def changed(small: bytes, path: Path, **columns: object) -> Path:
    """With other columns."""
    with zipfile.ZipFile(io.BytesIO(small)) as made:
        head = made.read(HEAD)
        frame = pl.read_parquet(io.BytesIO(made.read("00000.parquet")))
    return written(path, head, frame.with_columns(**columns))  # type: ignore[arg-type]  # of whatever kind


def written(path: Path, head: bytes, frame: pl.DataFrame) -> Path:
    """As a recording is."""
    part = io.BytesIO()
    frame.write_parquet(part, compression="zstd")
    with path.open("wb") as stream:
        write_parts(stream, [(HEAD, head), ("00000.parquet", part.getvalue())])
    return path


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"op": pl.lit(99, pl.UInt8)}, "operation 0 cannot be"),
        ({"task": pl.lit(-1, pl.Int32)}, "operation 0 cannot be"),
        ({"e": pl.lit(7, pl.Int64)}, "operation 1 cannot be"),
        ({"c": pl.lit(3, pl.Int64)}, "operation 2 cannot be"),
        ({"b": pl.lit(-1, pl.Int64)}, "operation 2 cannot be"),
        ({"c": pl.lit("x")}, "columns are not numbers"),
        ({"c": pl.lit(None, pl.Int64)}, "columns are not numbers"),
    ],
)
def test_what_no_recording_can_hold(
    small: bytes, tmp_path: Path, columns: dict[str, object], message: str
) -> None:
    """Operations, tasks, accesses and files that there are not, columns of another kind."""
    with pytest.raises(InputError, match=f"damaged: {message}"):
        again(changed(small, tmp_path / "r", **columns))


def test_other_files_are_refused_by_what_they_are(
    small: bytes, tmp_path: Path, mmarch: Callable[..., Ran]
) -> None:
    """Parquet and archives that are no recordings; a billion rows in a few bytes; a later version; a scenario."""
    path = tmp_path / "r"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    assert "a Parquet file, but no recording" in mmarch("run", path).err
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a", "b")
    assert "a zip archive; unpack it first" in mmarch("run", path).err
    zeros = pl.select(pl.zeros(1 << 27, dtype=pl.UInt8).alias("op"))
    head = {"version": 3, "name": "w", "rows": 3}
    written(path, json.dumps(head).encode(), zeros)
    assert path.stat().st_size < 1 << 20
    assert "134217728 operations in its part 00000.parquet" in mmarch("run", path).err
    written(path, json.dumps(head | {"rows": 1 << 40}).encode(), zeros)
    assert "1099511627776 operations; at most 67108864 are read" in mmarch("run", path).err
    written(path, json.dumps(head | {"version": 4, "new": 1}).encode(), zeros)
    assert "a recording of version 4; this mmarch reads up to 3" in mmarch("run", path).err
    scenario = tmp_path / "s.scn"
    scenario.write_text("scenario s\n  map A 4\n  write A\nend\n")
    assert mmarch("trace", "convert", scenario, "-o", path).code == 2


def test_the_format_as_it_was_first_is_read(tmp_path: Path) -> None:
    """One Parquet file with a digest before its footer; of a damaged one nothing can be told from the rest."""
    recorded, path, made = load_ftrace(bundled_traces()["redis-bgsave"]), tmp_path / "r", io.BytesIO()
    (values,) = columns_of(recorded, len(recorded.ops))
    head = {"version": 2, "name": recorded.name, "files": [(file.kind, file.size) for file in recorded.files]}
    pl.DataFrame(values).write_parquet(made, metadata={"mmarch": json.dumps(head)})
    raw = made.getvalue()
    at = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    path.write_bytes(raw[:at] + b"mmarch recording" + hashlib.sha256(raw).digest() + raw[at:])
    read = again(path)
    assert np.array_equal(read.ops, recorded.ops)
    assert np.array_equal(read.lines, recorded.lines)
    assert read.files == recorded.files
    path.write_bytes(path.read_bytes()[:1000] + b"x" + path.read_bytes()[1001:])
    with pytest.raises(InputError, match=f"^{path}: damaged: .*convert the trace that it was made of again"):
        again(path, salvage=True)


def test_the_commands(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """A converted recording gives the same counts; what is in it is shown."""
    path = tmp_path / "r.mmarch"
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
