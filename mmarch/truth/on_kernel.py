"""The twin against a kernel that is at hand: scenarios or random programs, and the smallest one that differs.

Errors: mmarch.errors.InputError.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from core_mm import releases
from mmarch.errors import InputError
from mmarch.kernel.boot import Machine
from mmarch.kernel.guest_has import Lacks
from mmarch.kernel.measure import Job, Measured, measure
from mmarch.kernel.source import Kernel
from mmarch.scenario import Document, lower, parse, variants
from mmarch.truth.random_programs import program
from mmarch.truth.validate import DIFFERENT, Report, Runner, compare_all

AT_ONCE = 100  # programs a boot
SECONDS = 1.0  # that a program takes, before it is known
Progress = Callable[[int, int], None]


def twin_release(kernel: Kernel, given: str = "") -> str:
    """The release that the twin runs: as given, or the newest one of mainline that is not newer than the kernel."""
    if given:
        return given
    version = _numbers(kernel.image.version)
    fitting = [name for name in releases.RELEASES if name[0].isdigit() and _numbers(name) <= version]
    if not fitting:
        raise InputError(
            f"{kernel.name} is Linux {kernel.image.version}, older than all of the twin's; name one: --release"
        )
    return max(fitting, key=_numbers)


def _numbers(version: str) -> tuple[int, ...]:
    """`(6, 12)` of `6.12.107+deb13-cloud-arm64`."""
    return tuple(int(part) for part in version.split("-")[0].split("+")[0].split(".")[:2])


@dataclass(frozen=True)
class Bench:
    """A kernel and the twin that should do as it does."""

    kernel: Kernel
    machine: Machine
    runner: Runner
    release: str = ""

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
        against = replace(measured.measurement(), against=twin_release(self.kernel, self.release))
        return compare_all(against, documents, self.runner), measured


@dataclass(frozen=True)
class Different:
    """A program in which the twin differs, with the report and the measurement that say so."""

    text: str
    report: Report
    measured: Measured


@dataclass
class Found:
    """Random programs so far.

    different  those that differ in two boots; `once` counts those that did in one alone
    lacking    how many others need what the kernel does not have, by what that is; they are left out
    smallest   of the shortest, what is left of it
    """

    programs: int = 0
    lacking: Counter[str] = field(default_factory=Counter)
    different: list[Different] = field(default_factory=list)
    once: int = 0
    smallest: Different | None = None


def search(bench: Bench, count: int, seed: int, deadline: float, found: Found, progress: Progress) -> None:
    """Compare `count` random programs, and shrink one that differs; `found` is filled as it goes."""
    began, first = time.monotonic(), 0
    while first < count and time.monotonic() < deadline:
        spent = (time.monotonic() - began) / first if first else SECONDS
        fitting = min(AT_ONCE, max(1, int((deadline - time.monotonic()) / spent)))
        texts = [program(seed, number) for number in range(first, min(first + fitting, count))]
        after = _after(first, count, progress)
        first += len(texts)
        try:
            suspects = differing(bench, texts, after)
        except Lacks as lacks:
            found.lacking.update(lacks.scenarios.values())
            texts = [text for text in texts if text.split()[1] not in lacks.scenarios]
            suspects = differing(bench, texts, after)
        confirmed = differing(bench, [one.text for one in suspects])
        found.different += confirmed
        found.once += len(suspects) - len(confirmed)
        found.programs += len(texts)
        found.smallest = min(found.different, key=lambda one: len(one.text), default=None)
    shrink(bench, found, deadline)


def _after(first: int, count: int, progress: Progress) -> Progress:
    """Of a boot that begins after `first` of `count` programs."""
    return lambda done, total: progress(first + done, count)


def differing(bench: Bench, texts: Sequence[str], progress: Progress = lambda d, t: None) -> list[Different]:
    """Those in which the twin differs, measured in one boot; what cannot be run at all, or was disturbed, does not."""
    documents = [(text, document) for text in texts if (document := _runnable(bench, text))]
    if not documents:
        return []
    report, measured = bench.compare([document for _, document in documents], progress)
    ran = {one.job.lowered.workload.name: one for one in measured.ran if not one.disturbed}
    rows = {row.scenario: row for row in report.rows if row.count(DIFFERENT)}
    return [
        Different(text, Report((rows[name],)), replace(measured, ran=(ran[name],)))
        for text, document in documents
        if (name := document.scenarios[0].name) in rows and name in ran
    ]


def _runnable(bench: Bench, text: str) -> Document | None:
    """A program that still makes sense after lines of it were left out."""
    try:
        document = parse(text)
        scenario = document.scenarios[0]
        lower(scenario, bench.kernel.image.page_size, (scenario.orders or (0,))[0])
    except InputError:
        return None
    return document


def shrink(bench: Bench, found: Found, deadline: float) -> None:
    """Delta debugging on lines: many candidates a boot, larger cuts first; one that ends with a signal is none."""
    size = 8
    while found.smallest and size and time.monotonic() < deadline:
        candidates = list(_candidates(found.smallest.text, size))
        smaller = [
            one for one in differing(bench, candidates) if not any(ran.failed for ran in one.measured.ran)
        ]
        if smaller:
            found.smallest = min(smaller, key=lambda one: one.text.count("\n"))
        else:
            size //= 2


def _candidates(text: str, size: int) -> Iterator[str]:
    """The program without all that concerns a process, region or file, or without `size` lines; each named apart."""
    head, *lines, end, last = text.split("\n")
    scenario, name, *order = head.split()
    names = dict.fromkeys(word.rstrip(":") for line in lines for word in line.split() if word[:1].isalpha())
    cuts = [[line for line in lines if name not in line.replace(":", "").split()] for name in names]
    cuts += [lines[:at] + lines[at + size :] for at in range(0, len(lines), size)]
    number = 0
    for cut in cuts:
        if cut and len(cut) < len(lines):
            number += 1
            yield "\n".join(
                [" ".join((scenario, f"{name.partition('.')[0]}.{number}", *order)), *cut, end, last]
            )
