"""`validate`: the twin beside real kernels, measured before or now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import Talk, answer
from mmarch.errors import EXIT_FINDINGS, InputError, Interrupted

if TYPE_CHECKING:
    from mmarch.runs.configure import Choices
    from mmarch.truth.on_kernel import Bench, Different, Found
    from mmarch.truth.validate import Report

_EMULATED = "neoverse-n1"  # unless another CPU is asked for


def validate(
    names: Annotated[
        list[Path] | None, typer.Argument(metavar="SCENARIO…", help="With --kernel: what is measured now.")
    ] = None,
    kernel: Annotated[
        str,
        typer.Option(
            metavar="KERNEL",
            help="Measure this kernel now; see 'mmarch measure'.",
            autocompletion=complete.kernel,
        ),
    ] = "",
    cpu: Annotated[
        str,
        typer.Option(
            help="Measurements of this CPU alone; with --kernel the CPU, of those that QEMU and the twin know.",
            show_default="all; with --kernel neoverse-n1",
        ),
    ] = "",
    release: Annotated[
        str,
        typer.Option(
            help="Measurements of this release alone; with --kernel what the twin runs.",
            show_default="all; with --kernel by its version",
        ),
    ] = "",
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
    set_: o.Set = None,
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
    from mmarch.scenario import parse_settings

    choices = Choices(arch, with_=tuple(with_ or ()), without=tuple(without or ()))
    parameters = parse_settings(set_ or ())
    if kernel or names or random:
        wanted = OnKernel(kernel, cpu or _EMULATED, release, names or [], parameters, random, seed, budget)
        _on_kernel(wanted, Telling(choices, engine, diff, json, output, quiet))
        return
    from mmarch import api
    from mmarch.report.printed import ValidateDocument
    from mmarch.truth.validate import DIFFERENT

    talk = Talk(quiet)
    with talk.progress("validating") as progress:
        report = api.validate(
            measured or (), scenarios or (), cpu=cpu, release=release, arch=arch, with_=choices.with_,
            without=choices.without, engine=engine, parameters=parameters, note=talk.note, progress=progress,
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


@dataclass(frozen=True)
class OnKernel:
    """What is measured now."""

    kernel: str
    cpu: str
    release: str
    names: list[Path]
    parameters: dict[str, str]
    random: int
    seed: int
    budget: float


def _on_kernel(wanted: OnKernel, how: Telling) -> None:
    from mmarch.kernel.boot import Machine
    from mmarch.kernel.source import open_kernel
    from mmarch.report.printed import ValidateDocument
    from mmarch.runs.configure import configure
    from mmarch.scenario import load, setting_all
    from mmarch.truth.observe import Twin
    from mmarch.truth.on_kernel import Bench, twin_release
    from mmarch.truth.validate import DIFFERENT

    if not wanted.kernel or bool(wanted.names) == bool(wanted.random):
        raise InputError(
            "say which kernel and what to run on it: --kernel KERNEL with SCENARIO… or with --random N"
        )
    twin = Twin(how.choices, how.engine)
    twin.check(())
    for remark in twin.chosen.remarks:
        Talk(how.quiet).note(remark)
    documents = setting_all([load(name) for name in wanted.names], wanted.parameters)
    bench = Bench(open_kernel(wanted.kernel), Machine(wanted.cpu), twin, wanted.release)
    release = twin_release(bench.kernel, wanted.release)
    configure(
        replace(how.choices, release=release, cpu=wanted.cpu)
    )  # what is wrong is told before a kernel boots
    if not bench.kernel.image.version.startswith(f"{release}."):
        Talk(how.quiet).note(
            f"{bench.kernel.image.version}: the twin runs {release} (--release names another)"
        )
    if wanted.random:
        _random(bench, wanted, how)
        return
    with Talk(how.quiet).progress("measuring") as progress:
        found, _ = bench.compare(documents, progress)
    report = twin.named(found)
    answer(ValidateDocument.of(report).text() if how.json else _text(report, how.diff), how.output)
    if report.count(DIFFERENT):
        raise typer.Exit(EXIT_FINDINGS)


def _random(bench: Bench, wanted: OnKernel, how: Telling) -> None:
    """What was found is told even after Ctrl-C; -o writes the smallest program that differs as a scenario."""
    import time

    from mmarch.report.printed import RandomDocument
    from mmarch.truth.on_kernel import Found, search

    talk, found, interrupted = Talk(how.quiet), Found(), None
    try:
        with talk.progress("random programs") as progress:
            search(bench, wanted.random, wanted.seed, time.monotonic() + wanted.budget, found, progress)
    except Interrupted as stop:
        interrupted = stop
    if how.output and found.smallest:
        from mmarch.cli.kernel import write

        answer(_scenario(found.smallest, wanted), how.output)
        write(found.smallest.measured, f"{how.output}.json.gz")
    answer(RandomDocument.of(found, wanted.kernel, wanted.seed).text() if how.json else _random_text(found))
    if interrupted:
        raise interrupted
    if found.different:
        raise typer.Exit(EXIT_FINDINGS)


def _scenario(found: Different, wanted: OnKernel) -> str:
    """Ready to be a test, with where it comes from."""
    meta = found.measured.meta
    return (
        f"# the twin differs from {meta.kernel} on {meta.cpu}; found by: mmarch validate --kernel {wanted.kernel} "
        f"--cpu {wanted.cpu} --random {wanted.random} --seed {wanted.seed}\n{found.text}"
    )


def _random_text(found: Found) -> str:
    from mmarch.table import counted, wrap

    once = f"; {found.once} more in one boot of two, so by chance" if found.once else ""
    lines = [f"{counted(found.programs, 'random program')}, {len(found.different)} differ{once}"]
    for what, number in found.lacking.most_common():
        lines += wrap(f"{number:,} more left out: the kernel lacks {what}", "  ")
    if found.smallest:
        lines += ["", found.smallest.text, _text(found.smallest.report, True)]
    return "\n".join(lines)


def _text(report: Report, diff: bool) -> str:
    """The tables without colour or cropping, as they go into a file or a pipe."""
    from io import StringIO

    from rich.console import Console

    from mmarch.table import width
    from mmarch.truth.validate_table import show

    text = StringIO()
    show(report, Console(file=text, width=width(), color_system=None), diff)
    return text.getvalue()
