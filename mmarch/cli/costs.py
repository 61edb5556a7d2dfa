"""`costs list`, `costs show` and `costs fit`."""

from __future__ import annotations

from typing import Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import Talk, answer, chosen_format
from mmarch.cli.paper import FORMATS, Form, Series, shown

app = typer.Typer(no_args_is_help=True, help="Cost profiles: nanoseconds for events, with sources.")


@app.command("list")
def list_(arch: o.Arch = "arm64", json: o.Json = False, output: o.Output = "") -> None:
    """List the cost profiles that an architecture ships."""
    from mmarch import api
    from mmarch.table import wrap

    found = api.list_costs(arch)
    if json:
        from mmarch.report.printed import CostsListDocument

        answer(CostsListDocument(profiles=found).text(), output)
        return
    lines = [line for name, text in found.items() for line in wrap(f"{name}: {text}", "    ")]
    answer("\n".join(lines) or f"{arch} ships no cost profile", output)


@app.command()
def fit(
    times: Annotated[
        str,
        typer.Argument(metavar="TIMES", help="A table by name (m3, m3-mremap), or a TOML file."),
    ],
    with_: Series = None,
    profile: Annotated[
        str, typer.Option("--profile", metavar="FILE", help="Also write the prices as a cost profile.")
    ] = "",
    format_: Form = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Fit prices of events to measured times and the twin's counts; predict what is held out."""
    from mmarch import api
    from mmarch.report.paper_documents import FitDocument
    from mmarch.report.papers import fitted
    from mmarch.writing import writing

    talk, form = Talk(quiet), chosen_format(format_, json, output, FORMATS, "costs fit")
    with talk.progress(times) as progress:
        found = api.fit_costs(times, with_=with_ or (), note=talk.note, progress=progress)
    if profile:
        with writing(profile) as file:
            file.write(found.profile().encode())
    answer(shown(form, fitted(found), FitDocument.of(found)), output)


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="PROFILE", help="A name, or a TOML file.", autocompletion=complete.costs)
    ],
    arch: o.Arch = "arm64",
    json: o.Json = False,
    output: o.Output = "",
) -> None:
    """Show a profile: each figure with its source."""
    from mmarch import api
    from mmarch.table import wrap

    priced = api.show_costs(name, arch=arch)
    profile = priced.profile
    if json:
        from mmarch.report.printed import CostsDocument

        answer(CostsDocument(**profile.model_dump()).text(), output)
        return
    lines = wrap(f"{profile.name}: {profile.description}")
    figures = {**{f"any {group}": f for group, f in profile.groups.items()}, **profile.events}
    for event, figure in figures.items():
        lines += wrap(f"{event:<14}{figure.ns:>8g} ns  {figure.source}", " " * 27)
    answer("\n".join(lines), output)
