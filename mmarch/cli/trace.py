"""`record`: what a real program does to its memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import Talk
from mmarch.errors import InputError, Interrupted

if TYPE_CHECKING:
    from mmarch.trace.recording import Recording


def _needed(given: object, how: str) -> None:
    if not given:
        raise InputError(f"record: nothing to record; {how}")


def record(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND…", help="The program and its arguments.")
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The trace; gzip if it ends in .gz.", callback=o.writable
        ),
    ] = "",
    pid: Annotated[
        int | None, typer.Option("-p", "--pid", min=1, metavar="PID", help="A process that runs already.")
    ] = None,
    duration: Annotated[
        float,
        typer.Option("-d", "--duration", min=0, metavar="SECONDS", help="At most so long; 0: to its end."),
    ] = 0,
    by: Annotated[
        str,
        typer.Option(
            metavar="MEANS",
            help="tracepoints, kprobe, perf or strace.",
            show_default="the best that the machine permits",
            autocompletion=complete.means,
        ),
    ] = "",
    kernel: Annotated[
        str,
        typer.Option(
            metavar="KERNEL",
            help="Run COMMAND, a static arm64 program, on this kernel under QEMU: an Image or debian:VERSION.",
            autocompletion=complete.kernel,
        ),
    ] = "",
    buffer: Annotated[int, typer.Option(min=0, metavar="KIB", help="Trace buffer a CPU; 0 chooses.")] = 0,
    huge_pages: Annotated[
        bool, typer.Option("--huge-pages", help="Let the program have huge pages.")
    ] = False,
    no_arguments: Annotated[
        bool, typer.Option("--no-arguments", help="Do not tell the program's arguments in the trace.")
    ] = False,
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Remove from tracefs what a recorder that was killed left; no more."),
    ] = False,
    quiet: o.Quiet = False,
) -> None:
    """Record what a program does to its memory, by the best means that the machine permits."""
    from mmarch import api

    talk = Talk(quiet)
    if clean:
        if command or output or pid:
            raise InputError("record --clean takes neither COMMAND nor -o nor -p; run it alone")
        _clean(talk)
        return
    _needed(command or pid, "name a COMMAND, or -p PID")
    _needed(output, "say where: -o FILE")
    if command and pid:
        raise InputError("record: COMMAND and -p exclude each other; drop one")
    done = api.record(
        Path(output), command or (), pid=pid or 0, seconds=duration, by=by, buffer_kib=buffer or None,
        kernel=kernel, huge_pages=huge_pages, arguments=not no_arguments, note=talk.note,
        saving=lambda: talk.progress(f"saving {output}"),
    )  # fmt: skip
    _tell(done, talk)
    if done.interrupted:
        what = command[0] if command else f"process {pid}"
        raise Interrupted(f"interrupted: recording {what}; {output} holds what it did until then")
    if done.exit_status:
        talk.note(f"the program ended with status {done.exit_status}")


def _clean(talk: Talk) -> None:
    from mmarch import api
    from mmarch.table import counted

    removed = api.clean_recordings()
    for name in removed:
        talk.note(f"removed {name}")
    talk.note(f"{counted(len(removed), 'thing')} left by recorders that were killed")


def _tell(done: Recording, talk: Talk) -> None:
    from mmarch.table import counted

    talk.note(
        f"{done.path}: {counted(done.lines, 'line')}, {counted(done.faults, 'fault')}, "
        f"{counted(done.tasks, 'task')}"
    )
    if done.cut:
        talk.problem(
            "a buffer was full before, and the trace ends there; "
            f"record with a larger one: --buffer {done.buffer_kib} would have done"
        )
