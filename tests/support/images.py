"""All contents of a machine's memory, of which pages that nobody ever touched are zeros without being read."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmarch.engine.memory import Memory

PAGE = mmap.PAGESIZE
THERE = 3 << 62  # of an entry of pagemap: in memory or in swap
Image = dict[str, dict[int, bytes]]  # array -> page of it -> what it holds, if not zeros


def image(memory: Memory) -> Image:
    """For comparing two machines to the byte, whatever the size of their memory."""
    return {name: dict(_held(data)) for name, data in _arrays(memory)}


def _arrays(memory: Memory) -> Iterator[tuple[str, NDArray[Any]]]:
    yield from memory.arrays.items()
    yield from memory.scalars.items()
    for name, rows in memory.tables.items():
        yield name, rows.together
        yield from ((f"{name}.{column}", data) for column, data in rows.apart.items())


def _held(data: NDArray[Any]) -> Iterator[tuple[int, bytes]]:
    flat, zeros = data.reshape(-1).view(np.uint8), bytes(PAGE)
    for page in _touched(data):
        held = flat[page * PAGE : (page + 1) * PAGE].tobytes()
        if held != zeros[: len(held)]:
            yield page, held


def _touched(data: NDArray[Any]) -> list[int]:
    """Pages that may hold something: all, where nothing says which."""
    pages = -(-data.nbytes // PAGE)
    try:
        if data.ctypes.data % PAGE:
            raise OSError("no mapping of its own")
        with open("/proc/self/pagemap", "rb") as file:
            file.seek(data.ctypes.data // PAGE * 8)
            entries = np.frombuffer(file.read(pages * 8), np.uint64)
    except OSError:
        return list(range(pages))
    return np.flatnonzero(entries & np.uint64(THERE)).tolist()
