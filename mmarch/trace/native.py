"""mmarch's own format: a recording as columns, in Parquet, two bytes or so an event.

Columns: op, task, and a to f as rows have them (`core_mm.uapi`), a as the difference to that of the task's row before;
line, and time in microseconds, as the difference to the row before. The rest of the workload is JSON in the file's
metadata, under "mmarch".

Before the footer, where readers of Parquet look at nothing, stand a mark and the digest of all other bytes: polars
ends the process over some damaged sizes, so damage has to be known before it sees a file.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.spill import ROWS, pieces, put, room
from mmarch.workload import File, Workload
from mmarch.writing import writing

if TYPE_CHECKING:
    from polars import LazyFrame

MAGIC = b"PAR1"
KEY, VERSION = "mmarch", 2
MOST_ROWS, MOST_TASKS, MOST_FILES, MOST_BYTES = 1 << 26, 1 << 16, 1 << 16, 1 << 30
MOST_PAGES = 1 << 40
MARK = b"mmarch recording"
END = 8  # the length of the footer, and the magic again
CELLS = ("op", "task", "a", "b", "c", "d", "e", "f")
COLUMNS = {
    "op": np.uint8, "task": np.uint16, **dict.fromkeys("abcdef", np.int64), "line": np.int32, "time": np.int64,
}  # fmt: skip
MICRO = 1e6
_OF_FILE = {uapi.OP_FTRUNCATE, uapi.OP_PWRITE, uapi.OP_UNLINK, uapi.OP_FALLOCATE}
_BIRTHS = (uapi.OP_FORK, uapi.OP_VFORK, uapi.OP_CLONE_VM)


class _Head(BaseModel):
    """What is no column."""

    model_config = ConfigDict(extra="forbid")

    version: int
    name: str = Field(max_length=200)
    files: list[tuple[int, int]] = Field(default=[], max_length=MOST_FILES)
    ignored: dict[str, int] = Field(default={}, max_length=1000)
    provenance: dict[str, str] = Field(default={}, max_length=200)
    page_size: int = Field(default=0, ge=0, le=1 << 16)
    remarks: tuple[str, ...] = Field(default=(), max_length=20)
    pids: tuple[int, ...] = Field(default=(), max_length=MOST_TASKS)


def _footer(raw: memoryview) -> int:
    """Where the footer of a Parquet file begins; negative if its length cannot be."""
    return len(raw) - END - int.from_bytes(raw[-END:-4], "little")


def seal(raw: bytes) -> bytes:
    """A Parquet file with its mark and digest."""
    at = _footer(memoryview(raw))
    return raw[:at] + MARK + hashlib.sha256(raw).digest() + raw[at:]


def unseal(path: Path, raw: bytes) -> None:
    """InputError if there is no mark, or bytes are not as they were written."""
    whole = memoryview(raw)
    at = _footer(whole)
    begin = at - len(MARK) - hashlib.sha256().digest_size
    if begin < 0 or whole[begin : begin + len(MARK)] != MARK:
        raise InputError(f"{path}: a Parquet file, but no recording; mmarch trace convert makes one")
    digest = hashlib.sha256(whole[:begin])
    digest.update(whole[at:])
    if whole[begin + len(MARK) : at] != digest.digest():
        raise InputError(f"{path}: damaged: its bytes are not as they were written")


def write_native(workload: Workload, output: str | Path) -> int:
    """Write it; the number of bytes. InputError where nothing can be written, or for a scenario."""
    import polars as pl
    from polars.io.plugins import register_io_source

    if workload.steps:
        raise InputError(f"{workload.name} is a scenario; only recordings are converted")
    head = _Head(
        version=VERSION, name=workload.name[:200], files=[(file.kind, file.size) for file in workload.files],
        ignored=dict(workload.ignored), provenance=dict(workload.provenance), page_size=workload.page_size,
        remarks=workload.remarks, pids=workload.pids,
    )  # fmt: skip
    made = io.BytesIO()
    columns = {name: pl.Series(np.empty(0, kind)).dtype for name, kind in COLUMNS.items()}
    register_io_source(lambda *_: map(pl.DataFrame, _columns(workload)), schema=columns).sink_parquet(
        made, compression="zstd", compression_level=level(len(workload.ops)), statistics=False, row_group_size=ROWS,
        metadata={KEY: head.model_dump_json()},
    )  # fmt: skip
    sealed = seal(made.getvalue())
    with writing(output) as stream:
        stream.write(sealed)
    return len(sealed)


def level(rows: int) -> int:
    """How hard zstd tries: a hundred times slower for a fifth less is well spent on what is small."""
    return 19 if rows < 1 << 20 else 6


def _columns(workload: Workload) -> Iterator[dict[str, NDArray[Any]]]:
    """Of the file, some rows at a time, in narrow types."""
    before, line, time = np.zeros(MOST_TASKS, np.int64), 0, 0
    times = workload.times if len(workload.times) else np.zeros(len(workload.ops))
    for ops, lines, when in pieces(workload.ops, workload.lines, times):
        micro = np.rint(when * MICRO).astype(np.int64)
        values = {name: ops[:, number] for number, name in enumerate(CELLS)}
        values["a"] = _steps(ops[:, 1], ops[:, 2], before)
        values["line"], values["time"] = np.diff(lines, prepend=line), np.diff(micro, prepend=time)
        line, time = lines[-1], micro[-1]
        yield {name: values[name].astype(kind) for name, kind in COLUMNS.items()}


def _steps(tasks: NDArray[np.int64], cells: NDArray[np.int64], before: NDArray[np.int64]) -> NDArray[np.int64]:
    """Differences of cells to the one before of the same task, the last one of each of which goes into `before`."""
    order, begins = _by_task(tasks)
    ordered = cells[order]
    step = np.diff(ordered, prepend=0)
    own = tasks[order][begins]
    step[begins] = ordered[begins] - before[own]
    before[own] = ordered[[*(begins[1:] - 1), -1]]
    found = np.empty_like(step)
    found[order] = step
    return found


def _sums(tasks: NDArray[np.int64], steps: NDArray[np.int64], before: NDArray[np.int64]) -> NDArray[np.int64]:
    """What `_steps` was made from."""
    order, begins = _by_task(tasks)
    ordered = steps[order]
    own = tasks[order][begins]
    ordered[begins] += before[own]
    ordered[begins[1:]] -= np.add.reduceat(ordered, begins)[:-1]
    sums = np.cumsum(ordered)
    before[own] = sums[[*(begins[1:] - 1), -1]]
    found = np.empty_like(sums)
    found[order] = sums
    return found


def _by_task(tasks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by task, and where in that order each task begins."""
    narrow = tasks.astype(np.uint16)
    order = np.argsort(narrow, kind="stable")  # by digits, since they are narrow
    begins = np.flatnonzero(np.diff(narrow[order], prepend=-1))
    return order, begins


