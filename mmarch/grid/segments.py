"""Segments: immutable Parquet files of at most 10,000 rows, whose names say what they hold."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmarch.runs.result import Model

if TYPE_CHECKING:
    from polars import DataFrame

Kind = Literal["rows", "failed", "log"]
KINDS: tuple[Kind, ...] = ("rows", "failed", "log")
MOST = 10_000  # rows of a segment
TEXTS = (
    "digest", "workload", "scenario", "backing", "arch", "release", "cpu", "granule", "folio_orders", "with",
    "without", "parameters",
)  # fmt: skip
NUMBERS = ("memory", "seed", "operations", "failures", "warnings")
LOG = {"host": str, "process": int, "python": str, "engine": str, "started": str, "seconds": float}
PART = ".part"
_NAME = re.compile(r"(rows|failed|log)/(\d{6})-([0-9a-f]{16})\.parquet")


class Segment(Model):
    """A file of the store: which kind, its path there, how many rows."""

    kind: Kind
    name: str
    rows: int


def tables(entries: Sequence[Mapping[str, Any]], counts: Sequence[str]) -> Iterator[tuple[Kind, DataFrame]]:
    """What the entries of journals become, each sorted by digest; `counts` are columns that rows have, 0 or not."""
    ordered = sorted(entries, key=lambda entry: str(entry["digest"]))
    rows = [entry for entry in ordered if "row" in entry]
    failed = [entry for entry in ordered if "row" not in entry]
    if rows:
        yield "rows", _rows(rows, counts)
    if failed:
        yield "failed", _frame({n: [str(e.get(n, "")) for e in failed] for n in ("digest", "error")}, {})
    if ordered:
        columns = {name: [kind(entry["log"][name]) for entry in ordered] for name, kind in LOG.items()}
        yield "log", _frame({"digest": [entry["digest"] for entry in ordered], **columns}, {})


def columns(counts: Sequence[str]) -> tuple[str, ...]:
    """Of the rows, in their order."""
    return (*TEXTS, *NUMBERS, *counts, "calls")


def _rows(entries: Sequence[Mapping[str, Any]], counts: Sequence[str]) -> DataFrame:
    rows = [{"digest": entry["digest"], **entry["row"]} for entry in entries]
    texts = {name: [str(row[name]) for row in rows] for name in TEXTS}
    numbers = {name: [int(row.get(name, 0)) for row in rows] for name in (*NUMBERS, *counts)}
    return _frame({**texts, **numbers, "calls": [str(row["calls"]) for row in rows]}, dict.fromkeys(numbers))


def _frame(data: Mapping[str, list[Any]], wide: Mapping[str, Any]) -> DataFrame:
    import polars

    return polars.DataFrame(data, schema_overrides=dict.fromkeys(wide, polars.Int64))


def write(folder: Path, kind: Kind, number: int, frame: DataFrame) -> Segment:
    """A new segment, on the disk under its name or not at all."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    data = buffer.getvalue()
    name = f"{kind}/{number:06}-{hashlib.sha256(data).hexdigest()[:16]}.parquet"
    put(folder / name, data)
    return Segment(kind=kind, name=name, rows=frame.height)


def put(path: Path, data: bytes) -> None:
    """A file renamed into place once its contents are on the disk."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(path.name + PART)
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    settled(path.parent)


def settled(folder: Path) -> None:
    """The names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def damage(folder: Path, name: str) -> str:
    """What is wrong with a segment, empty if nothing is."""
    match = _NAME.fullmatch(name)
    try:
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return (
        ""
        if match and found.startswith(match[3])
        else "is damaged: its contents are not those that its name says"
    )


def there(folder: Path) -> list[str]:
    """Names of all segments in a store's folder, whether its manifest knows them or not; results first."""
    names = [f"{kind}/{path.name}" for kind in KINDS for path in sorted((folder / kind).glob("*.parquet"))]
    return [name for name in names if _NAME.fullmatch(name)]


def number(name: str) -> int:
    """Of a segment, in the order of writing."""
    match = _NAME.fullmatch(name)
    assert match
    return int(match[2])


def kind_of(name: str) -> Kind:
    """By its folder."""
    return next(kind for kind in KINDS if name.startswith(f"{kind}/"))
