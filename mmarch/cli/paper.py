"""`mmarch paper`: published tables, and the twin's counts of the same work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import Talk, answer, chosen_format

if TYPE_CHECKING:
    from mmarch.report.document import Document
    from mmarch.report.printed import Printed

FORMATS = ("table", "markdown", "lkml", "json")
Form = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORM",
        help="table, markdown, lkml (72 columns), json.",
        show_default="table",
    ),
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
    format_: Form = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Reproduce a published table: times before and after, and the counts of the twin that explain them."""
    from mmarch import api
    from mmarch.report.paper_documents import PaperDocument, PapersDocument
    from mmarch.report.papers import document, listed

    talk, form = Talk(quiet), chosen_format(format_, json, output, FORMATS, "paper")
    if not name:
        letters = api.list_papers()
        answer(shown(form, listed(letters), PapersDocument.of(letters)), output)
        return
    with talk.progress(name) as progress:
        found = api.reproduce(name, with_=with_ or (), note=talk.note, progress=progress)
    answer(shown(form, document(found), PaperDocument.of(found)), output)


def shown(form: str, document: Document, printed: Printed) -> str:
    """In one of `FORMATS`."""
    from mmarch.report.forms import lkml, markdown, terminal

    draw = {"table": terminal, "markdown": markdown, "lkml": lkml}
    return printed.text() if form == "json" else draw[form](document)
