"""The memory of one machine: NumPy arrays, their views for interpreted code, their addresses."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mmarch.engine.layout import Layout

LARGE = 1 << 20  # bytes from which on an array is a mapping of its own, which costs nothing to zero


def zeros(count: int, dtype: DTypeLike) -> NDArray[Any]:
    """Zeroed memory; of a large array only what is touched costs memory or time."""
    kind = np.dtype(dtype)
    size = count * kind.itemsize
    if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(count, kind)
    mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(mapping, kind)


class Memory:
    """Zeroed memory for every declaration; pages of it cost nothing until they are written.

    sizes  the length of each named size ("frames", "tables", …), in rows
    """

    def __init__(self, layout: Layout, sizes: Mapping[str, int]) -> None:
        self.layout = layout
        self.arrays = {name: zeros(sizes[p.length], np.int64) for name, p in layout.arrays.items()}
        self.tables = {name: zeros(sizes[p.rows], p.dtype) for name, p in layout.tables.items()}
        self.scalars = {name: np.zeros(len(p.names), np.int64) for name, p in layout.scalars.items()}
        self.root: NDArray[np.int64] = np.zeros(layout.size, np.int64)
        everything: dict[str, NDArray[Any]] = {**self.arrays, **self.tables, **self.scalars}
        for places in (layout.arrays, layout.tables, layout.scalars):
            for name, place in places.items():
                data = everything[name]
                self.root[place.root : place.root + 2] = data.ctypes.data, len(data)

    def get(self, group: str, name: str) -> int:
        """A scalar's value."""
        return int(self.scalars[group][self.layout.scalars[group].names.index(name)])

    def set(self, group: str, name: str, value: int) -> None:
        """Set a scalar."""
        self.scalars[group][self.layout.scalars[group].names.index(name)] = value

    def view(self, kind: str, name: str) -> Any:
        """What interpreted code indexes: memoryviews give and take Python integers."""
        if kind == "array":
            return memoryview(cast(Any, self.arrays[name]))
        table: Any = self.tables[name]
        return SimpleNamespace(**{c: memoryview(table[c]) for c in self.layout.tables[name].offsets})

    def image(self) -> dict[str, bytes]:
        """All contents, for comparing two machines to the byte (small machines only)."""
        groups: dict[str, NDArray[Any]] = {**self.arrays, **self.tables, **self.scalars}
        return {name: data.tobytes() for name, data in groups.items()}
