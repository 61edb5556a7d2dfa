"""Arrays too large for memory: they lie in a file that has no name, and only what is worked on is in memory."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mmarch.errors import InputError

LARGE = 1 << 28  # bytes
ROWS = 1 << 19  # so many are worked on at a time


def folder() -> str:
    """For the file: $TMPDIR, else where files may be large; /tmp may itself be memory."""
    return os.environ.get("TMPDIR") or ("/var/tmp" if os.path.isdir("/var/tmp") else tempfile.gettempdir())


def file() -> BinaryIO:
    """Without a name, so that it is gone with whoever has it open."""
    return cast(BinaryIO, tempfile.TemporaryFile(dir=folder()))


@contextmanager
def enough_room() -> Iterator[None]:
    """InputError, with what to do, if such a file cannot grow."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{folder()}: {error.strerror}; set TMPDIR to a folder with more room") from error


class _Mapped(mmap.mmap):
    """A file's memory, which knows its file."""

    descriptor = -1

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


def room(rows: int, columns: int, dtype: DTypeLike) -> NDArray[Any]:
    """Zeros, (rows, columns), or (rows,) for 0 columns; filled with `put`, which notices when there is no room."""
    shape = (rows, columns) if columns else (rows,)
    size = rows * max(columns, 1) * np.dtype(dtype).itemsize
    if size < LARGE:
        return np.zeros(shape, dtype)
    with file() as large:
        os.ftruncate(large.fileno(), size)
        mapped = _Mapped(large.fileno(), size)
        mapped.descriptor = os.dup(large.fileno())
    return np.frombuffer(mapped, dtype).reshape(shape)


def _mapped(array: NDArray[Any]) -> _Mapped | None:
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base
    return base if isinstance(base, _Mapped) else None


def put(array: NDArray[Any], first: int, values: NDArray[Any]) -> None:
    """Rows of what `room` gave, from `first` on; written to the file, which is faster than to its memory.

    InputError if there is no room.
    """
    mapped = _mapped(array)
    if mapped is None:
        array[first : first + len(values)] = values
        return
    raw: Any = np.ascontiguousarray(values, array.dtype).reshape(-1).view(np.uint8)
    rest, at = memoryview(raw), first * array.strides[0]
    with enough_room():
        os.posix_fallocate(mapped.descriptor, at, len(rest))  # half the work of one page after the other
        while rest:
            written = os.pwrite(mapped.descriptor, rest, at)
            rest, at = rest[written:], at + written


def release(*arrays: NDArray[Any]) -> None:
    """Let go of the memory that parts of such arrays have come to take; nothing is lost."""
    for array in arrays:
        if (mapped := _mapped(array)) is not None:
            mapped.madvise(mmap.MADV_DONTNEED)


def pieces(*arrays: NDArray[Any], rows: int = 0) -> Iterator[tuple[NDArray[Any], ...]]:
    """Rows of arrays of one length, so many at a time (0: ROWS), released behind the reader."""
    rows = rows or ROWS
    for first in range(0, len(arrays[0]), rows):
        yield tuple(array[first : first + rows] for array in arrays)
        if arrays[0].nbytes >= LARGE:
            release(*arrays)
