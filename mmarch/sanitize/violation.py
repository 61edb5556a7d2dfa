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
        name = f" ({OP_NAMES.get(self.op, self.op)})" if self.op else ""
        return f"operation {self.row}{name}{inside}"


@dataclass(frozen=True)
class Violation:
    """A rule of TLB maintenance broken.

    kind     "stale", "freed-frame", "freed-table", "bbm", "block", "asid"
    where    when it came out
    cause    when the entry changed
    missing  the flush that should have been
    meaning  what the entry was and what it became, as the architecture calls its bits; "" of a table
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
    meaning: str = ""

    def __str__(self) -> str:
        lines = [f"{self.kind}: {self.what}", f"  at      {self.where}"]
        if self.ptep:
            change = f"{self.before & _ALL:#018x} -> {self.after & _ALL:#018x}"
            lines.append(f"  mm {self.mm}, address {self.address:#x}")
            lines.append(f"  PTE {self.ptep:#x}: {change}")
            if self.meaning:
                lines.append(f"  that is {self.meaning}")
        if self.cause != self.where:
            lines.append(f"  changed {self.cause}")
        return "\n".join([*lines, f"  missing {self.missing}"])


_ALL = (1 << 64) - 1


class LogOverflow(Exception):
    """More happened in one operation than the log has rows for."""