def read_native(path: Path, stream: BinaryIO) -> Workload:
    """Read one; InputError for damage, another version, or what no recording can hold."""
    raw = stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise InputError(f"{path}: more than {MOST_BYTES} bytes; cut the trace or record less")
    unseal(path, raw)
    head, ops, lines, times = _unpack(path, raw)
    return Workload(
        name=head.name, ops=ops, lines=lines, times=times if times.any() else times[:0],
        files=tuple(File(kind, size) for kind, size in head.files), source=str(path), ignored=head.ignored,
        provenance=head.provenance, page_size=head.page_size, remarks=head.remarks, pids=head.pids,
    )  # fmt: skip


def _unpack(path: Path, raw: bytes) -> tuple[_Head, NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Metadata, operations, lines and times; how many rows there are is looked at before any is unpacked."""
    import polars as pl

    try:
        text = pl.read_parquet_metadata(io.BytesIO(raw)).get(KEY)
        if text is None:
            raise InputError(f"{path}: a Parquet file, but no recording; mmarch trace convert makes one")
        head = _Head.model_validate(json.loads(text))
        if head.version != VERSION:
            raise InputError(f"{path}: a recording of version {head.version}; this mmarch reads {VERSION}")
        lazy = pl.scan_parquet(io.BytesIO(raw))
        rows = int(lazy.select(pl.len()).collect().item())
        if rows > MOST_ROWS:
            raise InputError(f"{path}: {rows} operations; at most {MOST_ROWS} are read")
        return head, *_rows(path, lazy.select(list(COLUMNS)), rows, head)
    except (ValueError, ValidationError, pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: damaged: {str(error).splitlines()[0]}") from None
    except BaseException as error:  # polars' own panics are no Exceptions
        if type(error).__name__ == "PanicException":
            raise InputError(f"{path}: damaged: {str(error).splitlines()[0]}") from None
        raise


def _rows(
    path: Path, lazy: LazyFrame, rows: int, head: _Head
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """All of them, some at a time."""
    ops, lines, times = room(rows, uapi.COLUMNS, np.int64), room(rows, 0, np.int32), room(rows, 0, np.float64)
    before, line, time = np.zeros(MOST_TASKS, np.int64), 0, 0
    for first in range(0, rows, ROWS):
        frame = lazy.slice(first, ROWS).collect()
        if any(dtype not in _INTEGERS for dtype in map(str, frame.dtypes)) or sum(frame.null_count().row(0)):
            raise InputError(f"{path}: damaged: columns are not numbers")
        values = {name: frame[name].to_numpy() for name in COLUMNS}
        cells = np.empty((len(frame), uapi.COLUMNS), np.int64)
        for number, name in enumerate(CELLS):
            cells[:, number] = values[name]
        _check_tasks(path, cells, first)
        cells[:, 2] = _sums(cells[:, 1], cells[:, 2], before)
        _check(path, cells, head, first)
        lined, micro = np.cumsum(values["line"], dtype=np.int64) + line, np.cumsum(values["time"]) + time
        for whole, part in ((ops, cells), (lines, lined), (times, micro / MICRO)):
            put(whole, first, part)
        line, time = int(lined[-1]), int(micro[-1])
    return ops, lines, times


_INTEGERS = ("UInt8", "UInt16", "Int32", "Int64")


def _check_tasks(path: Path, ops: NDArray[np.int64], first: int) -> None:
    if ops[:, 1].min() < 0 or ops[:, 1].max() >= MOST_TASKS:
        at = first + int(np.flatnonzero((ops[:, 1] < 0) | (ops[:, 1] >= MOST_TASKS))[0])
        raise InputError(f"{path}: damaged: operation {at} cannot be")


def _check(path: Path, ops: NDArray[np.int64], head: _Head, first: int) -> None:
    """What would lead out of a table of the twin."""
    op, a, b, c, e = (ops[:, at] for at in (0, 2, 3, 4, 6))
    files = len(head.files)
    touch = op == uapi.OP_TOUCH
    bad = touch & ((b < 0) | (b > MOST_PAGES) | (c < 0) | (c > uapi.ACCESS_EXEC))
    rest = np.flatnonzero(~touch)
    op, a, e = op[rest], a[rest], e[rest]
    bad[rest] |= ~np.isin(op, list(uapi.OP_NAMES))
    bad[rest] |= np.isin(op, _BIRTHS) & ((a < 0) | (a >= MOST_TASKS))
    bad[rest] |= (op == uapi.OP_MMAP) & ((e < -1) | (e >= files))
    bad[rest] |= np.isin(op, list(_OF_FILE)) & ((a < 0) | (a >= files))
    kinds = {value for name, value in vars(uapi).items() if name.startswith("FILE_")}
    wrong = [file for file in head.files if file[0] not in kinds or not 0 <= file[1] < 1 << 62]
    if bad.any() or wrong:
        what = f"file {wrong[0]}" if wrong else f"operation {first + int(np.flatnonzero(bad)[0])}"
        raise InputError(f"{path}: damaged: {what} cannot be")
