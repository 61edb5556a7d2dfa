"""Several workloads, each replayed in a process of its own, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

from mmarch.runs.assemble import Request
from mmarch.runs.configure import Choices, configure
from mmarch.runs.parallel import collect, cores
from mmarch.runs.result import Result
from mmarch.runs.run import run_with_saving
from mmarch.runs.workloads import open_workload, remarks
from mmarch.trace.assumed import PLAIN, Reading
from mmarch.waiting import hearing, tell


@dataclass(frozen=True)
class Job:
    """One workload as named on the command line, and what to do with it."""

    workload: str
    scenario: str
    backing: str
    choices: Choices
    request: Request
    reading: Reading = PLAIN
    parameters: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What came of it."""

    result: Result
    notes: tuple[str, ...]


def count(job: Job) -> Done:
    """Replay one; errors as from `run`."""
    notes: list[str] = []
    source = open_workload(
        job.workload, job.scenario, job.backing, reading=job.reading, parameters=job.parameters
    )
    setup = configure(replace(job.choices, page_size=source.page_size))
    notes.extend(f"{job.workload}: {remark}" for remark in remarks(source, setup))
    request = replace(job.request, madvise=source.advised)
    result = run_with_saving(source.workload(setup), setup, request, notes.append)
    return Done(result, tuple(notes))


def count_all(
    jobs: Sequence[Job], progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Done]:
    """All of them, in their order; the first error ends all."""
    spawn, workers = get_context("spawn"), max(1, min(cores(), len(jobs)))
    ours, theirs = spawn.Pipe(duplex=False)
    with ours, theirs, hearing(ours), ProcessPoolExecutor(workers, spawn, tell, (theirs.send,)) as pool:
        return collect(pool, count, jobs, progress)
