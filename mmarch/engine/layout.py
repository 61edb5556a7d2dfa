"""Where the machine's memory lies: one root table of addresses and lengths.

Linked code gets the root's address, loads the base of an array from it, and finds scalars in it: what every
function reads needs no register of its own. An array owns two root slots, address and length; so do the rows
of a table and a column that lies apart. A scalar owns one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import ModuleType

import numpy as np

from core_mm.decl import Array, Column, Scalars, Table

Declaration = Array | type[Table] | type[Scalars]
KEPT = 64  # layouts: one an architecture, one more for each series that declares memory


@dataclass(frozen=True)
class ArrayPlace:
    """A flat array: its root slot and the name of its size."""

    root: int
    length: str


@dataclass(frozen=True)
class TablePlace:
    """A table: its root slot, the dtype of a row, the root slots of the columns apart, the name of its size."""

    root: int
    dtype: np.dtype[np.void]
    apart: dict[str, tuple[int, np.dtype[np.signedinteger]]]
    rows: str

    def column(self, name: str) -> tuple[int, int, int]:
        """Where it lies: root slot, bytes from row to row, offset in the row."""
        if name in self.apart:
            root, kind = self.apart[name]
            return root, kind.itemsize, 0
        fields = self.dtype.fields
        assert fields is not None
        return self.root, self.dtype.itemsize, int(fields[name][1])


@dataclass(frozen=True)
class ScalarsPlace:
    """A group of scalars: the root slot of the first and the names in order."""

    first: int
    names: tuple[str, ...]
    constant: bool


@dataclass
class Layout:
    """Places of every declaration; the order of declaration decides."""

    arrays: dict[str, ArrayPlace] = field(default_factory=dict)
    tables: dict[str, TablePlace] = field(default_factory=dict)
    scalars: dict[str, ScalarsPlace] = field(default_factory=dict)
    hooks: tuple[str, ...] = ()
    files: list[str] = field(default_factory=list)
    slots: int = 0

    @classmethod
    def of(cls, modules: Iterable[ModuleType], hooks: Iterable[str] = ()) -> Layout:
        """Lay out every declaration that is defined in `modules`; the same one for the same declarations."""
        return _laid_out(tuple(itertools.chain(*map(_declarations, modules))), tuple(hooks))

    @cached_property
    def text(self) -> str:
        """What code of one machine has to have in common with another's."""
        return repr((self.arrays, self.tables, self.scalars))

    def _add(self, value: Declaration) -> None:
        if isinstance(value, Array):
            if value.name not in self.arrays:
                self.arrays[value.name] = ArrayPlace(self._slot(), value.length)
        elif issubclass(value, Table):
            self.tables[value.__name__] = self._place(value)
        else:
            place = ScalarsPlace(self._slot(len(value.names)), value.names, value.constant)
            self.scalars[value.__name__] = place

    def _place(self, table: type[Table]) -> TablePlace:
        """Widest columns first, so that none straddles its alignment."""
        columns: list[Column] = sorted(table.columns.values(), key=lambda c: -c.width)
        offsets, offset = {}, 0
        for item in columns:
            if not item.apart:
                offsets[item.name] = offset
                offset += item.width // 8
        widest = max((c.width // 8 for c in columns if not c.apart), default=8)
        kinds = {c.name: np.dtype(f"i{c.width // 8}") for c in columns}
        dtype = np.dtype(
            {
                "names": list(offsets),
                "formats": [kinds[name] for name in offsets],
                "offsets": list(offsets.values()),
                "itemsize": -(-offset // widest) * widest,
            }
        )
        root = self._slot()
        return TablePlace(
            root, dtype, {c.name: (self._slot(), kinds[c.name]) for c in columns if c.apart}, table.rows
        )

    def _slot(self, count: int = 2) -> int:
        self.slots += count
        return self.slots - count

    @property
    def fault(self) -> int:
        """Root slots that a checked build reports to: location, index, array."""
        return self.slots

    @property
    def operations(self) -> int:
        """The root slot in which a build with `Options.operations` counts."""
        return self.slots + 3

    @property
    def size(self) -> int:
        """Root slots in all."""
        return self.slots + 4

    def location(self, filename: str, line: int) -> int:
        """A number for a source line, for reports of checked builds."""
        if filename not in self.files:
            self.files.append(filename)
        return (self.files.index(filename) + 1) << 32 | line

    def hook_number(self, name: str) -> int:
        """The number that counts of this hook are filed under; 0 is core-mm itself."""
        return self.hooks.index(name) + 1


@lru_cache(KEPT)
def _laid_out(declared: tuple[Declaration, ...], hooks: tuple[str, ...]) -> Layout:
    layout = Layout(hooks=hooks)
    for value in declared:
        layout._add(value)
    return layout


def _declarations(module: ModuleType) -> Iterator[Declaration]:
    """In the order of the module; a table or scalars that it only imports are another's."""
    for value in vars(module).values():
        if isinstance(value, Array):
            yield value
        elif isinstance(value, type) and value.__module__ == module.__name__:
            if issubclass(value, (Table, Scalars)) and value not in (Table, Scalars):
                yield value
