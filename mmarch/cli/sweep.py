"""`mmarch sweep SPEC.toml -o STORE` and `mmarch sweep show STORE`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mmarch.cli import options as o
from mmarch.cli.output import Talk, answer, chosen_format
from mmarch.errors import EXIT_FINDINGS, InputError

if TYPE_CHECKING:
    from mmarch.grid.plan import Plan

NAMED = "run"
SPOKEN = 30.0  # seconds between two lines of progress where there is no bar


class Sweeps(TyperGroup):
    """`sweep SPEC.toml` is `sweep run SPEC.toml`."""

    def parse_args(self, context: Any, arguments: list[str]) -> list[str]:
        """With the command put in, unless there is one."""
        first = next((word for word in arguments if not word.startswith("-")), "")
        if arguments and first not in self.commands and not {"-h", "--help"} >= {*arguments}:
            arguments = [NAMED, *arguments]
        return super().parse_args(context, arguments)


app = typer.Typer(
    cls=Sweeps, no_args_is_help=True, help="Sweeps: every point of a grid counted, into a store that lasts."
)


@app.command(NAMED, short_help="Count the points of a SPEC.toml; 'run' may be left out.")
def run(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.toml", help="Axes and filters.")],
    store: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="STORE", help="The folder of results; one that is there goes on."
        ),
    ] = "",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Count points and estimate the time, and run none into the store."),
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Count points that failed again.")] = False,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild", help="Make a damaged manifest anew, and count what is in damaged segments again."
        ),
    ] = False,
    scheduler: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask scheduler, whose workers count; they see STORE. Needs mmarch[dask].",
        ),
    ] = "",
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Count every point of a grid once, on all cores; killed or stopped, the same command goes on where it was."""
    from mmarch import api
    from mmarch.report import sweep as report

    talk = Talk(quiet)
    with talk.progress(f"reading {spec}"):
        plan = api.plan_sweep(spec)
    if dry_run:
        with talk.progress("timing a few points"):
            guess = api.estimate_sweep(plan)
        before = _before(store, plan)
        runs = len(plan.digests) - before
        answer(
            report.SweepDocument(
                store=store, points=plan.points, distinct=len(plan.digests), left_out=plan.left_out, before=before,
                ran=0, seconds=guess.total(runs),
            ).text() if json else report.planned(plan, guess, before)
        )  # fmt: skip
        return
    if not store:
        raise InputError("where do the results go? add -o STORE, a folder; --dry-run needs none")
    with talk.progress(f"sweep {spec}") as progress:
        found = api.sweep(
            plan, store, scheduler=scheduler, retry=retry, rebuild=rebuild, note=talk.note,
            progress=_spoken(talk, progress),
        )  # fmt: skip
    said = report.SweepDocument(**vars(found), left_out=plan.left_out).text() if json else report.swept(found)
    answer(said)
    for line in report.failures(found):
        talk.problem(line)
    if found.failures:
        raise typer.Exit(EXIT_FINDINGS)


def _before(store: str, plan: Plan) -> int:
    """Points that a store has; InputError if it is another sweep's."""
    from mmarch import api
    from mmarch.grid.manifest import refuse_other

    if not store or not (Path(store) / "manifest.json").exists():
        return 0
    grid = api.read_sweep(store)
    refuse_other(Path(store), grid.manifest, plan)
    return grid.manifest.distinct - grid.uncounted["digest"].n_unique()


def _spoken(talk: Talk, progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """The bar, and without a terminal a line now and then."""
    from mmarch.cli.bars import terminal
    from mmarch.grid.estimate import duration

    start = last = time.monotonic()
    before = first = -1

    def told(done: int, total: int) -> None:
        nonlocal start, last, before, first
        progress(done, total)
        before = done if before < 0 else before
        now = time.monotonic()
        if first < 0 and done > before:  # what came first waited for an image to be linked
            first, start, last = done, now, now
        if not terminal() and now - last >= SPOKEN and 0 <= first < done:
            last = now
            left = (total - done) * (now - start) / (done - first)
            talk.note(f"{done:,} of {total:,} points, about {duration(left)} left")

    return told


@app.command(short_help="A store's counts by any of its axes.")
def show(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="What mmarch sweep wrote.")],
    rows: Annotated[str, typer.Option(metavar="AXIS,…", help="Axes whose values name the rows.")] = "",
    columns: Annotated[str, typer.Option(metavar="AXIS,…", help="Axes whose values name the columns.")] = "",
    count: Annotated[
        str,
        typer.Option(
            metavar="EVENT,…", help="What is counted: events, or tlbi and barrier for all of a kind."
        ),
    ] = "",
    call: Annotated[
        str, typer.Option(metavar="CALL", help="Only what this system call did, such as munmap.")
    ] = "",
    aggregate: Annotated[
        str,
        typer.Option(
            metavar="min|max|mean|sum",
            help="What stands for points of a cell that differ.",
            show_default="their range",
        ),
    ] = "",
    failed: Annotated[
        bool, typer.Option("--failed", help="The points that failed, with their messages.")
    ] = False,
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORM", help="table, markdown, csv, json, parquet.", show_default="table"
        ),
    ] = "",
    json: o.Json = False,
    output: o.Output = "",
) -> None:
    """Pivot a store by any axes; csv, json and parquet have every point unless axes are named."""
    from mmarch import api
    from mmarch.report.sweep import FORMATS

    form: Any = chosen_format(format_, json, output, FORMATS, "sweep show")
    wanted: Any = aggregate
    answer(
        api.show_sweep(
            store, form, rows=_names(rows), columns=_names(columns), counts=_names(count), call=call,
            aggregate=wanted, failed=failed,
        ),
        output,
    )  # fmt: skip


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
