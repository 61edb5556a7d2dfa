"""The stages of tools/mutation_score.py, job by job, in a tree with a mutant: exit 1 and a line once one notices it.

`python -m tools.mutation_stage STAGE SEED [JOB…]` runs all jobs of a stage, or those named, in that order; one of
`oracle` that stands for many runs linked. `python -m tools.mutation_stage image SEED` prints a digest of memory.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice

from mmarch.api import validate
from mmarch.check import xfails
from mmarch.check.context import ALSO_IN_FULL, RELEASES_CHECKED, Context, forget_benches
from mmarch.check.loading import load_named
from mmarch.check.results import BAD
from mmarch.check.run import OTHERS, Options, plan
from mmarch.check.run import Job as Planned
from mmarch.check.suite import checks
from mmarch.check.worker import Hung, run_check, time_limit
from mmarch.environment import QUICK_LINK, switched_on
from mmarch.plugins import LoadedArch
from mmarch.sanitize import soak
from mmarch.truth.validate import DIFFERENT, bundled

ARCHS = ("arm64", "generic")
STAGES = ("quick", "full", "oracle", "measured")
OPERATIONS = int(os.environ.get("MUTATION_OPERATIONS", "20000"))  # of the oracle's campaign, on each release
LONG = 2400  # seconds of a job that does not end
WORTH_AN_IMAGE = 8  # rounds of one architecture that take longer than a link
MIXED = ("files", "random")  # measurements that meet most in least time
IMAGED = 8_000  # operations whose memory images tell equivalent mutants


@dataclass(frozen=True)
class Job:
    """What can notice a mutant: a check on a release, a round of random operations, a file of measurements."""

    stage: str
    arch: str
    name: str
    release: str

    def __str__(self) -> str:
        return f"{self.arch}/{self.release}/{self.name}"


def jobs(stage: str, seed: int) -> list[Job]:
    """All of a stage."""
    if stage == "measured":
        files = enumerate(bundled().measurements)
        order = sorted(files, key=lambda file: (file[1].parent.name not in MIXED, file[0]))
        return [Job(stage, "arm64", str(n), "") for n, _ in order]
    releases = RELEASES_CHECKED if stage == "quick" else RELEASES_CHECKED + ALSO_IN_FULL
    if stage == "oracle":
        rounds = range(OPERATIONS // soak.ROUND)
        return [Job(stage, arch, str(n), release) for arch in ARCHS for release in releases for n in rounds]
    return [
        Job(stage, arch, planned.check.id, planned.release)
        for arch in ARCHS
        for planned in planning(stage, arch, seed)
    ]


@cache
def planning(stage: str, arch: str, seed: int) -> list[Planned]:
    """What `mmarch check --level all` runs of an architecture."""
    quick = stage == "quick"
    releases = RELEASES_CHECKED if quick else RELEASES_CHECKED + ALSO_IN_FULL
    options = Options(level="all", quick=quick, seed=seed, releases=releases)
    descriptor, known = loaded(arch).descriptor, checks()
    expected = xfails.load(xfails.find(descriptor), known)
    return [
        one for one in plan(options, known, False, () if quick else OTHERS)
        if one.check.requires <= descriptor.capabilities and not expected.reason(one.check.id, one.release)
    ]  # fmt: skip


@cache
def loaded(arch: str) -> LoadedArch:
    """An architecture of this tree."""
    return load_named(arch)


def context(job: Job, seed: int, share: float = 1.0) -> Context:
    """What a job is run against."""
    return Context(
        loaded(job.arch).descriptor,
        loaded("generic").descriptor,
        release=job.release,
        seed=seed,
        share=share,
        every=job.stage == "full" and job.release not in OTHERS,
    )


def run(job: Job, seed: int, linked: bool) -> str:
    """What the job notices, "" if nothing; `linked` is how random operations and measured steps run."""
    forget_benches()
    if job.stage == "oracle":
        return oracle(job, seed, linked)
    if job.stage == "measured":
        return measured(job, linked)
    planned = next(
        one for one in planning(job.stage, job.arch, seed)
        if (one.check.id, one.release) == (job.name, job.release)
    )  # fmt: skip
    made = context(job, seed, planned.share)
    try:
        with time_limit(LONG, made):
            outcome = run_check(planned.check, made)
    except Hung as hung:
        return f"{job}: hangs: {hung}"
    told = str(outcome.get("message", "")).strip().partition("\n")[0]
    return f"{job}: {told}" if outcome["status"] in BAD else ""


def oracle(job: Job, seed: int, linked: bool) -> str:
    """One round of random operations, as `mmarch check ARCH --only tlb.random` runs them."""
    made = next(islice(soak.rounds(context(job, seed).config(), OPERATIONS, seed), int(job.name), None))
    found = soak.run_round(made, soak.Soaked(), "linked" if linked else "interpreted")
    return f"{job}: {str(found).partition(chr(10))[0]}" if found else ""


def measured(job: Job, linked: bool) -> str:
    """The steps of one file, as `mmarch validate` compares them."""
    path = bundled().measurements[int(job.name)]
    report = validate((path,), engine="linked" if linked else "interpreted")
    for row in report.rows:
        if row.count(DIFFERENT):
            return f"{row.scenario} [{row.release} {row.cpu}]: differs from the kernel"
    return ""


def noticed(chosen: Sequence[Job], seed: int) -> Iterator[tuple[Job, str, float]]:
    """What each job notices, and its seconds; whatever it raises is noticed too."""
    several = Counter(job.arch for job in chosen if job.stage == "oracle")
    for job in chosen:
        start = time.process_time()
        try:
            what = run(job, seed, job.stage == "measured" or several[job.arch] > WORTH_AN_IMAGE)
        except Exception as error:
            what = f"{job}: raised {type(error).__name__}: {error}"
        yield job, what, time.process_time() - start


def image(seed: int) -> None:
    """Print the digest of all memory after random operations on every release that is checked."""
    digest = hashlib.sha256()
    for release in RELEASES_CHECKED:
        for arch in ARCHS:
            base = context(Job("image", arch, "", release), seed).config()
            for made in soak.rounds(base, IMAGED, seed):
                made = replace(made, config=replace(made.config, memory=64 << 20, log_rows=0))
                running = soak.machine(made, "linked")
                running.call("run_operations", 0, len(made.rows))
                for name, data in sorted(running.memory.image().items()):
                    digest.update(name.encode() + data)
    print(digest.hexdigest())


@switched_on(QUICK_LINK)  # as `mmarch check` does: a mutant's images serve short jobs
def main(stage: str, seed: int, names: Sequence[str]) -> None:
    """End at the first job that notices something; nothing else is wanted of this process."""
    known = {str(job): job for job in jobs(stage, seed)}
    for _, what, _ in noticed([known[name] for name in names] or list(known.values()), seed):
        if what:
            print(what.partition("\n")[0], flush=True)
            os._exit(1)


SPECIAL: dict[str, Callable[[int], None]] = {"image": image}

if __name__ == "__main__":
    if sys.argv[1] in SPECIAL:
        SPECIAL[sys.argv[1]](int(sys.argv[2]))
    else:
        main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
