"""mmarch's own format: a recording as columns, two to four bytes an event.

A zip archive, stored: `recording.json`, and its columns (`mmarch.trace.columns`) in parts of some rows, each a Parquet
file. A part has a CRC, looked at before polars sees it, which ends the process over some damaged sizes; what stands
before a damaged part is whole.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mmarch import spill
from mmarch.errors import InputError
from mmarch.trace import native_v2
from mmarch.trace.columns import COLUMNS, MOST_ROWS, Head, Rows, columns
from mmarch.trace.packed import Damaged
from mmarch.trace.parts import MAGIC, read_part, write_parts
from mmarch.workload import File, Workload
from mmarch.writing import writing

if TYPE_CHECKING:
    from polars import DataFrame

VERSION = 3
HEAD = "recording.json"
FEWEST, PARTS = 1 << 13, 16  # rows of a part, where there are few, and parts, where there are more
MANY = 1 << 17  # rows of a part at most


def is_native(head: bytes) -> bool:
    """Whether a file begins so."""
    return head.startswith(native_v2.MAGIC) or (
        head.startswith(MAGIC) and head[30:].startswith(HEAD.encode())
    )


def write_native(workload: Workload, output: str | Path) -> int:
    """Write it; the number of bytes. InputError where nothing can be written, or for a scenario."""
    if workload.steps:
        raise InputError(f"{workload.name} is a scenario; only recordings are converted")
    with spill.file() as made, spill.enough_room():
        write_parts(made, _parts(workload))
        size = made.tell()
        made.seek(0)
        with writing(output) as stream:
            shutil.copyfileobj(made, stream)
    return size


def _parts(workload: Workload) -> Iterator[tuple[str, bytes]]:
    """By their names."""
    import polars as pl

    rows = len(workload.ops)
    head = Head(
        version=VERSION, name=workload.name[:200], rows=rows, files=[(file.kind, file.size) for file in workload.files],
        ignored=dict(workload.ignored), provenance=dict(workload.provenance), page_size=workload.page_size,
        remarks=workload.remarks, pids=workload.pids,
    )  # fmt: skip
    yield HEAD, head.model_dump_json().encode()
    for number, values in enumerate(columns(workload, min(max(rows // PARTS, FEWEST), MANY))):
        part = io.BytesIO()
        pl.DataFrame(values).write_parquet(
            part, compression="zstd", compression_level=_level(rows), statistics=False
        )
        yield _name(number), part.getvalue()


def _name(number: int) -> str:
    return f"{number:05}.parquet"


def _level(rows: int) -> int:
    """How hard zstd tries: a hundred times slower for a fifth less is well spent on what is small."""
    return 19 if rows < 1 << 20 else 6


def read_native(path: Path, stream: BinaryIO, salvage: bool = False) -> Workload:
    """Read one; InputError for damage, another version, or what no recording can hold.

    salvage  take the parts that stand before the first damage
    """
    try:
        with _damage():
            head, frames = _opened(stream)
            rows = Rows(head)
        lost = _fill(rows, frames)
        if lost and not (salvage and rows.done):
            raise InputError(f"{lost}{'; what stands before it: --salvage' if rows.done else ''}")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    kept = {"salvaged": f"{rows.done:,} of {head.rows:,} operations: {lost}"} if lost else {}
    ops, lines, times = rows.result()
    return Workload(
        name=head.name, ops=ops, lines=lines, times=times, files=tuple(File(*file) for file in head.files),
        source=str(path), ignored=head.ignored, provenance=head.provenance | kept, page_size=head.page_size,
        remarks=head.remarks, pids=head.pids,
    )  # fmt: skip


def _opened(stream: BinaryIO) -> tuple[Head, Iterator[DataFrame]]:
    """What it says of itself, and its columns, some rows at a time."""
    begin = stream.read(len(native_v2.MAGIC))
    if begin == native_v2.MAGIC:
        text, rows, frames = native_v2.read_whole(stream, begin)
        head = _head(text, native_v2.VERSION)
        head.rows = rows
    else:
        head, frames = _head(read_part(stream, HEAD, begin), VERSION), _frames(stream)
    if head.rows > MOST_ROWS:
        raise InputError(f"{head.rows} operations; at most {MOST_ROWS} are read")
    return head, frames


def _head(text: str | bytes, version: int) -> Head:
    found = json.loads(text)
    if isinstance(found, dict) and found.get("version") != version:
        raise InputError(f"a recording of version {found.get('version')}; this mmarch reads up to {VERSION}")
    head = Head.model_validate(found)
    head.check()
    return head


def _frames(stream: BinaryIO) -> Iterator[DataFrame]:
    """Of each part, as long as anybody asks."""
    import polars as pl

    for number in count():
        part = io.BytesIO(read_part(stream, _name(number)))
        rows = pl.scan_parquet(part).select(pl.len()).collect().item()
        if not 0 < rows <= MANY:
            raise Damaged(f"damaged: {rows} operations in its part {_name(number)}")
        yield pl.read_parquet(part, columns=list(COLUMNS))


def _fill(rows: Rows, frames: Iterator[DataFrame]) -> str:
    """Add all that there are; what is wrong with the next ones, or ""."""
    try:
        with _damage():
            while rows.done < rows.head.rows:
                rows.add(next(frames))
    except Damaged as error:
        return str(error)
    return ""


@contextmanager
def _damage() -> Iterator[None]:
    """Damaged, for whatever is said of bytes that are not as they were written."""
    from polars.exceptions import PanicException, PolarsError

    try:
        yield
    except (ValueError, OSError, PolarsError, PanicException) as error:
        first, *_ = str(error).split("\n")
        raise Damaged(f"damaged: {first}") from None
