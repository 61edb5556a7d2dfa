"""`run`, `compare`, `ablate`: workloads counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import Talk, answer
from mmarch.errors import EXIT_FINDINGS, InputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mmarch.runs.assemble import Request
    from mmarch.runs.configure import Choices, Setup
    from mmarch.runs.costs import Priced
    from mmarch.runs.kernel import KernelChoice
    from mmarch.runs.result import Result
    from mmarch.runs.several import Job
    from mmarch.runs.workloads import Source
    from mmarch.workload import Workload


def run(
    workloads: o.Workloads = None,
    config: o.ConfigFile = None,
    arch: o.Arch = "arm64",
    release: o.Release = "",
    cpu: o.Cpu = "",
    granule: o.Granule = "",
    folio_orders: o.FolioOrders = "",
    with_: o.With = None,
    without: o.Without = None,
    engine: o.EngineOption = o.Engine.auto,
    by: Annotated[
        o.By, typer.Option(help="What counts are attributed to; cause, mapping and task with --top.")
    ] = o.By.op,
    top: Annotated[
        int,
        typer.Option(
            metavar="K",
            min=0,
            help="The K hottest operations, or what --by says, instead.",
            show_default=False,
        ),
    ] = 0,
    form: Annotated[
        o.Format, typer.Option("--format", help="folded: stacks for flame graphs.")
    ] = o.Format.table,
    count: Annotated[o.Count, typer.Option(help="What the values of --format folded are.")] = o.Count.tlbi,
    steps: Annotated[
        bool, typer.Option("--steps", help="The steps of a scenario: counts, TLBIs with operands, dumps.")
    ] = False,
    sanitize: Annotated[
        bool,
        typer.Option(
            "--sanitize", help="Judge every flush by a TLB of unlimited memory, instead of counting."
        ),
    ] = False,
    costs: o.Costs = "",
    memory: o.Memory = "16G",
    seed: o.Seed = 0,
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Replay workloads and count what the architecture's page-table code did; JSON of several is an array."""
    from mmarch.report.run import render
    from mmarch.runs.assemble import Request
    from mmarch.runs.configure import Choices
    from mmarch.runs.run import run_with_saving
    from mmarch.runs.several import Job

    talk = Talk(quiet)
    json = json or form is o.Format.json
    folding = form is o.Format.folded
    if by not in (o.By.op, o.By.hook) and not top:
        raise InputError(f"--by {by} says what --top K ranks; give --top too")
    if (top or folding or steps) and (json or sanitize or (workloads and len(workloads) > 1)):
        raise InputError(
            "--top, --steps and --format folded look at one workload, without --json or --sanitize"
        )
    choices = Choices(
        arch, release, cpu, granule, folio_orders, tuple(with_ or ()), tuple(without or ()), memory, seed
    )
    setup = _setup(choices, talk)
    priced = _priced(costs, setup)
    request = Request(engine.value, by_hook=by is o.By.hook, runs=2)
    if workloads and len(workloads) > 1:
        if sanitize:
            raise InputError(f"--sanitize judges one workload, not {len(workloads)}; run it once for each")
        for name in workloads:
            _read_twice(name)
        jobs = [Job(name, scenario, backing, choices, request) for name in workloads]
        _run_all(
            jobs,
            lambda result: "\n".join(render(result, _page_shift(result, setup), priced)),
            json,
            output,
            talk,
        )
        return
    source = talk.reading(workloads[0] if workloads else "", scenario, backing)
    setup = _setup_for(source, choices, talk)
    work = source.workload(setup)
    request = replace(request, madvise=source.advised)
    if steps:
        answer("\n".join(_steps(work, setup, request, talk)), output)
        return
    if top or folding:
        answer("\n".join(_hot(work, setup, request, top, by, count, talk)), output)
        return
    if sanitize:
        _sanitize(work, setup, request, talk, output, json)
        return
    with talk.progress(work.name) as progress:
        result = run_with_saving(work, setup, request, talk.note, progress)
    answer(_json(result) if json else "\n".join(render(result, setup.geometry.page_shift, priced)), output)
    _findings([result], talk)


def _steps(work: Workload, setup: Setup, request: Request, talk: Talk) -> list[str]:
    """What each step of a scenario did."""
    from mmarch.history import record
    from mmarch.report.columns import title
    from mmarch.report.steps import render
    from mmarch.table import wrap

    if not work.steps:
        raise InputError(f"--steps: {work.name} has no steps; give a scenario file")
    history = record(work, setup, request, talk.note)
    return [
        *wrap(title(setup.configuration, setup.geometry.page_shift)),
        *wrap(work.name),
        "",
        *render(history),
    ]


