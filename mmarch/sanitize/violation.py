"""What the oracle found."""

from __future__ import annotations

from dataclasses import dataclass

from core_mm.uapi import OP_NAMES


@dataclass(frozen=True)
class Where:
    """When something happened: the operation's row in the workload, its kind, the outermost hook under way."""

    row: int = -1
    op: int = 0
    hook: str = ""

    def __str__(self) -> str:
        inside = f" in {self.hook}" if self.hook else ""
        if self.row < 0:
            return inside.strip() or "before the first operation"
        return f"operation {self.row} ({OP_NAMES.get(self.op, str(self.op))}){inside}"


@dataclass(frozen=True)
class Violation:
    """A rule of TLB maintenance broken.

    kind     "stale", "freed-frame", "freed-table", "bbm", "block", "asid"
    where    when it came out
    cause    when the entry changed
    missing  the flush that should have been
    """

    kind: str
    what: str
    where: Where
    cause: Where
    mm: int
    address: int
    ptep: int
    before: int
    after: int
    missing: str

    def __str__(self) -> str:
        entry = f"PTE {self.ptep:#x}: {self.before & _ALL:#018x} -> {self.after & _ALL:#018x}"
        return (
            f"{self.kind}: {self.what}\n"
            f"  at      {self.where}\n"
            f"  mm {self.mm}, address {self.address:#x}, {entry}\n"
            f"  changed {self.cause}\n"
            f"  missing {self.missing}"
        )


_ALL = (1 << 64) - 1


class LogOverflow(Exception):
    """More happened in one operation than the log has rows for."""
