"""mmarch's own format as it was at first: one Parquet file, with a mark and the digest of all else before its footer.

What such a file lost cannot be told from what is left, so a damaged one has to be made anew.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from mmarch.errors import InputError
from mmarch.spill import ROWS
from mmarch.trace.columns import COLUMNS, MOST_ROWS

if TYPE_CHECKING:
    from polars import DataFrame

MAGIC = b"PAR1"
KEY, VERSION = "mmarch", 2
MOST_BYTES = 1 << 30
MARK = b"mmarch recording"
END = 8  # the length of the footer, and the magic again


def read_whole(stream: BinaryIO, begin: bytes) -> tuple[str, int, Iterator[DataFrame]]:
    """What it says of itself, how many rows it has, and these; InputError, without the file's name, for damage.

    begin  bytes that were read already
    """
    import polars as pl

    raw = begin + stream.read(MOST_BYTES)
    if len(raw) >= MOST_BYTES:
        raise InputError(f"more than {MOST_BYTES} bytes; cut the trace or record less")
    _check(memoryview(raw))
    text = pl.read_parquet_metadata(io.BytesIO(raw)).get(KEY)
    lazy = pl.scan_parquet(io.BytesIO(raw))
    rows = int(lazy.select(pl.len()).collect().item())
    columns = lazy.select(list(COLUMNS))
    frames = (columns.slice(first, ROWS).collect() for first in range(0, min(rows, MOST_ROWS), ROWS))
    return text or "null", rows, frames


def _check(raw: memoryview) -> None:
    """InputError if there is no mark, or bytes are not as they were written."""
    at = len(raw) - END - int.from_bytes(raw[-END:-4], "little")
    begin = at - len(MARK) - hashlib.sha256().digest_size
    if begin < 0 or raw[begin : begin + len(MARK)] != MARK:
        raise InputError("a Parquet file, but no recording; mmarch trace convert makes one")
    digest = hashlib.sha256(raw[:begin])
    digest.update(raw[at:])
    if raw[begin + len(MARK) : at] != digest.digest():
        raise InputError(
            "damaged: its bytes are not as they were written; convert the trace that it was made of again"
        )
