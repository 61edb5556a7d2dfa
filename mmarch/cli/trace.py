"""`record` and `validate`: real programs, real kernels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import Talk, answer
from mmarch.errors import EXIT_FINDINGS, InputError, Interrupted

if TYPE_CHECKING:
    from mmarch.runs.configure import Choices
    from mmarch.truth.on_kernel import Bench
    from mmarch.truth.validate import Report


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
        talk.problem("a buffer was full before, and the trace ends there; record with a larger one (--buffer)")
    if done.interrupted:
        raise Interrupted(f"interrupted: recording {command[0]}; {output} holds what it did until then")
    if done.exit_status:
        talk.note(f"the program ended with status {done.exit_status}")


def validate(
    names: Annotated[
        list[Path] | None, typer.Argument(metavar="SCENARIO…", help="With --kernel: what is measured now.")
    ] = None,
    kernel: Annotated[
        str,
        typer.Option(
            metavar="KERNEL", help="Measure this kernel now; see 'mmarch measure'.", autocompletion=complete.kernel
        ),
    ] = "",
    cpu: Annotated[
        str, typer.Option(help="With --kernel: a CPU that QEMU and the twin know.")
    ] = "neoverse-n1",
    random: Annotated[
        int, typer.Option(metavar="N", min=0, max=100_000, help="With --kernel: random programs.")
    ] = 0,
    seed: o.Seed = 0,
    budget: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="With --random: begin nothing after that.")
    ] = 600,
    measured: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Measurements. Repeatable.")
    ] = None,
    scenarios: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Scenario files they were made with. Repeatable."),
    ] = None,
    config: o.ConfigFile = None,
    arch: o.Arch = "arm64",
    with_: o.With = None,
    without: o.Without = None,
    engine: o.EngineOption = "linked",
    diff: Annotated[bool, typer.Option("--diff", help="Show every different step side by side.")] = False,
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Compare the twin with measurements of real kernels, step by step.

    Release, CPU and granule are those that were measured; of a configuration there are arch, with and without.
    """
    from mmarch.runs.configure import Choices

    choices = Choices(arch, with_=tuple(with_ or ()), without=tuple(without or ()))
    if kernel or names or random:
        _on_kernel(
            kernel,
            cpu,
            names or [],
            random,
            seed,
            budget,
            Telling(choices, engine, diff, json, output, quiet),
        )
        return
    from mmarch import api
    from mmarch.report.printed import ValidateDocument
    from mmarch.truth.validate import DIFFERENT

    talk = Talk(quiet)
    with talk.progress("validating") as progress:
        report = api.validate(
            measured or (), scenarios or (), arch=arch, with_=choices.with_, without=choices.without,
            engine=engine, note=talk.note, progress=progress,
        )  # fmt: skip
    answer(ValidateDocument.of(report).text() if json else _text(report, diff), output)
    if report.count(DIFFERENT):
        raise typer.Exit(EXIT_FINDINGS)


@dataclass(frozen=True)
class Telling:
    """How the twin runs and how what was found is told."""

    choices: Choices
    engine: str
    diff: bool
    json: bool
    output: str
    quiet: bool


def _on_kernel(
    kernel: str, cpu: str, names: list[Path], random: int, seed: int, budget: float, how: Telling
) -> None:
    from mmarch.kernel.boot import Machine
    from mmarch.kernel.source import open_kernel
    from mmarch.report.printed import ValidateDocument
    from mmarch.scenario import load
    from mmarch.truth.observe import Twin
    from mmarch.truth.on_kernel import Bench
    from mmarch.truth.validate import DIFFERENT

    if not kernel or bool(names) == bool(random):
        raise InputError(
            "say which kernel and what to run on it: --kernel KERNEL with SCENARIO… or with --random N"
        )
    twin = Twin(how.choices, how.engine)
    twin.check(())
    for remark in twin.chosen.remarks:
        Talk(how.quiet).note(remark)
    bench = Bench(open_kernel(kernel), Machine(cpu), twin)
    if random:
        _random(bench, random, seed, budget, how)
        return
    with Talk(how.quiet).progress("measuring") as progress:
        found, _ = bench.compare([load(name) for name in names], progress)
    report = twin.named(found)
    answer(ValidateDocument.of(report).text() if how.json else _text(report, how.diff), how.output)
    if report.count(DIFFERENT):
        raise typer.Exit(EXIT_FINDINGS)


def _random(bench: Bench, count: int, seed: int, budget: float, how: Telling) -> None:
    """What was found is told even after Ctrl-C; -o writes the smallest program that differs as a scenario."""
    import time

    from mmarch.scenario import parse
    from mmarch.truth.on_kernel import Found as Programs
    from mmarch.truth.on_kernel import search

    talk, found = Talk(how.quiet), Programs()
    try:
        with talk.progress("random programs") as progress:
            search(bench, count, seed, time.monotonic() + budget, found, progress)
    except KeyboardInterrupt:
        talk.problem("interrupted; what was found until then:")
    lines = [f"{found.programs} random programs, {len(found.different)} differ"]
    if found.smallest:
        report, measured = bench.compare([parse(found.smallest)])
        lines += ["", found.smallest, _text(report, True)]
        if how.output:
            from mmarch.cli.kernel import write

            answer(found.smallest, how.output)
            write(measured, f"{how.output}.json.gz")
    answer("\n".join(lines))
    if found.different:
        raise typer.Exit(EXIT_FINDINGS)


def _text(report: Report, diff: bool) -> str:
    """The tables without colour or cropping, as they go into a file or a pipe."""
    from io import StringIO

    from rich.console import Console

    from mmarch.table import width
    from mmarch.truth.validate_table import show

    text = StringIO()
    show(report, Console(file=text, width=width(), color_system=None), diff)
    return text.getvalue()
