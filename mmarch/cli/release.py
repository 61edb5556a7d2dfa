"""`release list | show | diff | trend`: which behaviour came when, and what it did to a workload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.configured import READING, configured
from mmarch.cli.output import Talk, answer

if TYPE_CHECKING:
    pass

app = typer.Typer(no_args_is_help=True, help="Releases of Linux as lists of features.")
Name = Annotated[
    str,
    typer.Argument(metavar="RELEASE", help="See 'mmarch release list'.", autocompletion=complete.release),
]


@app.command("list")
def list_(json: o.Json = False, output: o.Output = "") -> None:
    """List releases and series."""
    from mmarch import api
    from mmarch.report.features import releases

    found = api.list_releases()
    if json:
        from mmarch.report.printed import ReleasesDocument

        answer(ReleasesDocument(releases=tuple(found.values())).text(), output)
    else:
        answer("\n".join(releases()), output)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[RELEASE|FEATURE]",
            help="A release, a feature, or nothing for all features.",
            autocompletion=complete.release_or_feature,
        ),
    ] = "",
    arch: o.Arch = "arm64",
    json: o.Json = False,
    output: o.Output = "",
) -> None:
    """Describe a feature, or all that a release has, core-mm's and the architecture's."""
    from mmarch import api
    from mmarch.report import features as report

    found = api.show_release(name, arch=arch)
    rests = api.rests_on(name, arch=arch) if name in api.list_releases() else None
    if json:
        from mmarch.report.printed import FeaturesDocument

        answer(FeaturesDocument.of(found, rests).text(), output)
    elif rests:
        answer("\n".join(report.release(name, found, rests)), output)
    else:
        answer("\n".join(line for item in found for line in report.feature(item)), output)


@app.command()
def diff(
    older: Name, newer: Name, arch: o.Arch = "arm64", json: o.Json = False, output: o.Output = ""
) -> None:
    """Which features came and went between two releases."""
    from mmarch import api
    from mmarch.report import features as report

    came, went = api.diff_releases(older, newer, arch=arch)
    if json:
        from mmarch.report.printed import ReleaseDiffDocument

        answer(ReleaseDiffDocument(came=tuple(came), went=tuple(went)).text(), output)
    else:
        answer("\n".join(report.change(went, came)), output)


@app.command()
@configured("release")
def trend(
    workload: o.Workload = "",
    *,
    chosen: o.Chosen,
    engine: o.EngineOption = "auto",
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """A workload over all releases, each step explained by the features that made it."""
    from mmarch import api
    from mmarch.report.features import trend as render

    talk = Talk(quiet)
    source = talk.reading(workload, scenario, backing)
    with talk.progress("switching features") as progress:
        steps = api.trend(source, engine=engine, note=talk.note, progress=progress, **chosen)
    results = [steps[0].older, *(step.newer for step in steps)]
    if json:
        from mmarch.report.printed import TrendDocument

        answer(TrendDocument(steps=tuple(steps)).text(), output)
    else:
        answer("\n".join(render(results, steps, results[0].page_shift)), output)


@configured(*READING)
def config(
    *,
    chosen: o.Chosen,
    output: o.Output = "",
) -> None:
    """Write a configuration as a TOML file, for --config: every value, whether given or the default."""
    from mmarch import api

    answer(api.config(**chosen), output)
