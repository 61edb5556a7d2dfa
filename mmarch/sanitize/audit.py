"""Looking at the invariants of core-mm while a workload runs, and finding the operation that broke one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core_mm.uapi import COLUMNS
from mmarch.engine.machine import Machine
from mmarch.sanitize.invariants import Finding, broken
from mmarch.sanitize.state import Reader
from mmarch.sanitize.violation import Where

EVERY = 100  # operations between two looks


@dataclass(frozen=True)
class Broken:
    """An invariant that an operation left broken.

    rule   which, as `mmarch.sanitize.invariants.Finding` names it
    what   the object, what it says, and what is so
    where  the operation
    """

    rule: str
    what: str
    where: Where

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}\n  after   {self.where}"


class Audit:
    """Looks at a machine after every `every` operations, and whenever it is told to."""

    def __init__(self, machine: Machine, every: int = EVERY) -> None:
        self._reader, self._every = Reader(machine), every
        self.clean = 0  # rows up to which nothing was wrong

    def due(self, row: int) -> bool:
        """Whether to look before `row` runs."""
        return row - self.clean >= self._every

    def look(self, row: int) -> list[Finding]:
        """What is wrong before `row` runs; nothing if that was asked before."""
        if row == self.clean:
            return []
        found = broken(self._reader.read())
        if not found:
            self.clean = row
        return found


def blamed(findings: Sequence[Finding], machine: Machine, row: int) -> tuple[Broken, ...]:
    """Findings that were made right after operation `row`."""
    op = int(machine.memory.arrays["ops"][row * COLUMNS])
    return tuple(Broken(finding.rule, finding.what, Where(row, op)) for finding in findings)


def first_broken(fresh: Callable[[], Machine], clean: int, last: int) -> tuple[Broken, ...]:
    """What the first operation of rows [clean, last) broke that broke anything, on a `fresh` machine like the first."""
    machine = fresh()
    machine.memory.set("cfg", "log_ptes", 0)
    machine.call("run_operations", 0, clean)
    reader = Reader(machine)
    for row in range(clean, last):
        machine.call("run_operations", row, row + 1)
        found = broken(reader.read())
        if found:
            return blamed(found, machine, row)
    return ()
