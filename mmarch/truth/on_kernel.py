"""The twin against a kernel that is at hand: scenarios or random programs, and the smallest one that differs.

Errors: mmarch.errors.InputError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mmarch.errors import InputError
from mmarch.kernel.boot import Machine
from mmarch.kernel.measure import Job, Measured, measure
from mmarch.kernel.source import Kernel
from mmarch.scenario import Document, lower, parse, variants
from mmarch.truth.random_programs import program
from mmarch.truth.validate import DIFFERENT, Report, Runner, compare_all

AT_ONCE = 100  # programs a boot
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Bench:
    """A kernel and the twin that should do as it does."""

    kernel: Kernel
    machine: Machine
    runner: Runner

    def compare(
        self, documents: Sequence[Document], progress: Progress = lambda d, t: None
    ) -> tuple[Report, Measured]:
        """Measure all scenarios in one boot and run the twin on the same."""
        size = self.kernel.image.page_size
        jobs = [
            Job(lower(scenario, size, order, kind), order, kind)
            for document in documents
            for scenario in document.scenarios
            for order, kind in variants(scenario, size)
        ]
        measured = measure(self.kernel, self.machine, jobs, progress)
        return compare_all(measured.measurement(), documents, self.runner), measured


@dataclass
class Found:
    """Random programs so far: how many, reports of those that differ, each one's smallest form."""

    programs: int = 0
    different: list[str] = field(default_factory=list)
    smallest: str = ""


def search(bench: Bench, count: int, seed: int, deadline: float, found: Found, progress: Progress) -> None:
    """Compare `count` random programs, and shrink the first that differs; `found` is filled as it goes."""
    for first in range(0, count, AT_ONCE):
        if time.monotonic() > deadline:
            return
        texts = [program(seed, number) for number in range(first, min(first + AT_ONCE, count))]
        found.different += [text for text, bad in zip(texts, differing(bench, texts), strict=True) if bad]
        found.programs += len(texts)
        progress(found.programs, count)
    if found.different:
        found.smallest = min(found.different, key=len)
        shrink(bench, found, deadline)


def differing(bench: Bench, texts: Sequence[str]) -> list[bool]:
    """Which programs differ, measured in one boot; one that the twin or the kernel cannot run does not count."""
    documents: list[Document | None] = []
    for number, text in enumerate(texts):
        try:
            body = text.split("\n", 1)
            head = f"scenario p{number} order {body[0].rsplit(' ', 1)[1]}"
            document = parse(f"{head}\n{body[1]}")
            lower(
                document.scenarios[0], bench.kernel.image.page_size, (document.scenarios[0].orders or (0,))[0]
            )
            documents.append(document)
        except InputError:
            documents.append(None)
    there = [document for document in documents if document is not None]
    if not there:
        return [False] * len(texts)
    report, measured = bench.compare(there)
    failed = {ran.job.lowered.workload.name for ran in measured.ran if ran.failed or ran.disturbed}
    bad = {row.scenario for row in report.rows if row.count(DIFFERENT)} - failed
    return [document is not None and document.scenarios[0].name in bad for document in documents]


def shrink(bench: Bench, found: Found, deadline: float) -> None:
    """Delta debugging on lines: all that can be left out together, many candidates a boot."""
    size = 8
    while size and time.monotonic() < deadline:
        head, *lines, end, last = found.smallest.split("\n")
        cuts = [lines[:at] + lines[at + size :] for at in range(0, len(lines), size)]
        candidates = ["\n".join([head, *cut, end, last]) for cut in cuts if cut]
        smaller = next(
            (text for text, bad in zip(candidates, differing(bench, candidates), strict=True) if bad), None
        )
        if smaller is None:
            size //= 2
        else:
            found.smallest = smaller
