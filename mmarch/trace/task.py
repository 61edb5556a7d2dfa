"""One task of a trace, and its address space."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from mmarch.trace.layout import Layout

ADDRESS_END = 1 << 63


@dataclass
class Mm:
    """An address space: its break, and the kernel's own mappings in it, faults in which are not replayed.

    low, high  faults between need a second look, for there are such mappings
    """

    brk: int = 0
    special: list[tuple[int, int]] = field(default_factory=list)
    low: int = ADDRESS_END
    high: int = 0
    layout: Layout | None = None  # what is mapped, where not all of it was recorded

    def fork(self) -> Mm:
        layout = self.layout.copy() if self.layout else None
        return Mm(self.brk, list(self.special), self.low, self.high, layout)

    def add_special(self, start: int, end: int) -> None:
        self.special.append((start, end))
        self.low, self.high = min(self.low, start), max(self.high, end)

    def cover(self, start: int, end: int) -> None:
        """A new mapping replaces what it overlaps."""
        if start < self.high and self.low < end:
            self.special = [(low, high) for low, high in self.special if high <= start or end <= low]

    def is_special(self, address: int) -> bool:
        return any(low <= address < high for low, high in self.special)


class State(IntEnum):
    """Where a task is in its life; faults of any but RUNNING need thought."""

    RUNNING = 0
    EXEC_CALLED = 1  # still in the old address space
    EXEC_NEW_MM = 2  # in the new one, which the snapshot will describe
    EXEC_DONE = 3  # the snapshot has to come next
    SNAPSHOT = 4  # between mmarch_exec and mmarch_exec_end
    EXITED = 5


@dataclass
class Call:
    """A system call that has begun; `row` is the place reserved for it, or -1."""

    name: str
    args: tuple[int, ...]
    row: int
    file: int | None


@dataclass
class Task:
    """One pid of the trace."""

    index: int
    mm: Mm
    state: State = State.RUNNING
    call: Call | None = None
    file: int | None = None
    last_fault: int = -1
    exit_row: int = -1
    held: list[tuple[int, int, int]] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
