"""`series list | show | new | update`: patch series as plugins."""

from __future__ import annotations

from typing import Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import answer

app = typer.Typer(no_args_is_help=True, help="Patch series that no release has: what --with takes.")
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE", help="An installed series, or a file.", autocompletion=complete.series
    ),
]


@app.command("list")
def list_(json: o.Json = False, output: o.Output = "") -> None:
    """List installed series, broken ones too."""
    from mmarch import api
    from mmarch.report.series import ListedSeries, SeriesListDocument, listed

    items = api.list_series()
    document = SeriesListDocument(series=tuple(map(ListedSeries.of, items)))
    answer(document.text() if json else "\n".join(listed(items)), output)


@app.command()
def show(name: Name, json: o.Json = False, output: o.Output = "") -> None:
    """Describe a series: what it needs, what it changes, each replaced function as a diff."""
    from mmarch import api
    from mmarch.report.series import SeriesDocument, shown

    one = api.load_series(name)
    answer(SeriesDocument.of(one).text() if json else "\n".join(shown(one)), output)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the series, such as anon_unmap_batch.")],
    replace: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FUNCTION",
            help="A function of core-mm to copy: core_mm.MODULE.FUNCTION, or FUNCTION. Repeatable.",
            autocompletion=complete.function,
        ),
    ] = None,
    hook: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A new hook. Repeatable.")] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="File to write.", show_default="NAME.py")
    ] = "",
) -> None:
    """Write a file with a series that does as core-mm does, to be changed."""
    from mmarch import api

    path = api.new_series(name, replace=replace or (), hooks=hook or (), output=output)
    answer(str(path))
    shown = str(path) if "/" in str(path) else f"./{path}"
    follow = f"mmarch series show {shown}; mmarch run --release 7.3 --with {shown}"
    typer.echo(f"Next: change it; {follow}", err=True)


@app.command()
def update(name: Name) -> None:
    """Renew the digests of replaced functions in the files of a series, once what changed was brought over."""
    from mmarch import api

    found = api.update_series(name)
    lines = [f"{one.name}  {one.had or 'none'} -> {one.now}" for one in found]
    answer("\n".join(lines or ["every digest is of today's function"]))
