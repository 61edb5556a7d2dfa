"""`run`, `compare`, `ablate`: workloads counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mmarch.cli import complete, inside
from mmarch.cli import options as o
from mmarch.cli.configured import configured
from mmarch.cli.output import Talk, answer, chosen_format, how_to_read, parameters
from mmarch.errors import EXIT_FINDINGS, InputError

if TYPE_CHECKING:
    from mmarch.runs.result import Result
    from mmarch.runs.workloads import Source


@configured()
def run(
    workloads: o.Workloads = None,
    *,
    chosen: o.Chosen,
    engine: o.EngineOption = "auto",
    by: Annotated[
        o.By, typer.Option(help="What counts are attributed to; cause, mapping and task with --top.")
    ] = "op",
    top: Annotated[
        int,
        typer.Option(
            metavar="K",
            min=0,
            help="The K hottest operations, or what --by says, instead.",
            show_default=False,
        ),
    ] = 0,
    count: Annotated[o.Count, typer.Option(help="What the values of --format folded are.")] = "tlbi",
    steps: Annotated[
        bool, typer.Option("--steps", help="The steps of a scenario: counts, TLBIs with operands, dumps.")
    ] = False,
    sanitize: Annotated[
        bool,
        typer.Option(
            "--sanitize",
            help="Judge every flush by a TLB of unlimited memory, and core-mm by its invariants, instead of counting.",
        ),
    ] = False,
    invariants: Annotated[
        bool,
        typer.Option(
            "--invariants",
            help="Look at the invariants of core-mm alone, which takes little longer than counting.",
        ),
    ] = False,
    every: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="With --sanitize or --invariants: look at core-mm after every N operations.",
        ),
    ] = 100,
    costs: o.Costs = "",
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    format_: o.Format = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Replay workloads and count what the architecture's page-table code did; JSON of several is an array."""
    from mmarch import api
    from mmarch.report.formats import render

    talk = Talk(quiet)
    if by not in ("op", "hook") and not top:
        raise InputError(f"--by {by} says what --top K ranks; give --top too")
    filed: Literal["op", "hook"] = "hook" if by == "hook" else "op"
    judged = "--sanitize" if sanitize else "--invariants" if invariants else ""
    known, what = inside.formats(top, steps, judged, format_)
    form = chosen_format(format_, json, output, known, what)
    named = workloads or [""]
    if len(named) > 1:
        if top or steps or judged or form in inside.FORMATS:
            asked = what.removeprefix("run ")
            raise InputError(f"{asked} looks at one workload, not {len(named)}; run it once for each")
        check_costs(costs, chosen["arch"])
        with talk.progress(f"{len(named)} workloads") as progress:
            results = api.run_all(
                named, engine=engine, by=filed, scenario=scenario, backing=backing, reading=how_to_read(),
                parameters=parameters(),
                note=talk.note, progress=progress, **chosen,
            )  # fmt: skip
        answer(render(results, form, costs), output)
        _findings(results, talk)
        return
    if (top or steps or form in inside.FORMATS) and (
        past := inside.saved(named[0], chosen, scenario, backing)
    ):
        answer(inside.show(past, top, by, count, steps, form), output)
        return
    source = talk.reading(named[0], scenario, backing)
    if judged:
        _judge(source, form == "json", output, talk, every, {"engine": engine, "flushes": sanitize, **chosen})
        return
    with talk.progress(source.name) as progress:
        how: dict[str, Any] = {"note": talk.note, "progress": progress, **chosen}
        if top or steps or form in inside.FORMATS:
            history = api.record_history(source, **how)
            answer(inside.show(history, top, by, count, steps, form), output)
            return
        check_costs(costs, chosen["arch"])
        result = api.run(source, engine=engine, by=filed, **how)
    answer(render(result, form, costs), output)
    _findings([result], talk)