def _hot(
    work: Workload, setup: Setup, request: Request, top: int, by: o.By, count: o.Count, talk: Talk
) -> Iterable[str]:
    """What is hottest, or stacks if `top` is 0."""
    from mmarch.history import record
    from mmarch.history.top import folded
    from mmarch.report.top import render

    with talk.progress(work.name) as progress:
        history = record(work, setup, request, talk.note, progress)
    return render(history, top, by.value) if top else folded(history, count.value)


def _run_all(
    jobs: Sequence[Job], render: Callable[[Result], str], json: bool, output: str, talk: Talk
) -> None:
    from mmarch.runs.several import count_all

    with talk.progress(f"{len(jobs)} workloads") as progress:
        done = count_all(jobs, progress)
    for note in dict.fromkeys(note for one in done for note in one.notes):
        talk.note(note)
    results = [one.result for one in done]
    answer(f"[{','.join(map(_json, results))}]" if json else "\n\n".join(map(render, results)), output)
    _findings(results, talk)


def compare(
    workload: o.Workload = "",
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            "-c",
            "--configuration",
            metavar="KEY=VALUE,…",
            help="One configuration; give two or more. Keys: arch, release, cpu, granule, folio-orders, "
            "with, without. Several values of a key are joined with +; the + of a cpu is its own. "
            "What is left out is as in the options.",
            autocompletion=complete.configuration,
        ),
    ] = None,
    config: o.ConfigFile = None,
    arch: o.Arch = "arm64",
    release: o.Release = "",
    cpu: o.Cpu = "",
    granule: o.Granule = "",
    folio_orders: o.FolioOrders = "",
    with_: o.With = None,
    without: o.Without = None,
    engine: o.EngineOption = o.Engine.auto,
    by: Annotated[str, typer.Option(metavar="op", help="Add a table for each system call.")] = "",
    costs: o.Costs = "",
    memory: o.Memory = "16G",
    seed: o.Seed = 0,
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Put configurations side by side, on the same workload: of the twin, and real kernels."""
    from mmarch.cli.configurations import parse_all
    from mmarch.cli.kernel import kernel_choice
    from mmarch.report.compare import compare as render
    from mmarch.runs import ablation
    from mmarch.runs.assemble import Request
    from mmarch.runs.configure import Choices, Setup

    talk = Talk(quiet)
    base = Choices(
        arch, release, cpu, granule, folio_orders, tuple(with_ or ()), tuple(without or ()), memory, seed
    )
    wanted = parse_all(configuration or [], base)
    source = talk.reading(workload, scenario, backing)
    sides: list[Setup | KernelChoice] = [
        _setup_for(source, side, talk) if isinstance(side, Choices) else kernel_choice(side, talk)
        for side in wanted
    ]
    setups = [side for side in sides if isinstance(side, Setup)]
    if costs and len(setups) < len(sides):
        raise InputError("--costs estimates times of the twin; a kernel's counts have no price")
    priced = [p for setup in setups if (p := _priced(costs, setup))]
    with talk.progress("comparing") as progress:
        request = Request(engine.value, madvise=source.advised)
        found = ablation.compare(source, sides, request, talk.note, progress)
    shifts = [side.page_shift for side in sides]
    answer(_json(found) if json else "\n".join(render(found, shifts, priced, by == "op")), output)
    _findings(found.results, talk)


def ablate(
    workload: o.Workload = "",
    config: o.ConfigFile = None,
    arch: o.Arch = "arm64",
    release: o.Release = "",
    cpu: o.Cpu = "",
    granule: o.Granule = "",
    folio_orders: o.FolioOrders = "",
    with_: o.With = None,
    without: o.Without = None,
    engine: o.EngineOption = o.Engine.auto,
    costs: o.Costs = "",
    memory: o.Memory = "16G",
    seed: o.Seed = 0,
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    older: Annotated[
        str, typer.Option("--from", metavar="RELEASE", help="With --to: switch features instead of hooks.")
    ] = "",
    newer: Annotated[
        str, typer.Option("--to", metavar="RELEASE", help="The newer of the two releases.")
    ] = "",
    sort: Annotated[str, typer.Option(metavar="COUNT", help="Of --from and --to: what to sort by.")] = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Withhold each optional hook of an architecture in turn, and say what it buys; or each feature of a release."""
    from mmarch.report.compare import ablate as render
    from mmarch.runs import ablation
    from mmarch.runs.assemble import Request
    from mmarch.runs.configure import Choices

    talk = Talk(quiet)
    choices = Choices(
        arch, release, cpu, granule, folio_orders, tuple(with_ or ()), tuple(without or ()), memory, seed
    )
    source = talk.reading(workload, scenario, backing)
    request = Request(engine.value, madvise=source.advised)
    if older or newer or sort:
        _between(
            source,
            [replace(choices, release=name) for name in (older, newer)],
            request,
            sort,
            json,
            output,
            talk,
        )
        return
    setup = _setup_for(source, choices, talk)
    priced = _priced(costs, setup)
    work = source.workload(setup)
    with talk.progress("ablating") as progress:
        found = ablation.ablate(work, setup, request, talk.note, progress)
    answer(_json(found) if json else "\n".join(render(found, setup.geometry.page_shift, priced)), output)
    _findings([found.baseline], talk)


