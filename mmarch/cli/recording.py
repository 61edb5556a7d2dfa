"""`trace`: recordings looked at, and kept in mmarch's own format."""

from __future__ import annotations

import json as to_json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.configured import reading
from mmarch.cli.output import Talk, answer

if TYPE_CHECKING:
    from mmarch.workload import Workload

app = typer.Typer(no_args_is_help=True, help="Recordings: what is in one; mmarch's own format.")

Recording = Annotated[
    str,
    typer.Argument(
        metavar="TRACE", help="A trace, - for stdin, or a bundled one.", autocompletion=complete.workload
    ),
]


@app.command()
@reading
def convert(
    trace: Recording,
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The recording, in Parquet.", callback=o.writable
        ),
    ],
    *,
    how: None,
    quiet: o.Quiet = False,
) -> None:
    """Keep a trace in mmarch's own format, which loads at once and takes two bytes or so an event."""
    from mmarch import api
    from mmarch.table import counted

    talk = Talk(quiet)
    source = talk.reading(trace, "", "")
    size = api.convert_trace(source, output)
    recorded = api.show_trace(source)
    talk.note(f"{output}: {counted(len(recorded.ops), 'operation')}, {counted(size, 'byte')}")


@app.command()
@reading
def show(
    trace: Recording,
    *,
    how: None,
    json: o.Json = False,
    output: o.Output = "",
) -> None:
    """Tasks of a trace, what they map, operations by kind, what was left out and what it says of itself."""
    from mmarch import api

    source = Talk(json).reading(trace, "", "")
    workload = api.show_trace(source)
    answer(_document(workload) if json else "\n".join(_text(workload)), output)


def _document(workload: Workload) -> str:
    from mmarch.trace.summary import kinds_of, tasks_of

    return to_json.dumps(
        {
            "name": workload.name,
            "page_size": workload.page_size,
            "operations": kinds_of(workload),
            "tasks": [asdict(task) for task in tasks_of(workload)],
            "files": len(workload.files),
            "ignored": dict(workload.ignored),
            "facts": dict(workload.provenance),
        },
        indent=2,
    )


def _text(workload: Workload) -> list[str]:
    from mmarch.sizes import show_size
    from mmarch.table import counted, number, table, wrap
    from mmarch.trace.summary import kinds_of, tasks_of

    size = f"pages of {show_size(workload.page_size)}" if workload.page_size else "page size not recorded"
    counts = f"{counted(len(workload.ops), 'operation')}, {counted(len(workload.files), 'file')}, {size}"
    tasks = [
        [
            str(task.index),
            number(task.operations),
            show_size(task.mapped),
            number(task.faults),
            number(task.touched),
        ]
        for task in tasks_of(workload)
    ]
    left = [[name, number(count)] for name, count in workload.ignored.items()]
    return [
        *wrap(f"{workload.name}: {counts}"),
        *(line for key, value in workload.provenance.items() for line in wrap(f"{key}: {value}")),
        "",
        *table(["operation", "count"], [[name, number(count)] for name, count in kinds_of(workload).items()]),
        "",
        *table(["task", "operations", "mapped", "accesses", "pages"], tasks),
        *(["", *table(["left out", "count"], left)] if left else []),
    ]
