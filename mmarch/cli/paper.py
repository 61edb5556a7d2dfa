"""`mmarch paper`: published tables, and the twin's counts of the same work."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import Talk, answer

Form = Annotated[
    Literal["table", "markdown", "lkml"], typer.Option("--format", help="For a terminal, a page or a letter.")
]
Series = Annotated[
    list[str] | None,
    typer.Option(
        "--with", metavar="SERIES", help="A series by name or file, for rows that need one; repeatable."
    ),
]


def paper(
    name: Annotated[
        str,
        typer.Argument(metavar="ID|FILE", help="Which one; none: list them.", autocompletion=complete.papers),
    ] = "",
    with_: Series = None,
    format_: Form = "table",
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Reproduce a published table: times before and after, and the counts of the twin that explain them."""
    from mmarch import api
    from mmarch.report import papers
    from mmarch.report.forms import lkml, markdown, terminal

    talk = Talk(quiet)
    draw = {"table": terminal, "markdown": markdown, "lkml": lkml}[format_]
    if not name:
        answer(draw(papers.listed(api.list_papers())), output)
        return
    with talk.progress(name) as progress:
        found = api.reproduce(name, with_=with_ or (), note=talk.note, progress=progress)
    answer(draw(papers.document(found)), output)
