"""Random operations of which every allocation fails once, under the TLB oracle, with a look at core-mm after each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from core_mm.uapi import COLUMNS, OP_NAMES, OP_TOUCH
from mmarch.engine.machine import Config, Machine
from mmarch.sanitize import soak
from mmarch.sanitize.audit import Audit, Broken, blamed
from mmarch.sanitize.error_paths import ErrorPaths
from mmarch.sanitize.oracle import Oracle
from mmarch.sanitize.random_rows import Row
from mmarch.sanitize.run import drain
from mmarch.sanitize.shrinking import shortest
from mmarch.sanitize.soak import Round
from mmarch.sanitize.violation import Violation

LENGTH = 40  # calls of a program
THOROUGH = (
    4  # first programs, which lead everywhere; every call has a turn of each number in which that fails first
)
TRIES = 24  # of one call: the last goes through
LATER = (1, 1, 1, 1, 2, 3, 5, 9)  # which allocation fails first: calls that do without it are not made again


@dataclass
class Failures:
    """What came of all programs so far.

    calls   made in all; failed ones are made again, with a later allocation failing
    failed  allocations that failed, by the call that wanted them
    """

    programs: int = 0
    calls: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        by_call = ", ".join(f"{name} {number:,}" for name, number in sorted(self.failed.items()))
        return (
            f"{self.programs:,} programs, {self.calls:,} calls, {sum(self.failed.values()):,} allocations failed: "
            f"{by_call}"
        )


def programs(base: Config, seed: int) -> Iterator[Round]:
    """The one that leads to every allocation, a few times, then short random ones on machines of `soak.rounds`."""
    for number in range(1, THOROUGH + 1):
        yield thorough(base, number)
    for number in count(THOROUGH + 1):
        for made in soak.rounds(base, soak.ROUND, seed + number):
            yield replace(made, number=number, rows=made.rows[:LENGTH])


def thorough(base: Config, number: int) -> Round:
    """`ErrorPaths` on a machine that has folios of every kind."""
    made = next(soak.rounds(replace(base, granule=base.granule or base.arch.default_granule), 1, 0))
    geometry = base.arch.granules[made.config.granule]
    orders = 1 << 2 | 1 << geometry.pte_bits
    config = replace(
        made.config,
        anon_orders=orders,
        shmem_orders=1 << 2,
        overrides={**made.config.overrides, "anon_always": 0},
    )
    rows = ErrorPaths(1 << geometry.page_shift, 1 << geometry.pte_bits).write()
    return replace(made, number=number, config=config, rows=rows)


@dataclass(frozen=True)
class Failed:
    """What was wrong first, and the calls up to there: each with which of its allocations failed, 0 for none."""

    what: Violation | Broken
    calls: tuple[tuple[Row, int], ...]


def run(made: Round, failures: Failures, engine: str) -> Failed | None:
    """What is wrong first in a program of which allocations fail, or None; adds to `failures`."""
    trial = Trial(made, engine, failures)
    for row in made.rows:
        found = trial.call(row)
        if found is not None:
            return Failed(found, tuple(trial.calls))
    failures.programs += 1
    trial.oracle.finish()
    violations = trial.oracle.violations
    return Failed(violations[0], tuple(trial.calls)) if violations else None


def shrink(made: Round, found: Failed, engine: str) -> Failed:
    """The shortest part of a failing program that is found in a minute and still fails."""

    def failing(rows: Sequence[Row]) -> tuple[Failed, int] | None:
        seen = run(replace(made, rows=tuple(rows)), Failures(), engine)
        return (seen, len(rows)) if seen else None

    return shortest(made.rows, (found, len(made.rows)), failing, soak.SHRINKING)[0]


class Trial:
    """A program on a machine; each call is a row of its own, made again as long as it fails."""

    def __init__(self, made: Round, engine: str, failures: Failures) -> None:
        self.machine = room(made, engine)
        self.oracle, self.audit = Oracle(made.config), Audit(self.machine, 1)
        self.failures, self.made, self.at = failures, made, 0
        self.calls: list[tuple[Row, int]] = []

    def call(self, row: Row) -> Violation | Broken | None:
        """The call with its first allocation failing, then its second, …, then with none."""
        nth = self._first(row)
        for _ in range(TRIES - 1):
            found, left = self._once(row, nth)
            if found is not None or left:
                return found
            nth += 1
        return self._once(row, 0)[0]

    def _first(self, row: Row) -> int:
        """Which allocation of a call fails first."""
        if self.made.number > THOROUGH:
            return random.Random(repr(row)).choice(LATER)
        place = row[2] // self.audit.reader.constant("pmd_size") // 2 + row[4] if row[0] == OP_TOUCH else 0
        return (self.made.number - 1 + place) % THOROUGH + 1

    def _once(self, row: Row, nth: int) -> tuple[Violation | Broken | None, int]:
        """What is wrong, and how many allocations the call would have had to make for one to fail."""
        memory = self.machine.memory
        memory.arrays["ops"][self.at * COLUMNS : (self.at + 1) * COLUMNS] = row
        memory.set("mach", "fail_nth", nth)
        self.machine.call("run_operations", self.at, self.at + 1)
        left = memory.get("mach", "fail_nth")
        memory.set("mach", "fail_nth", 0)
        self.at += 1
        starved = nth > 0 and not left
        self.calls.append((row, nth if starved else 0))
        self._note(row, starved)
        findings = self.audit.ran(self.at - 1, last=True, starved=starved)
        drain(self.machine, self.oracle, f"operation {self.at - 1} of {self.made.name}")
        self.audit.emptied()
        if findings:
            return blamed(findings, self.machine, self.at - 1)[0], left
        return (self.oracle.violations[0] if self.oracle.violations else None), left

    def _note(self, row: Row, failed: bool) -> None:
        name = OP_NAMES.get(row[0], str(row[0]))
        self.failures.calls += 1
        if failed:
            self.failures.failed[name] += 1


def room(made: Round, engine: str) -> Machine:
    """A machine for a program with room for each call as often as it may be made."""
    rows = made.rows + (made.rows[:1] * (len(made.rows) * TRIES))
    return soak.machine(replace(made, rows=rows), engine)