def _between(
    source: Source, pair: Sequence[Choices], request: Request, sort: str, json: bool, output: str, talk: Talk
) -> None:
    """Features between two releases, each by itself."""
    from mmarch.report.features import between as render
    from mmarch.runs.between import between

    if not all(choices.release for choices in pair):
        raise InputError("--from and --to go together: ablate --from 6.12 --to 7.3")
    older, newer = (_setup_for(source, choices, talk) for choices in pair)
    with talk.progress("ablating") as progress:
        found = between(source.workload(older), older, newer, request, talk.note, progress)
    answer(_json(found) if json else "\n".join(render(found, older.geometry.page_shift, sort)), output)
    _findings([found.older, found.newer], talk)


def _setup(choices: Choices, talk: Talk) -> Setup:
    from mmarch.runs.configure import configure

    setup = configure(choices)
    hooks = [name for name in setup.configuration.without if name not in setup.known]
    idle = [hook for hook in hooks if hook not in setup.arch.hooks or choices.arch == "generic"]
    if idle:
        talk.note(f"{choices.arch} does not override {', '.join(idle)}: withholding changes nothing")
    return setup


def _setup_for(source: Source, choices: Choices, talk: Talk) -> Setup:
    """With the page size of the recording, unless another granule is chosen, which is said."""
    from mmarch.runs.workloads import remarks

    setup = _setup(replace(choices, page_size=source.page_size), talk)
    for remark in remarks(source, setup):
        talk.note(remark)
    return setup


def _read_twice(name: str) -> None:
    """InputError for what only this process can read."""
    if name == "-" or (Path(name).exists() and not Path(name).is_file()):
        raise InputError(
            f"{name} is no file: of several workloads, each is read by a process of its own; run it alone"
        )


def _priced(costs: str, setup: Setup) -> Priced | None:
    if not costs:
        return None
    from mmarch.runs.costs import load_costs

    return load_costs(costs, setup.arch.descriptor)


def _page_shift(result: Result, setup: Setup) -> int:
    """Of the pages that a result was counted with."""
    return setup.arch.descriptor.granules[result.configuration.granule].page_shift


def _json(model: BaseModel) -> str:
    return model.model_dump_json(indent=2, exclude_none=True)


def _findings(results: Sequence[Result], talk: Talk) -> None:
    """Say what failed in a replay, and end with 1 if anything did."""
    bad = False
    for result in results:
        for failure in result.failures:
            bad = True
            where = f"{result.workload.source}:{failure.line}"
            more = f" (and {failure.count - 1} more like it)" if failure.count > 1 else ""
            talk.problem(f"{where}: {failure.operation} failed with {failure.error}{more}")
        if warn := result.warnings:
            bad = True
            talk.problem(f"core-mm warned {warn.count} times, first {warn.first} with value {warn.value:#x}")
    if bad:
        raise typer.Exit(EXIT_FINDINGS)


def _sanitize(work: Workload, setup: Setup, request: Request, talk: Talk, output: str, json: bool) -> None:
    """The oracle's verdict instead of counts; exit 1 if it found anything."""
    from mmarch.report.sanitize import document, render
    from mmarch.sanitize.run import sanitize

    with talk.progress(work.name) as progress:
        seen = sanitize(work, setup, request, talk.note, progress)
    answer(document(work, setup, seen) if json else "\n".join(render(work, seen)), output)
    if seen.found:
        raise typer.Exit(EXIT_FINDINGS)
