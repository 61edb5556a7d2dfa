"""Arrays too large for memory: they lie in a file that has no name, and only what is worked on is in memory."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

LARGE = 1 << 28  # bytes
ROWS = 1 << 19  # so many are worked on at a time


def folder() -> str:
    """For the file: $TMPDIR, else where files may be large; /tmp may itself be memory."""
    return os.environ.get("TMPDIR") or ("/var/tmp" if os.path.isdir("/var/tmp") else tempfile.gettempdir())


def file() -> BinaryIO:
    """Without a name, so that it is gone with whoever has it open."""
    return cast(BinaryIO, tempfile.TemporaryFile(dir=folder()))


def room(rows: int, columns: int, dtype: DTypeLike) -> NDArray[Any]:
    """Zeros, (rows, columns), or (rows,) for 0 columns; OSError if there is no room for them."""
    shape = (rows, columns) if columns else (rows,)
    size = rows * max(columns, 1) * np.dtype(dtype).itemsize
    if size < LARGE:
        return np.zeros(shape, dtype)
    with file() as large:
        os.posix_fallocate(large.fileno(), 0, size)
        return np.frombuffer(mmap.mmap(large.fileno(), size), dtype).reshape(shape)


def release(*arrays: NDArray[Any]) -> None:
    """Let go of the memory that parts of such arrays have come to take; nothing is lost."""
    for array in arrays:
        base: Any = array
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, memoryview):
            base = base.obj
        if isinstance(base, mmap.mmap):
            base.madvise(mmap.MADV_DONTNEED)


def pieces(*arrays: NDArray[Any]) -> Iterator[tuple[NDArray[Any], ...]]:
    """Rows of arrays of one length, ROWS at a time, released behind the reader."""
    for first in range(0, len(arrays[0]), ROWS):
        yield tuple(array[first : first + ROWS] for array in arrays)
        if arrays[0].nbytes >= LARGE:
            release(*arrays)
