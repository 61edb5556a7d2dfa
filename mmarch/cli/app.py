"""The commands; each module here imports its work only when its command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from mmarch import __version__
from mmarch.cli import (
    arch,
    check,
    complete,
    costs,
    cpu,
    kernel,
    measure,
    paper,
    recording,
    release,
    report,
    see,
    series,
    sweep,
    trace,
    validate,
)
from mmarch.cli.blame import blamed

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    help="A twin of Linux where core-mm meets an architecture: counts what page-table code does.",
    epilog="Example: mmarch run --arch arm64    Exit codes: 0 ok, 1 findings, 2 bad input, 3 plugin, 4 internal.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mmarch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", "-V", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show tracebacks of errors; also MMARCH_TRACEBACK=1.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Say what is read, cached and linked; also MMARCH_VERBOSE=1."),
    ] = False,
) -> None:
    """Options before the command; main() handles them."""


@app.command("help", short_help="Help for a command, as its --help.")
def help_(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND…", show_default=False, autocompletion=complete.command),
    ] = None,
) -> None:
    """Print the help of a command: `mmarch help run`, `mmarch help arch show`."""
    from mmarch.suggest import unknown

    parent = context.parent or context
    shown, command = parent, parent.command
    for word in words or ():
        known = getattr(command, "commands", {})
        if word not in known:
            raise unknown("command", word, known)
        command = known[word]
        shown = type(parent)(command, info_name=word, parent=shown)
    typer.echo(command.get_help(shown))


app.command("run", short_help="Replay a workload and count.")(measure.run)
app.command("compare", short_help="Configurations side by side.")(measure.compare)
app.command("ablate", short_help="What each hook of an architecture buys.")(measure.ablate)
app.command("report", short_help="One page of HTML.")(report.report)
app.command("map", short_help="Page tables at any moment of a run.")(see.map_)
app.command("explain", short_help="The story of one operation.")(see.explain)
app.command(
    "record",
    short_help="Record what a program does to its memory.",
    context_settings={"allow_interspersed_args": False},
)(trace.record)
app.command("check", short_help="Is an architecture right?")(check.check)
app.command("paper", short_help="Published tables, reproduced.")(paper.paper)
app.command("validate", short_help="The twin against measured kernels.")(validate.validate)
app.command("config", short_help="A configuration as a TOML file.")(release.config)
app.command("measure", short_help="Scenarios on a real kernel under QEMU.")(kernel.measure)
app.command("doctor", short_help="What measuring a kernel needs.")(kernel.doctor)
blamed(app)
for name, group in {
    "sweep": sweep, "kernel": kernel, "arch": arch, "cpu": cpu, "costs": costs, "release": release,
    "trace": recording, "series": series,
}.items():  # fmt: skip
    app.add_typer(blamed(group.app), name=name)
