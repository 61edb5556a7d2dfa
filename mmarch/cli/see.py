"""`mmarch map` and `mmarch explain`: page tables at any moment of a run, and the story of one operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.configured import configured
from mmarch.cli.inside import saved
from mmarch.cli.output import Talk, answer
from mmarch.errors import InputError, concerning

if TYPE_CHECKING:
    from mmarch.history import History, Tables

EVERYWHERE = (0, 1 << 62)


@configured()
def map_(
    workload: o.Workload = "",
    at: Annotated[
        str,
        typer.Option(
            metavar="N|end",
            help="After which operation; a step of a scenario by name.",
            show_default="the last one after which the task has something mapped",
        ),
    ] = "",
    task: Annotated[int, typer.Option(min=0, help="Whose tables.")] = 0,
    range_: Annotated[
        str, typer.Option("--range", metavar="ADDR-END", help="Only these addresses.", show_default="all")
    ] = "",
    coverage: Annotated[
        bool, typer.Option("--coverage", help="How much large folios cover, by the keys of thpmaps, instead.")
    ] = False,
    *,
    chosen: o.Chosen,
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Print the page tables of a task at a moment of a run, as the kernel's ptdump does."""
    from mmarch import api
    from mmarch.history.top import operation
    from mmarch.report.map import covered, render

    talk = Talk(quiet)
    first, last = parse_range(range_)
    history = saved(workload, chosen, scenario, backing)
    if history is None:
        source = talk.reading(workload, scenario, backing)
        with talk.progress(source.name) as progress:
            history = api.record_history(source, note=talk.note, progress=progress, **chosen)
    work = history.workload
    with concerning("at"):
        row = history.find(at) if at else history.last_mapped(task)
    if not at and row < history.operations - 1:
        talk.note(
            f"at the end task {task} has nothing mapped; this is the last moment when it had, --at {row}"
        )
    tables = history.tables(row, task)
    shown = covered(tables, first, last) if coverage else render(tables, first, last)
    if not shown:
        raise InputError(nothing(history, tables, range_))
    if json:
        from mmarch.report.seen import page_tables

        answer(page_tables(history, tables, first, last).model_dump_json(indent=2), output)
        return
    answer(
        "\n".join([f"{work.name}, after operation {operation(history, row)}: task {task}", "", *shown]),
        output,
    )


@configured()
def explain(
    workload: o.Workload = "",
    op: Annotated[
        str,
        typer.Option(
            "--op", metavar="N|LINE:N|STEP", help="Which operation: its row, line:N of the file, a step."
        ),
    ] = "",
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            "-c",
            metavar="KEY=VALUE,…",
            help="With --diff: the two configurations.",
            autocompletion=complete.configuration,
        ),
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Two stories side by side.")] = False,
    *,
    chosen: o.Chosen,
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    json: o.Json = False,
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Tell what one operation did: functions, hooks, entries before and after, conversions, TLBIs and why."""
    from mmarch import api
    from mmarch.cli.configurations import parse_all
    from mmarch.report.story import render, side_by_side

    talk = Talk(quiet)
    if not op:
        raise InputError(
            "--op is missing: a row, line:N of the file, or a step; run --top 10 lists the hottest ones"
        )
    given = configuration or []
    if len(given) != (2 if diff else 0):
        raise InputError("--diff needs two configurations: --diff -c KEY=VALUE -c KEY=VALUE; -c needs --diff")
    changes = parse_all(given) if diff else {"": {}}
    if any("kernel" in one for one in changes.values()):
        raise InputError(
            "-c: explain interprets configurations of the twin; a kernel's recording has no story"
        )
    source = talk.reading(workload, scenario, backing)
    with talk.progress(f"{source.name}, operation {op}"):
        stories = []
        for name, one in changes.items():
            with concerning(configuration=name):
                stories.append(api.explain(source, op, note=talk.note, **{**chosen, **one}))
    if json:
        from mmarch.report.seen import explained

        texts = [explained(story).model_dump_json(indent=2, exclude_none=True) for story in stories]
        answer(f"[{','.join(texts)}]" if diff else texts[0], output)
        return
    answer("\n".join(side_by_side(*stories) if diff else render(*stories)), output)


def nothing(history: History, tables: Tables, range_: str) -> str:
    """Why there is nothing to print."""
    if tables.mappings:
        ends = f"{tables.mappings[0].start:#x}-{tables.mappings[-1].end:#x}"
        return f"--range {range_}: nothing is mapped there; task {tables.task} has mappings in {ends}"
    born = sorted(tables.replay.all_tasks - {tables.task})
    others = f"; other tasks: --task {', '.join(map(str, born))}" if born else ""
    return f"task {tables.task} has no mapping after operation {tables.operation}{others}"


def parse_range(text: str) -> tuple[int, int]:
    """``0x1000-0x2000`` as two addresses; everything if empty."""
    if not text:
        return EVERYWHERE
    first, dash, last = text.partition("-")
    try:
        start, end = int(first, 0), int(last, 0)
    except ValueError:
        start = end = -1
    if not dash or not 0 <= start < end:
        raise InputError(
            f"--range {text!r}: write two addresses, the second one higher: 0x7f0000000000-0x7f0000200000"
        )
    return start, end