@configured()
def compare(
    workloads: o.Workloads = None,
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            "-c",
            "--configuration",
            metavar="KEY=VALUE,…",
            help="One configuration; give two or more. Keys: name, arch, release, cpu, granule, folio-orders, "
            "with, without, kernel. Several values of a key are joined with +; the + of a cpu is its own. "
            "What is left out is as in the options.",
            autocompletion=complete.configuration,
        ),
    ] = None,
    *,
    chosen: o.Chosen,
    engine: o.EngineOption = "auto",
    by: Annotated[str, typer.Option(metavar="op", help="Add a table for each system call.")] = "",
    costs: o.Costs = "",
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    format_: o.Format = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Put configurations side by side, on the same workloads: of the twin, and real kernels."""
    from mmarch import api
    from mmarch.cli.configurations import parse_all
    from mmarch.report.formats import FORMATS, render

    talk, form = Talk(quiet), chosen_format(format_, json, output, FORMATS, "compare")
    named = parse_all(configuration or [])
    for changes in named.values():
        if costs and "kernel" in changes:
            raise InputError("--costs estimates times of the twin; a kernel's counts have no price")
        check_costs(costs, changes.get("arch", chosen["arch"]))
    sources = [talk.reading(name, scenario, backing) for name in workloads or [""]]
    how: dict[str, Any] = {"engine": engine, "note": talk.note}
    with talk.progress("comparing") as progress:
        found = api.compare(sources, named, progress=progress, **how, **chosen)
    answer(render(found, form, costs, by == "op"), output)
    _findings(found.results, talk)


@configured()
def ablate(
    workload: o.Workload = "",
    *,
    chosen: o.Chosen,
    engine: o.EngineOption = "auto",
    costs: o.Costs = "",
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    older: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="RELEASE",
            help="With --to: switch features instead of hooks.",
            autocompletion=complete.release,
        ),
    ] = "",
    newer: Annotated[
        str,
        typer.Option(
            "--to", metavar="RELEASE", help="The newer of the two releases.", autocompletion=complete.release
        ),
    ] = "",
    sort: Annotated[str, typer.Option(metavar="COUNT", help="Of --from and --to: what to sort by.")] = "",
    format_: o.Format = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Withhold each optional hook of an architecture in turn, and say what it buys; or each feature of a release."""
    from mmarch import api
    from mmarch.report.formats import FORMATS, render

    talk = Talk(quiet)
    how: dict[str, Any] = {"engine": engine, "note": talk.note}
    features = bool(older or newer or sort)
    if features and not (older and newer):
        raise InputError("--from and --to go together: ablate --from 6.12 --to 7.3")
    what = "ablate --from --to" if features else "ablate"
    form = chosen_format(format_, json, output, FORMATS, what)
    check_costs(costs, chosen["arch"])
    source = talk.reading(workload, scenario, backing)
    with talk.progress("ablating") as progress:
        how |= {"progress": progress, **chosen}
        found = api.between(older, newer, source, **how) if features else api.ablate(source, **how)
    answer(render(found, form, costs, sort=sort), output)
    _findings([found.baseline] if isinstance(found, api.Ablation) else [found.older, found.newer], talk)


def check_costs(costs: str, arch: str) -> None:
    """InputError before the work if there is no such profile."""
    if costs:
        from mmarch import api

        api.show_costs(costs, arch=arch)


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


def _judge(source: Source, json: bool, output: str, talk: Talk, every: int, how: dict[str, Any]) -> None:
    """The verdict instead of counts; exit 1 if anything is wrong."""
    from mmarch import api
    from mmarch.report.printed import SanitizeDocument
    from mmarch.report.sanitize import render, render_looks

    with talk.progress(source.name) as progress:
        work, setup, seen = api.judge(source, note=talk.note, progress=progress, every=every, **how)
    lines = render(work, seen) if how["flushes"] else render_looks(work, seen, every)
    answer(SanitizeDocument.of(work, setup, seen).text() if json else "\n".join(lines), output)
    if seen.wrong:
        raise typer.Exit(EXIT_FINDINGS)
