"""`mmarch report`: one page of HTML."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.configured import configured
from mmarch.cli.output import Talk, answer, parameters
from mmarch.errors import InputError


@configured()
def report(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORKLOAD|RESULT…|STORE",
            help="Workloads to run, and JSON that run, compare or ablate wrote, up to 4 runs side by side; or a sweep.",
            show_default="the bundled trace redis-bgsave",
            autocompletion=complete.workload,
        ),
    ] = None,
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            "-c",
            "--configuration",
            metavar="KEY=VALUE,…",
            help="One of two to four configurations side by side, as of compare.",
            autocompletion=complete.configuration,
        ),
    ] = None,
    hooks: Annotated[bool, typer.Option("--hooks", help="Also what each hook buys, as ablate.")] = False,
    older: Annotated[
        str, typer.Option("--from", metavar="RELEASE", help="With --to: also what each feature buys.")
    ] = "",
    newer: Annotated[
        str, typer.Option("--to", metavar="RELEASE", help="The newer of the two releases.")
    ] = "",
    *,
    chosen: o.Chosen,
    costs: o.Costs = "",
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    output: o.Output = "",
    quiet: o.Quiet = False,
) -> None:
    """Draw runs as one page of HTML, which needs no network: counts, causes, and page tables step by step."""
    from mmarch import api
    from mmarch.cli.configurations import parse_all

    talk = Talk(quiet)
    if bool(older) != bool(newer):
        raise InputError("--from and --to go together: report --from 6.12 --to 7.3")
    if output in ("", "-") and sys.stdout.isatty():
        raise InputError("a page is for a browser, and stdout is a terminal; add -o report.html")
    if configuration and len(configuration) == 1:
        raise InputError(
            "report puts 2 to 4 configurations side by side; one is given by options, without -c"
        )
    named = parse_all(configuration) if configuration else None
    with talk.progress(f"report of {', '.join(inputs or ['redis-bgsave'])}") as progress:
        page = api.make_page(
            inputs or [""], named, hooks=hooks, older=older, newer=newer, costs=costs, scenario=scenario,
            backing=backing, parameters=parameters(), note=talk.note, progress=progress, **chosen,
        )  # fmt: skip
    answer(page, output)
