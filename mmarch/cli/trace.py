"""`record`: what a real program does to its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmarch.cli import options as o
from mmarch.cli.output import Talk
from mmarch.errors import Interrupted


def record(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="The program and its arguments.")],
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The trace; gzip if it ends in .gz.", callback=o.writable
        ),
    ],
    buffer: Annotated[int, typer.Option(min=0, metavar="KIB", help="Trace buffer a CPU; 0 chooses.")] = 0,
    huge_pages: Annotated[
        bool, typer.Option("--huge-pages", help="Let the program have huge pages.")
    ] = False,
    quiet: o.Quiet = False,
) -> None:
    """Run a program and record what it does to its memory, with ftrace (root)."""
    from mmarch import api
    from mmarch.table import counted

    talk = Talk(quiet)
    done = api.record(
        Path(output), command, buffer_kib=buffer or None, huge_pages=huge_pages,
        saving=lambda: talk.progress(f"saving {output}"),
    )  # fmt: skip
    talk.note(
        f"{done.path}: {counted(done.lines, 'line')}, {counted(done.faults, 'fault')}, "
        f"{counted(done.tasks, 'task')}"
    )
    if done.cut:
        talk.problem(
            "a buffer was full before, and the trace ends there; record with a larger one (--buffer)"
        )
    if done.interrupted:
        raise Interrupted(f"interrupted: recording {command[0]}; {output} holds what it did until then")
    if done.exit_status:
        talk.note(f"the program ended with status {done.exit_status}")
