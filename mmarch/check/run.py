"""Run the suite: plan the jobs, feed a worker, survive what the plugin does to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

from core_mm.releases import RELEASES
from mmarch import cpus
from mmarch.check import xfails
from mmarch.check.context import ALSO_IN_FULL, QUICK, RELEASES_CHECKED
from mmarch.check.loading import load_named
from mmarch.check.premises import stands_on
from mmarch.check.process import Lost, Refused, Worker
from mmarch.check.reach import tracing
from mmarch.check.reach.following import Following
from mmarch.check.registry import TIERS, Check
from mmarch.check.results import BAD, Report, Result
from mmarch.check.suite import checks
from mmarch.environment import QUICK_LINK, switched_on
from mmarch.errors import InputError, PluginError, concerning
from mmarch.plugins import LoadedArch, features, find_arch
from mmarch.plugins.series import Chosen, applicable, choose, fits
from mmarch.plugins.withhold import expand
from mmarch.suggest import did_you_mean, unknown

OTHERS = tuple(release for release in RELEASES if release not in RELEASES_CHECKED + ALSO_IN_FULL)
SHARES = (1.0, 0.06, 0.02)  # of the cases on the first release, on the second, on each further one
WIDE = 0.05  # of the cases of a wide check on each release that no other check looks at
EXHAUSTIVE = ("algebra", "batch", "contiguous", "lockless")  # tiers that try every state of a few entries
FOLLOWED = 0.1  # of their cases while it is followed what they reach: the others reach nothing else
FIRST_TIERS = ("load", "smoke", "algebra")  # on which others stand
WORKERS = 2
SLOWEST = 100  # random operations a second


@dataclass(frozen=True)
class Options:
    """What to check, and how thoroughly.

    only        ids, whatever their level, or tiers; all if empty
    releases    of core-mm; the first one is checked in full. None: the usual ones that the series are for
    expected    a file of expected failures instead of the plugin's own
    limit       seconds for each check instead of its own limit
    operations  random operations of tlb.random on each release; 0 for the usual number
    programs    the same of random programs of meaning.programs and stateful.allocations
    with_       features beyond those of each release, and series
    without     features and hooks to do without
    coverage    follow what runs, and report what was reached; takes up to five times as long
    """

    level: Literal["must", "all"] = "must"
    only: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    cpu: str = ""
    granule: str = ""
    seed: int = 0
    quick: bool = False
    expected: Path | None = None
    limit: int = 0
    operations: int = 0
    programs: int = 0
    with_: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    coverage: bool = False


@dataclass(frozen=True)
class Job:
    """One check on one release."""

    check: Check
    release: str
    share: float


@switched_on(QUICK_LINK)  # many images, each for short programs
def check(
    arch: str,
    options: Options = Options(),
    generic: str = "generic",
    note: Callable[[Result], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Every check of the suite on the architecture called `arch`; `note` gets each result at once.

    `say` gets what was found so far, before anything is linked.

    PluginError if it does not load, InputError for a wrong option or file of expected failures.
    """
    known = checks()
    _validate_names(options, known)
    if options.coverage:
        tracing.library()
    workers = [Worker(arch, generic) for _ in range(min(WORKERS, os.cpu_count() or 1))]
    try:
        loaded = _load(arch, workers[0])
        others = _others(options)
        options, chosen = _validate_machine(options, loaded)
        for remark in chosen.remarks:
            say(remark)
        expected = xfails.load(options.expected or xfails.find(loaded.descriptor), known)
        report = Report(
            arch=arch, distribution=loaded.found.distribution, version=loaded.found.version, cpu=options.cpu,
            granule=options.granule, with_=tuple(sorted(chosen.names)),
            given=options.with_, series=chosen.digests, declared=chosen.declared, without=options.without,
            seed=options.seed, quick=options.quick, level=options.level,
            operations=options.operations, programs=options.programs, expected=str(options.expected or ""),
        )  # fmt: skip
        jobs = plan(options, known, bool(chosen.series), others)
        with Following(
            loaded.descriptor, load_named(generic).descriptor, chosen, options.coverage
        ) as following:
            runner = Runner(workers, loaded, options, expected, following.asked)
            for linking, stage in groupby(jobs, key=lambda job: job.check.links):
                if linking and report.results:
                    say(f"{report.found} so far; next is what needs linked code")
                with closing(runner.results(list(stage))) as results:
                    for result in results:
                        report.results.append(result)
                        note(result)
                        progress(len(report.results), len(jobs))
            report.coverage = following.found(options.without)
    finally:
        for worker in workers:
            worker.stop()
    report.complete = True
    return report


