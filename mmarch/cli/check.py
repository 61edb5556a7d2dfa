"""`mmarch check`: is an architecture right?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import Talk, answer
from mmarch.errors import EXIT_FINDINGS

Level = Literal["must", "all"]
Format = Literal["table", "json", "junit", "tap", "lkml"]


def check(
    arch: Annotated[
        str, typer.Argument(metavar="ARCH", help="See 'mmarch arch list'.", autocompletion=complete.arch)
    ],
    level: Annotated[Level, typer.Option(help="must: what an architecture owes; all: more.")] = "must",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="One check or tier. Repeatable.", autocompletion=complete.check),
    ] = None,
    release: Annotated[
        list[str] | None,
        typer.Option(
            help="Release of core-mm. Repeatable; default 6.12 and 7.3.", autocompletion=complete.release
        ),
    ] = None,
    config: o.ConfigFile = None,
    with_: o.With = None,
    without: o.Without = None,
    cpu: o.Cpu = "",
    granule: o.Granule = "",
    seed: o.Seed = 0,
    operations: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Random operations of tlb.random, on each release.", show_default="6000"
        ),
    ] = 0,
    programs: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Random programs of meaning.programs and stateful.allocations, on each release.",
            show_default="20000, 15",
        ),
    ] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A sample, in seconds.")] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Show what of core-mm and ARCH was reached; takes longer.")
    ] = False,
    expected: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Expected failures, instead of the plugin's own.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="Of the report.")] = "table",
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Run the conformance suite on an architecture; every failure comes with the steps that show it.

    Folios and memory are the suite's own; all else of a --config counts, its arch too.
    """
    from mmarch import api
    from mmarch.check.report import render
    from mmarch.check.results import BAD, Result

    talk = Talk(quiet)
    options: dict[str, Any] = {
        "level": level, "only": tuple(only or ()), "releases": tuple(release or ()),
        "cpu": cpu, "granule": granule, "seed": seed, "quick": quick, "expected": expected,
        "operations": operations, "programs": programs, "with_": tuple(with_ or ()), "without": tuple(without or ()),
        "coverage": coverage,
    }  # fmt: skip

    def note(result: Result) -> None:
        if result.status in BAD:
            talk.note(f"{result.status} {result.name}")

    with talk.progress(f"checking {arch}") as progress:
        report = api.check(arch, note=note, progress=progress, say=talk.note, **options)
    answer(render(report, form), output)
    if not report.ok:
        raise typer.Exit(EXIT_FINDINGS)
