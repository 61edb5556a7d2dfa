"""Looking at core-mm while a workload runs, and finding the operation that broke something.

Two things are looked at: its invariants, and what every page shows (the data oracle).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core_mm.uapi import COLUMNS
from mmarch.engine.machine import Machine
from mmarch.sanitize.contents import Contents
from mmarch.sanitize.frame_history import FrameHistory
from mmarch.sanitize.glance import glance_at
from mmarch.sanitize.invariants import Finding, broken
from mmarch.sanitize.pending import Pending
from mmarch.sanitize.state import Reader
from mmarch.sanitize.violation import Where

EVERY = 100  # operations between two looks


@dataclass(frozen=True)
class Broken:
    """Something that an operation left wrong.

    rule     which, as `mmarch.sanitize.invariants.Finding` names it
    what     the object, what it says or shows, and what is so
    where    the operation
    history  the last three things that happened to the frame, if one is concerned
    """

    rule: str
    what: str
    where: Where
    history: tuple[str, ...] = ()

    def __str__(self) -> str:
        before = [f"  before  {line}" for line in self.history]
        return "\n".join([f"{self.rule}: {self.what}", f"  after   {self.where}", *before])


class Audit:
    """Follows a machine from its first operation on, and looks at it after every `every` of them.

    contents  whether what pages show is looked at too
    """

    def __init__(self, machine: Machine, every: int = EVERY, contents: bool = True) -> None:
        self.machine, self.reader, self._every = machine, Reader(machine), every
        self.contents = contents
        self._contents = Contents(self.reader) if contents else None
        self._glance = glance_at(machine)
        self._pending = Pending(machine)
        self.clean = 0  # rows up to which nothing was wrong

    def run(self, row: int, total: int, most: int = 0) -> tuple[int, list[Finding]]:
        """Run operations from `row` on, of `total`, up to the next look, but at `most` so many; the next row."""
        after = row + 1 if self._contents else min(self.clean + self._every, total, row + (most or total))
        self.machine.call("run_operations", row, after)
        return after, self.ran(after - 1, after == total)

    def ran(self, row: int, last: bool = False, starved: bool = False) -> list[Finding]:
        """Operation `row` was the next, or `last`, to run: what it cannot have done, or what is wrong if it is time.

        `starved`: an allocation of it failed on purpose.
        """
        found = self.follow(row, starved)
        if found or (not last and row + 1 - self.clean < self._every):
            return found
        return self.look(row + 1, last)

    def follow(self, row: int, starved: bool = False) -> list[Finding]:
        """Operation `row` was the next to run: what it cannot have done."""
        self._pending.see()
        return self._contents.after(row, starved) if self._contents else []

    def emptied(self) -> None:
        """Whoever reads the machine's log has emptied it, after `ran` or `follow`."""
        self._pending.emptied()

    def look(self, row: int, last: bool = False) -> list[Finding]:
        """What is wrong before `row` runs; if none does, it is not left to a glance."""
        doubtful = last or self._glance is None or self._glance()
        found = list(self._pending.wrong())
        if doubtful or self._contents:
            state = self.reader.read()
            found += broken(state) if doubtful else []
            found = found or (self._contents.wrong(state) if self._contents else [])
        if not found:
            self.clean = row
        return found


def blamed(findings: Sequence[Finding], machine: Machine, row: int) -> tuple[Broken, ...]:
    """Findings that were made right after operation `row`."""
    where = Where(row, op_of(machine, row))
    return tuple(Broken(finding.rule, finding.what, where) for finding in findings)


def op_of(machine: Machine, row: int) -> int:
    """The kind of operation `row`."""
    return int(machine.memory.arrays["ops"][row * COLUMNS])


def first_broken(
    fresh: Callable[[], Machine], clean: int, last: int, contents: bool = True
) -> tuple[Broken, ...]:
    """What the first operation of rows [clean, last) broke that broke anything, on a `fresh` machine like the first.

    The machine keeps a log, from which comes what happened to a frame before.
    """
    machine = fresh()
    machine.memory.set("cfg", "log_ptes", 1)
    audit = Audit(machine, 1, contents)
    history = FrameHistory(machine, audit.reader.entries)
    audit.clean = clean
    for row in range(last):
        machine.call("run_operations", row, row + 1)
        found = audit.ran(row) if row >= clean else audit.follow(row)
        history.take(row, op_of(machine, row))
        audit.emptied()
        if found:
            where = Where(row, op_of(machine, row))
            return tuple(Broken(one.rule, one.what, where, history.of(one.frame)) for one in found)
    return ()