def _load(arch: str, worker: Worker) -> LoadedArch:
    """The architecture, imported in a process of its own before it is imported here; PluginError if it cannot be."""
    if ":" not in arch:
        find_arch(arch)
    try:
        worker.load()
    except Refused:
        worker.stop()
    except Lost as lost:
        worker.stop()
        raise PluginError("MM001", f"arch {arch!r}: its import {lost}") from None
    with stdout_to_stderr():
        return load_named(arch)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """What a plugin prints while it is imported is no answer of ours; the suite reports it."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _validate_names(options: Options, known: Sequence[Check]) -> None:
    names = [*TIERS, *(item.id for item in known)]
    for name in options.only:
        if name not in names:
            raise InputError(f"--only {name}: no check and no tier.{did_you_mean(name, names)}")
    for release in options.releases:
        if release not in RELEASES:
            with concerning("release"):
                raise unknown("release", release, list(RELEASES))


def _validate_machine(options: Options, arch: LoadedArch) -> tuple[Options, Chosen]:
    """With the CPU under its one name and the releases that the series are for; and what `with_` names."""
    with concerning("cpu"):
        cpu = options.cpu and cpus.choose(arch.descriptor, options.cpu).name
    if options.granule and options.granule not in arch.descriptor.granules:
        with concerning("granule"):
            raise unknown("granule", options.granule, list(arch.descriptor.granules))
    with concerning("with_"):
        chosen = choose(arch.descriptor, options.with_)
    with concerning("without"):
        without = expand(arch, options.without)
    usual = RELEASES_CHECKED if options.quick else RELEASES_CHECKED + ALSO_IN_FULL
    releases = options.releases or tuple(applicable(chosen.series, usual))
    for release in releases:
        fits(chosen.series, release)
        features.present(chosen.known, release, chosen.names, without)
    return replace(options, cpu=cpu, releases=releases, without=tuple(sorted(without))), chosen


def _others(options: Options) -> tuple[str, ...]:
    """Releases for wide checks alone, of a full run of an architecture as it is."""
    return () if options.quick or options.releases or options.with_ or options.without else OTHERS


def plan(options: Options, known: Sequence[Check], paired: bool, others: Sequence[str] = ()) -> list[Job]:
    """Checks in order of their tiers, each on every release; those that link after all others.

    paired  whether there are two kernels to compare, for the checks that do
    others  releases for wide checks alone
    """
    jobs = []
    for item in sorted(known, key=lambda item: item.links):
        named = item.id in options.only
        if item.paired and not (paired or named or item.tier in options.only):
            continue
        if not named and options.level == "must" and item.level != "must":
            continue
        if not named and options.only and item.tier not in options.only:
            continue
        for number, release in enumerate(options.releases):
            followed = options.coverage and item.tier in EXHAUSTIVE
            share = QUICK if options.quick else FOLLOWED if followed else 1.0
            jobs.append(Job(item, release, share * SHARES[min(number, len(SHARES) - 1)]))
        jobs += [Job(item, release, WIDE) for release in others if item.wide]
    return jobs


def asked(job: Job, options: Options) -> dict[str, Any]:
    """Of the Context that a job is run against."""
    return {
        "release": job.release,
        "cpu": options.cpu,
        "granule": options.granule,
        "seed": options.seed,
        "share": job.share,
        "operations": options.operations,
        "programs": options.programs,
        "with_": options.with_,
        "without": options.without,
        "every": not options.quick and not options.coverage and job.release not in OTHERS,
    }


def stage_of(job: Job) -> str:
    """A tier that others need; the others are one stage."""
    return job.check.tier if job.check.tier in FIRST_TIERS else ""


@dataclass
class Runner:
    """Runs jobs, the first tiers one after the other, on a few workers at once.

    follow  what workers are told of the files to follow
    broken  release -> checks of the first tiers that fail
    """

    workers: list[Worker]
    loaded: LoadedArch
    options: Options
    expected: xfails.Expected
    follow: dict[str, Any] | None = None
    broken: dict[str, list[str]] = field(default_factory=dict)

    def results(self, jobs: Sequence[Job]) -> Generator[Result]:
        """Of every job, in order."""
        idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self.workers:
            idle.put(worker)
        with ThreadPoolExecutor(len(self.workers)) as pool:
            try:
                for _, stage in groupby(jobs, key=stage_of):
                    yield from self._stage(list(stage), pool, idle)
            except BaseException:  # Ctrl-C must not wait for what is left
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in self.workers:
                    worker.kill()
                raise

    def _stage(
        self, jobs: Sequence[Job], pool: ThreadPoolExecutor, idle: SimpleQueue[Worker]
    ) -> Iterator[Result]:
        """Of jobs that need no result of each other; what takes long is begun first."""
        begun = {
            job: pool.submit(self._result, job, idle)
            for job in sorted(jobs, key=lambda job: not job.check.long)
        }
        for job in jobs:
            result = begun[job].result()
            self._remember(result)
            yield result

    def _result(self, job: Job, idle: SimpleQueue[Worker]) -> Result:
        outcome = self._skip(job)
        if outcome is None:
            worker = idle.get()
            try:
                outcome = worker.run(self._message(job), self._limit(job))
            finally:
                idle.put(worker)
        return self._judge(job, outcome)

    def _limit(self, job: Job) -> int:
        """Seconds."""
        usual = max(job.check.limit, self.options.operations // SLOWEST)
        return self.options.limit or usual * (tracing.SLOWER if self.follow else 1)

    def _message(self, job: Job) -> dict[str, Any]:
        context = asked(job, self.options) | {"followed": self.follow is not None}
        return {"check": job.check.id, "context": context, "follow": self.follow}

    def _remember(self, result: Result) -> None:
        tier = result.check.partition(".")[0]
        if result.status in BAD and result.level == "must" and tier in FIRST_TIERS:
            self.broken.setdefault(result.release, []).append(result.check)

    def _skip(self, job: Job) -> dict[str, Any] | None:
        for broken in () if self.options.only else self.broken.get(job.release, ()):
            if stands_on(job.check.id, broken):
                return {"status": "skip", "reason": f"{broken} fails, on which they stand"}
        if reason := self.expected.skipped(job.check.id, job.release):
            return {"status": "skip", "reason": reason}
        capabilities = self.loaded.descriptor.capabilities
        if missing := job.check.requires - capabilities:
            return {
                "status": "skip",
                "reason": f"the architecture does not claim {', '.join(sorted(missing))}",
            }
        return None

    def _judge(self, job: Job, outcome: dict[str, Any]) -> Result:
        """With what was expected; output is a failure of its own."""
        item, status = job.check, outcome["status"]
        reason = self.expected.reason(item.id, job.release)
        message = outcome.get("message", "")
        if status == "pass" and outcome.get("printed"):
            status, message = "fail", "prints to stdout or stderr, which belong to the answer and to the user"
        if reason and status in ("fail", "error"):
            status = "xfail"
        elif reason and status == "pass":
            status, message = (
                "xpass",
                f"passes, though it is expected to fail ({reason}); remove the expectation",
            )
        return Result(
            check=item.id, release=job.release, status=status, level=item.level, title=item.title, hooks=item.hooks,
            source=item.source, message=message, steps=tuple(outcome.get("steps", ())),
            seconds=outcome.get("seconds", 0.0), printed=outcome.get("printed", ""), did=outcome.get("did", ""),
            counts=outcome.get("counts", {}),
            reason=outcome.get("reason", "") or (reason if status == "xfail" else ""),
        )  # fmt: skip
