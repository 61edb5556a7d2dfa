"""The log of a machine, as columns or as rows of Python integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmarch.engine.memory import Memory

COLUMNS = {
    "kind": "i1",
    "a": "i8",
    "b": "i8",
    "c": "i8",
    "asid": "i4",
    "call": "i2",
}  # of core_mm.mm_types.LOG
Row = tuple[int, ...]


@dataclass(frozen=True)
class Log:
    """Events in order; operands as `core_mm.vmstat` has them."""

    kind: NDArray[np.int8]
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    c: NDArray[np.int64]
    asid: NDArray[np.int32]
    call: NDArray[np.int16]

    @classmethod
    def of(cls, memory: Memory, length: int) -> Log:
        """The first `length` events in a machine's memory, or all that there was room for; no copy."""
        length = min(length, memory.get("cfg", "log_capacity"))
        table = memory.tables["LOG"]
        return cls(**{name: table[name][:length] for name in COLUMNS})

    def __len__(self) -> int:
        return len(self.kind)

    def columns(self) -> dict[str, NDArray[np.signedinteger]]:
        """By name, in order."""
        return {name: getattr(self, name) for name in COLUMNS}

    def of_kind(self, *kinds: int) -> NDArray[np.int64]:
        """Numbers of the events of any of these kinds, in order."""
        wanted = np.zeros(128, bool)
        wanted[list(kinds)] = True
        return np.flatnonzero(wanted[self.kind] if len(kinds) > 1 else self.kind == kinds[0])

    def rows(self, first: int = 0, last: int | None = None) -> list[Row]:
        """Events [first, last): kind, a, b, c, asid, call of each."""
        return list(zip(*(c[first:last].tolist() for c in self.columns().values()), strict=True))


def taken(memory: Memory, length: int | None = None) -> list[Row]:
    """The events in a machine's memory, up to `length` of them."""
    return Log.of(memory, memory.get("mach", "log_len") if length is None else length).rows()
