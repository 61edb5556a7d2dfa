"""Workloads counted: once, side by side, and without what an architecture or a release has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from mmarch.api.answers import Ablation, Comparison, FeatureAblation, Result, shown
from mmarch.api.choosing import (
    Choosing,
    Engine,
    Note,
    Parameters,
    Progress,
    Work,
    as_choices,
    configured,
    open_workload,
    prepare,
    silent,
    unseen,
)
from mmarch.errors import InputError, concerning

if TYPE_CHECKING:
    from mmarch.runs.configure import Setup
    from mmarch.runs.kernel import KernelChoice
    from mmarch.runs.workloads import Source
    from mmarch.sanitize.run import Sanitized
    from mmarch.trace.assumed import Reading
    from mmarch.workload import Workload


def run(
    workload: Work = "",
    *,
    engine: Engine = "auto",
    by: Literal["op", "hook"] = "op",
    scenario: str = "",
    backing: str = "",
    parameters: Parameters | None = None,
    note: Note = silent,
    progress: Progress = unseen,
    **chosen: Unpack[Choosing],
) -> Result:
    """Replay a workload and count what the architecture's page-table code did.

    by        attribute counts to system calls, or to hooks
    note      is given a line for each surprise
    progress  is told how many operations are done, of how many
    """
    from mmarch.runs.run import run_with_saving

    job = prepare(
        workload,
        scenario,
        backing,
        parameters,
        note,
        chosen,
        engine,
        by_hook=by == "hook",
        runs=2,
        sampled=True,
    )
    return shown(Result, run_with_saving(*job, note, progress))


def run_all(
    workloads: Sequence[str | os.PathLike[str]],
    *,
    engine: Engine = "auto",
    by: Literal["op", "hook"] = "op",
    scenario: str = "",
    backing: str = "",
    parameters: Parameters | None = None,
    reading: Reading | None = None,
    note: Note = silent,
    progress: Progress = unseen,
    **chosen: Unpack[Choosing],
) -> list[Result]:
    """`run` of several files or names, each in a process of its own, on all cores.

    reading   how to take traces that do not say everything
    progress  is told how many workloads are done, of how many
    """
    from mmarch.runs.assemble import Request
    from mmarch.runs.several import Job, count_all
    from mmarch.trace.assumed import Reading

    for name in (os.fspath(workload) for workload in workloads):
        if name == "-" or (Path(name).exists() and not Path(name).is_file()):
            raise InputError(
                f"{name} is no file: of several workloads, each is read by a process of its own; run it alone"
            )
    configured(chosen, note)
    request = Request(engine, by_hook=by == "hook", runs=2, sampled=True)
    choices = as_choices(chosen)
    done = count_all(
        [
            Job(
                os.fspath(w),
                scenario,
                backing,
                choices,
                request,
                reading or Reading(),
                dict(parameters or {}),
            )
            for w in workloads
        ],
        progress,
    )
    for text in dict.fromkeys(text for one in done for text in one.notes):
        note(text)
    return [shown(Result, one.result) for one in done]


def judge(
    workload: Work = "",
    *,
    engine: Engine = "auto",
    scenario: str = "",
    backing: str = "",
    parameters: Parameters | None = None,
    every: int = 100,
    flushes: bool = True,
    note: Note = silent,
    progress: Progress = unseen,
    **chosen: Unpack[Choosing],
) -> tuple[Workload, Setup, Sanitized]:
    """Judge every TLB flush, and every missing one, by a TLB of unlimited memory: `mmarch run --sanitize`.

    The invariants of core-mm, and what pages show, are looked at after every `every` operations and at the end. Without
    `flushes` the invariants are all that is looked at, which takes little longer than a run: `mmarch run --invariants`.
    What was run, on what, and the verdict.
    """
    from mmarch.sanitize.run import look, sanitize

    job = prepare(workload, scenario, backing, parameters, note, chosen, engine, runs=2)
    verdict = sanitize if flushes else look
    return job.workload, job.setup, verdict(*job, note, progress, every)


def compare(
    workloads: Work | Sequence[Work],
    configurations: Mapping[str, Choosing] | Sequence[Choosing],
    *,
    engine: Engine = "auto",
    scenario: str = "",
    backing: str = "",
    parameters: Parameters | None = None,
    note: Note = silent,
    progress: Progress = unseen,
    **chosen: Unpack[Choosing],
) -> Comparison:
    """Put configurations side by side, on one workload or several.

    configurations  by name, or A, B, … if they have none; what one leaves out is as in the keywords
    progress        is told how many runs are done, of how many
    """
    from mmarch.runs import ablation
    from mmarch.runs.assemble import Request

    named = configurations if isinstance(configurations, Mapping) else lettered(configurations)
    if len(named) < 2:
        raise InputError(f"compare needs 2 configurations or more, got {len(named)}; run counts one")
    works = workloads if isinstance(workloads, Sequence) and not isinstance(workloads, str) else [workloads]
    sources = [
        open_workload(work, scenario=scenario, backing=backing, parameters=parameters)
        for work in works or [""]
    ]
    jobs = [
        (source, side_of({**chosen, **changes}, note, source, name))
        for source in sources
        for name, changes in named.items()
    ]
    found = ablation.compare(list(named), jobs, Request(engine, sampled=True), note, progress)
    return shown(Comparison, found, results=tuple(shown(Result, one) for one in found.results))


def ablate(
    workload: Work = "",
    *,
    engine: Engine = "auto",
    scenario: str = "",
    backing: str = "",
    parameters: Parameters | None = None,
    note: Note = silent,
    progress: Progress = unseen,
    **chosen: Unpack[Choosing],
) -> Ablation:
    """Withhold each optional hook of an architecture in turn."""
    from mmarch.runs import ablation

    found = ablation.ablate(
        *prepare(workload, scenario, backing, parameters, note, chosen, engine), note, progress
    )
    return shown(Ablation, found, baseline=shown(Result, found.baseline))


def between(
    older: str,
    newer: str,
    workload: Work = "",
    *,
    engine: Engine = "auto",
    scenario: str = "",
    backing: str = "",
    parameters: Parameters | None = None,
    note: Note = silent,
    progress: Progress = unseen,
    **chosen: Unpack[Choosing],
) -> FeatureAblation:
    """Switch each feature that two releases differ in by itself: `mmarch ablate --from OLDER --to NEWER`."""
    from mmarch.runs import between as features

    source = open_workload(workload, scenario=scenario, backing=backing, parameters=parameters)
    with concerning(configuration="older"):
        work, before, request = prepare(source, "", "", None, note, {**chosen, "release": older}, engine)
    with concerning(configuration="newer"):
        after = configured({**chosen, "release": newer}, note, source)
    found = features.between(work, before, after, request, note, progress)
    return shown(FeatureAblation, found, older=shown(Result, found.older), newer=shown(Result, found.newer))


def trend(workload: Work = "", **given: Any) -> list[FeatureAblation]:
    """`between` for each release and the one it follows, oldest first; the keywords are the same."""
    from core_mm.releases import RELEASES

    which = {name: given.pop(name) for name in ("scenario", "backing", "parameters") if name in given}
    source = open_workload(workload, **which)
    pairs = [(release.base, release.name) for release in RELEASES.values() if release.base]
    return [between(older, newer, source, **given) for older, newer in pairs]


def side_of(chosen: Choosing, note: Note, source: Source, name: str) -> Setup | KernelChoice:
    """The twin, or a kernel, for the configuration of that name."""
    with concerning(configuration=name):
        if "kernel" not in chosen:
            return configured(chosen, note, source)
        from mmarch.runs.kernel import kernel_choice

        given = as_choices({**chosen})
        return kernel_choice(chosen["kernel"], note, given.cpu, given.granule, given.folio_orders)


def lettered(configurations: Sequence[Choosing]) -> dict[str, Choosing]:
    """By A, B, …"""
    from mmarch.runs.configure import letters

    return {letters(number): chosen for number, chosen in enumerate(configurations)}
