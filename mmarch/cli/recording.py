"""`trace`: recordings looked at, and kept in mmarch's own format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.configured import reading
from mmarch.cli.output import Talk, answer

if TYPE_CHECKING:
    from mmarch.trace.summary import Task
    from mmarch.workload import Workload

app = typer.Typer(no_args_is_help=True, help="Recordings: what is in one; mmarch's own format.")

Recording = Annotated[
    str,
    typer.Argument(
        metavar="TRACE", help="A trace, - for stdin, or a bundled one.", autocompletion=complete.workload
    ),
]
From = Annotated[
    str,
    typer.Option(
        "--from", metavar="TIME", help="Begin there: seconds of its clock, or +SECONDS from its start."
    ),
]
To = Annotated[str, typer.Option("--to", metavar="TIME", help="End there.")]
Tasks = Annotated[
    list[int] | None,
    typer.Option(
        "--task", metavar="NUMBER", help="Only this task and its threads, as show numbers them. Repeatable."
    ),
]


@app.command()
@reading
def convert(
    trace: Recording,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The recording, in mmarch's own format.",
            callback=o.writable,
        ),
    ],
    begin: From = "",
    end: To = "",
    task: Tasks = None,
    *,
    how: None,
    quiet: o.Quiet = False,
) -> None:
    """Keep a trace in mmarch's own format, which loads at once and takes two to four bytes an event."""
    from mmarch import api
    from mmarch.runs.workloads import Trace
    from mmarch.table import counted

    talk = Talk(quiet)
    source = talk.reading(trace, "", "")
    recorded = api.show_trace(source, begin=begin, end=end, tasks=task or ())
    size = api.convert_trace(Trace(recorded), output)
    talk.note(f"{output}: {counted(len(recorded.ops), 'operation')}, {counted(size, 'byte')}")


@app.command()
@reading
def show(
    trace: Recording,
    begin: From = "",
    end: To = "",
    task: Tasks = None,
    *,
    how: None,
    json: o.Json = False,
    output: o.Output = "",
) -> None:
    """Tasks of a trace, what they map, operations by kind, what was left out and what it says of itself."""
    from mmarch import api

    source = Talk(json).reading(trace, "", "")
    workload = api.show_trace(source, begin=begin, end=end, tasks=task or ())
    if json:
        from mmarch.report.recorded import TraceDocument

        answer(TraceDocument.of(workload).text(), output)
        return
    answer("\n".join(_text(workload)), output)


def _text(workload: Workload) -> list[str]:
    from mmarch.table import number, table, wrap
    from mmarch.trace.summary import kinds_of, tasks_of

    left = [[name, number(count)] for name, count in workload.ignored.items()]
    return [
        *wrap(_first(workload)),
        *(line for key, value in workload.provenance.items() for line in wrap(f"{key}: {value}")),
        "",
        *table(["operation", "count"], [[name, number(count)] for name, count in kinds_of(workload).items()]),
        "",
        *table(
            ["task", "pid", "operations", "mappings", "mapped", "accesses", "pages"],
            [_row(task) for task in tasks_of(workload)],
        ),
        *(["", *table(["left out", "count"], left)] if left else []),
    ]


def _first(workload: Workload) -> str:
    from mmarch.sizes import show_size
    from mmarch.table import counted
    from mmarch.trace.summary import span_of

    size = f"pages of {show_size(workload.page_size)}" if workload.page_size else "page size not recorded"
    begin, end = span_of(workload)
    span = f"{end - begin:.6f} s, from {begin:.6f} to {end:.6f}" if end else "no times"
    counts = f"{counted(len(workload.ops), 'operation')}, {counted(len(workload.files), 'file')}"
    return f"{workload.name}: {counts}, {size}, {span}"


def _row(task: Task) -> list[str]:
    from mmarch.sizes import show_size
    from mmarch.table import number

    pid, counts = str(task.pid) if task.pid else "", (task.faults, task.touched)
    mapped = [number(task.operations), number(task.mappings), show_size(task.mapped)]
    return [str(task.index), pid, *mapped, *map(number, counts)]
