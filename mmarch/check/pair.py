"""Two kernels that should mean the same, side by side: the first difference that core-mm can observe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import numpy as np

from core_mm import uapi
from core_mm.vmstat import SWAP_IN, SWAP_OUT
from mmarch.check import describing
from mmarch.check.observation import Place, differences, take
from mmarch.check.system import show
from mmarch.engine.machine import Config, Machine
from mmarch.sanitize import Oracle, Violation
from mmarch.sanitize.random_rows import Row
from mmarch.sanitize.run import drain
from mmarch.sanitize.shrinking import shortest

SHRINKING = 60  # seconds
SWAPPED = {"written to swap": SWAP_OUT, "read from swap": SWAP_IN}
LOG_READ = 1 << 16  # rows of log after which the next calls wait for the oracle
EVERY, LOOKS = 200, 64  # calls up to which every one is looked after; how often it is done in more of them


class Subject(Protocol):
    """What both kernels run: calls, and the machine that they run on."""

    @property
    def rows(self) -> Sequence[Row]:
        """The calls."""
        ...

    @property
    def place(self) -> str:
        """Which one it is, for reports."""
        ...

    def machine(self, config: Config, engine: str) -> Machine:
        """Booted, with a kernel."""
        ...

    def but(self, rows: Sequence[Row]) -> Self:
        """With other calls."""
        ...


@dataclass(frozen=True)
class Difference:
    """What is not the same after a row of a program.

    what     place, then the outcome without and with the series; or what the TLB oracle says
    aspects  of `observation.ASPECTS` in which it differs
    """

    row: int
    what: str
    plain: str = ""
    changed: str = ""
    aspects: frozenset[str] = frozenset()

    def __str__(self) -> str:
        if not self.aspects:
            return self.what
        aspects = ", ".join(sorted(self.aspects))
        return f"{self.what} differs ({aspects})\n  without {self.plain}\n  with    {self.changed}"


@dataclass
class Tally:
    """What was looked at so far.

    known     programs of which the TLB oracle says the same without the series
    declared  how often a difference showed that the series declares, by aspect
    """

    programs: int = 0
    calls: int = 0
    failed: int = 0
    swapped: int = 0
    observed: int = 0
    known: int = 0
    declared: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.calls:,} calls ({self.failed:,} returned an error), {self.swapped:,} pages written to swap, "
            f"{self.observed:,} things compared"
            + (f", {self.known} stale translations that are there without it too" if self.known else "")
        )


@dataclass(frozen=True)
class Kernels:
    """The two, and how to look at them.

    private   bits of entries that the architecture keeps to itself
    declared  aspects that may differ
    judged    whether the TLB oracle judges the second one
    step      of short programs: after how many calls they are looked at
    """

    plain: Config
    changed: Config
    engine: str = "linked"
    private: int = 0
    declared: Collection[str] = ()
    judged: bool = True
    step: int = 1

    def compare(self, subject: Subject, tally: Tally) -> Difference | None:
        """The first difference that is not declared."""
        pair = self._run(subject)
        pair.count(tally)
        if pair.violation and self._objected(pair.violation, subject):
            tally.known += 1
            return None
        return pair.found

    def _run(self, subject: Subject) -> Pair:
        pair, total = Pair(self, subject), len(subject.rows)
        pair.run([*range(self.step, total, self.step), total] if total <= EVERY else evenly(total))
        return pair

    def _objected(self, violation: Violation, subject: Subject) -> bool:
        """Whether the oracle says the same of the kernel without the series."""
        other = replace(self, changed=self.plain)._run(subject).violation
        return other is not None and (other.kind, other.where.row) == (violation.kind, violation.where.row)

    def shrink(self, subject: Subject, found: Difference) -> tuple[Subject, Difference]:
        """The shortest part of the program that is found in a minute and still differs."""

        def failing(rows: Sequence[Row]) -> tuple[Difference, int] | None:
            seen = self.compare(subject.but(rows), Tally())
            return (seen, seen.row + 1) if seen else None

        found, rows = shortest(subject.rows, (found, found.row + 1), failing, SHRINKING)
        return subject.but(rows), found


def evenly(total: int) -> list[int]:
    """Numbers of calls after which to look."""
    return sorted({total * look // LOOKS for look in range(1, LOOKS + 1)})


class Pair:
    """Both machines with one program."""

    def __init__(self, kernels: Kernels, subject: Subject) -> None:
        self.kernels = kernels
        self.machines = [
            subject.machine(config, kernels.engine) for config in (kernels.plain, kernels.changed)
        ]
        self.config = self.machines[1].config
        self.shift = self.config.arch.granules[self.config.granule].page_shift
        self.oracle = Oracle(self.config) if kernels.judged and self.config.arch.tlb_model else None
        for machine in self.machines[: 1 if self.oracle else 2]:  # only the other one is judged, if any
            machine.memory.set("cfg", "log_ptes", 0)
        self.rows, self.done, self.observed = subject.rows, 0, 0
        self.declared: Counter[str] = Counter()
        self.found: Difference | None = None
        self.violation: Violation | None = None

    def run(self, stops: Iterable[int]) -> None:
        """Look after so many calls, until something differs: `found`, and `violation` if it is the oracle's."""
        for stop in stops:
            self._advance(stop)
            self.found = next(self._differences(self.done, stop), None)
            self.done = stop
            if self.found:
                return
        self.found = self._swapped() or self._judged()

    def count(self, tally: Tally) -> None:
        """What came of it."""
        results = self.machines[0].memory.arrays["results"][: self.done]
        tally.programs += 1
        tally.calls += self.done
        tally.failed += int((results < 0).sum())
        tally.swapped += self.machines[0].total(SWAP_OUT)
        tally.observed += self.observed
        tally.declared.update(self.declared)

    def _advance(self, stop: int) -> None:
        plain, changed = self.machines
        plain.call("run_operations", self.done, stop)
        plain.memory.set("mach", "log_len", 0)
        for row in range(self.done, stop):
            changed.call("run_operations", row, row + 1)
            if self.oracle is None:
                changed.memory.set("mach", "log_len", 0)
            elif changed.memory.get("mach", "log_len") > LOG_READ:
                drain(changed, self.oracle, show(self.rows[row]))

    def _differences(self, first: int, last: int) -> Iterator[Difference]:
        """Those after the calls [first, last) that are not declared."""
        for found in self._all(first, last):
            self.declared.update(found.aspects & set(self.kernels.declared))
            if found.aspects - set(self.kernels.declared):
                yield found

    def _all(self, first: int, last: int) -> Iterator[Difference]:
        ours, theirs = (one.memory.arrays["results"][first:last] for one in self.machines)
        for at in np.flatnonzero(ours != theirs).tolist():
            call = uapi.OP_NAMES.get(self.rows[first + at][0], "call")
            yield Difference(
                first + at, f"result of {call}", str(ours[at]), str(theirs[at]), frozenset({"result"})
            )
        plain, changed = (take(one) for one in self.machines)
        self.observed += len(plain)
        for place in differences(plain, changed, self.kernels.private):
            yield self._described(last - 1, place)

    def _described(self, row: int, place: Place) -> Difference:
        which = place.plain if place.plain is not None else place.changed
        assert which is not None
        plain, changed = (describing.outcome(side, self.config.arch) for side in (place.plain, place.changed))
        return Difference(row, describing.name(which, self.shift), plain, changed, place.aspects)

    def _swapped(self) -> Difference | None:
        """Pages that went to swap and back, which /proc/vmstat counts."""
        for what, event in SWAPPED.items():
            ours, theirs = (str(one.total(event)) for one in self.machines)
            if ours != theirs and "swap" not in self.kernels.declared:
                return Difference(self.done - 1, f"pages {what}", ours, theirs, frozenset({"swap"}))
        return None

    def _judged(self) -> Difference | None:
        """What the TLB oracle says of the kernel with the series."""
        if self.oracle is None:
            return None
        drain(self.machines[1], self.oracle, "a program")
        self.oracle.finish()
        if not self.oracle.violations:
            return None
        self.violation = found = self.oracle.violations[0]
        where, cause = (
            replace(at, row=at.row + 1) for at in (found.where, found.cause)
        )  # steps count from 1
        shown = replace(found, where=where, cause=cause)
        return Difference(max(found.where.row, 0), f"the TLB oracle objects: {shown}")
