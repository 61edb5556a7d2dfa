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
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.workload import File, Workload
from mmarch.writing import writing

MAGIC = b"PAR1"
KEY, VERSION = "mmarch", 2
MOST_ROWS, MOST_TASKS, MOST_FILES, MOST_BYTES = 1 << 26, 1 << 16, 1 << 16, 1 << 30
MOST_PAGES = 1 << 40
MARK = b"mmarch recording"
END = 8  # the length of the footer, and the magic again
COLUMNS = ("op", "task", "a", "b", "c", "d", "e", "f", "line", "time")
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


def _before(ops: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows by task, and which of them is its task's first."""
    order = np.argsort(ops, kind="stable")
    first = np.ones(len(ops), np.bool_)
    first[1:] = ops[order][1:] != ops[order][:-1]
    return order, first


def _footer(raw: bytes) -> int:
    """Where the footer of a Parquet file begins; negative if its length cannot be."""
    return len(raw) - END - int.from_bytes(raw[-END:-4], "little")


def seal(raw: bytes) -> bytes:
    """A Parquet file with its mark and digest."""
    at = _footer(raw)
    return raw[:at] + MARK + hashlib.sha256(raw).digest() + raw[at:]


def unseal(path: Path, raw: bytes) -> bytes:
    """Without them; InputError if there is no mark, or bytes are not as they were written."""
    at = _footer(raw)
    begin = at - len(MARK) - hashlib.sha256().digest_size
    if begin < 0 or raw[begin : begin + len(MARK)] != MARK:
        raise InputError(f"{path}: a Parquet file, but no recording; mmarch trace convert makes one")
    plain = raw[:begin] + raw[at:]
    if raw[begin + len(MARK) : at] != hashlib.sha256(plain).digest():
        raise InputError(f"{path}: damaged: its bytes are not as they were written")
    return plain


def write_native(workload: Workload, output: str | Path) -> int:
    """Write it; the number of bytes. InputError where nothing can be written, or for a scenario."""
    import polars as pl

    if workload.steps:
        raise InputError(f"{workload.name} is a scenario; only recordings are converted")
    ops = workload.ops
    order, first = _before(ops[:, 1])
    step = np.diff(ops[order, 2], prepend=0)
    step[first] = ops[order, 2][first]
    address = np.empty_like(step)
    address[order] = step
    values: dict[str, Any] = {
        "op": ops[:, 0].astype(np.uint8),
        "task": ops[:, 1].astype(np.uint16),
        "a": address,
    }
    values.update({name: ops[:, at] for at, name in enumerate("bcdef", 3)})
    values["line"] = np.diff(workload.lines, prepend=np.int32(0)).astype(np.int32)
    times = workload.times if len(workload.times) else np.zeros(len(ops))
    values["time"] = np.diff(np.rint(times * MICRO).astype(np.int64), prepend=np.int64(0))
    head = _Head(
        version=VERSION, name=workload.name[:200], files=[(file.kind, file.size) for file in workload.files],
        ignored=dict(workload.ignored), provenance=dict(workload.provenance), page_size=workload.page_size,
        remarks=workload.remarks, pids=workload.pids,
    )  # fmt: skip
    made = io.BytesIO()
    pl.DataFrame(values).write_parquet(
        made,
        compression="zstd",
        compression_level=19,
        statistics=False,
        metadata={KEY: head.model_dump_json()},
    )
    sealed = seal(made.getvalue())
    with writing(output) as stream:
        stream.write(sealed)
    return len(sealed)


def read_native(path: Path, stream: BinaryIO) -> Workload:
    """Read one; InputError for damage, another version, or what no recording can hold."""
    raw = stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise InputError(f"{path}: more than {MOST_BYTES} bytes; cut the trace or record less")
    head, columns = _unpack(path, unseal(path, raw))
    if head.version != VERSION:
        raise InputError(f"{path}: a recording of version {head.version}; this mmarch reads {VERSION}")
    ops = np.zeros((len(columns["op"]), uapi.COLUMNS), np.int64)
    for at, name in enumerate(COLUMNS[:-2]):
        ops[:, at] = columns[name]
    order, first = _before(ops[:, 1])
    steps = ops[order, 2]
    sums = np.cumsum(steps)
    begins = np.flatnonzero(first)
    ops[order, 2] = sums - np.repeat(sums[begins] - steps[begins], np.diff([*begins, len(sums)]))
    _check(path, ops, head)
    times = np.cumsum(columns["time"]) / MICRO
    return Workload(
        name=head.name, ops=ops, lines=np.cumsum(columns["line"], dtype=np.int64).astype(np.int32),
        files=tuple(File(kind, size) for kind, size in head.files), source=str(path), ignored=head.ignored,
        provenance=head.provenance, page_size=head.page_size, remarks=head.remarks, pids=head.pids,
        times=times if times.any() else times[:0],
    )  # fmt: skip


def _unpack(path: Path, raw: bytes) -> tuple[_Head, dict[str, NDArray[np.int64]]]:
    """Metadata and columns; how many rows there are is looked at before any is unpacked."""
    import polars as pl

    try:
        text = pl.read_parquet_metadata(io.BytesIO(raw)).get(KEY)
        if text is None:
            raise InputError(f"{path}: a Parquet file, but no recording; mmarch trace convert makes one")
        head = _Head.model_validate(json.loads(text))
        lazy = pl.scan_parquet(io.BytesIO(raw))
        rows = int(lazy.select(pl.len()).collect().item())
        if rows > MOST_ROWS:
            raise InputError(f"{path}: {rows} operations; at most {MOST_ROWS} are read")
        frame = lazy.select(COLUMNS).collect()
        if any(dtype not in _INTEGERS for dtype in map(str, frame.dtypes)) or sum(frame.null_count().row(0)):
            raise InputError(f"{path}: damaged: columns are not numbers")
        return head, {name: frame[name].to_numpy().astype(np.int64) for name in COLUMNS}
    except (ValueError, ValidationError, pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: damaged: {str(error).splitlines()[0]}") from None
    except BaseException as error:  # polars' own panics are no Exceptions
        if type(error).__name__ == "PanicException":
            raise InputError(f"{path}: damaged: {str(error).splitlines()[0]}") from None
        raise


_INTEGERS = ("UInt8", "UInt16", "Int32", "Int64")


def _check(path: Path, ops: NDArray[np.int64], head: _Head) -> None:
    """What would lead out of a table of the twin."""
    op, task, a, b, c, e = (ops[:, at] for at in (0, 1, 2, 3, 4, 6))
    files = len(head.files)
    bad = ~np.isin(op, list(uapi.OP_NAMES)) | (task < 0) | (task >= MOST_TASKS)
    bad |= np.isin(op, _BIRTHS) & ((a < 0) | (a >= MOST_TASKS))
    bad |= (op == uapi.OP_MMAP) & ((e < -1) | (e >= files))
    bad |= np.isin(op, list(_OF_FILE)) & ((a < 0) | (a >= files))
    bad |= (op == uapi.OP_TOUCH) & ((b < 0) | (b > MOST_PAGES) | (c < 0) | (c > uapi.ACCESS_EXEC))
    kinds = {value for name, value in vars(uapi).items() if name.startswith("FILE_")}
    wrong = [file for file in head.files if file[0] not in kinds or not 0 <= file[1] < 1 << 62]
    if bad.any() or wrong:
        what = f"file {wrong[0]}" if wrong else f"operation {int(np.flatnonzero(bad)[0])}"
        raise InputError(f"{path}: damaged: {what} cannot be")
