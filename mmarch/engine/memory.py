"""The memory of one machine: NumPy arrays, their views for interpreted code, their addresses."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mmarch.engine.layout import Layout, TablePlace

TAKEN = 1 << 26  # bytes from which on what is loaded is not copied
LARGE = 1 << 20  # bytes from which on an array is a mapping of its own, which costs nothing to zero


def zeros(count: int, dtype: DTypeLike, huge: bool = True) -> NDArray[Any]:
    """Zeroed memory; of a large array only what is touched costs memory or time, in huge pages if they are wanted."""
    kind = np.dtype(dtype)
    size = count * kind.itemsize
    if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(count, kind)
    mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if huge:
        mapping.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(mapping, kind)


class Rows:
    """A table: `rows["name"]` is a column, `rows[number]` what lies together of a row."""

    def __init__(self, place: TablePlace, count: int, huge: bool) -> None:
        self.together: NDArray[Any] = zeros(count, place.dtype, huge)
        self.apart = {name: zeros(count, kind, huge) for name, (_, kind) in place.apart.items()}
        self.columns = (*(place.dtype.names or ()), *place.apart)

    def __getitem__(self, key: str | int) -> Any:
        return self.apart[key] if key in self.apart else self.together[key]

    def __len__(self) -> int:
        return len(self.together)

    def image(self) -> bytes:
        """All contents."""
        return b"".join([self.together.tobytes(), *(data.tobytes() for data in self.apart.values())])


class Memory:
    """Zeroed memory for every declaration; pages of it cost nothing until they are written.

    sizes   the length of each named size ("frames", "tables", …), in rows
    beside  another memory, whose arrays and tables are these: only what it has not is new
    huge    in huge pages, which cost more than they save where little is touched
    """

    def __init__(
        self, layout: Layout, sizes: Mapping[str, int], beside: Memory | None = None, huge: bool = True
    ) -> None:
        self.layout = layout
        arrays: dict[str, NDArray[Any]] = beside.arrays if beside else {}
        tables: dict[str, Rows] = beside.tables if beside else {}
        self.arrays: dict[str, NDArray[Any]] = {
            name: arrays[name] if name in arrays else zeros(sizes[p.length], np.int64, huge)
            for name, p in layout.arrays.items()
        }
        self.tables: dict[str, Rows] = {
            name: tables[name] if name in tables else Rows(place, sizes[place.rows], huge)
            for name, place in layout.tables.items()
        }
        self.root: NDArray[np.int64] = np.zeros(layout.size, np.int64)
        self.address = int(self.root.ctypes.data)
        self.scalars = {
            name: self.root[p.first : p.first + len(p.names)] for name, p in layout.scalars.items()
        }
        for name, array in layout.arrays.items():
            self._enter(array.root, self.arrays[name])
        for name, table in layout.tables.items():
            self._enter(table.root, self.tables[name].together)
            for column, (root, _) in table.apart.items():
                self._enter(root, self.tables[name].apart[column])

    def load(self, name: str, data: NDArray[np.int64]) -> None:
        """Fill the beginning of an array; a large one takes the place of it, as it is."""
        if data.nbytes < TAKEN:
            self.arrays[name][: len(data)] = data
            return
        self.arrays[name] = np.ascontiguousarray(data)
        self._enter(self.layout.arrays[name].root, self.arrays[name])

    def _enter(self, root: int, data: NDArray[Any]) -> None:
        self.root[root : root + 2] = data.ctypes.data, len(data)

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
        table = self.tables[name]
        return SimpleNamespace(**{c: memoryview(table[c]) for c in table.columns})

    def image(self) -> dict[str, bytes]:
        """All contents, for comparing two machines to the byte (small machines only)."""
        flat = {name: data.tobytes() for name, data in (*self.arrays.items(), *self.scalars.items())}
        return flat | {name: rows.image() for name, rows in self.tables.items()}
