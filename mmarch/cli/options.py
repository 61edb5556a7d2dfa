"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mmarch import table
from mmarch.cli import complete
from mmarch.writing import check

Engine = Literal["auto", "interpreted", "linked"]
By = Literal["op", "hook", "cause", "mapping", "task"]
Count = Literal["tlbi", "unfold", "fault"]


def writable(context: typer.Context, output: str) -> str:
    """As given; InputError at once, before the work, if nothing can be written there.

    What is written to a file is as wide as without a terminal.
    """
    if output not in ("", "-") and not context.resilient_parsing:
        check(output)
        context.with_resource(table.fixed_width())
    return output


Workload = Annotated[
    str,
    typer.Argument(
        metavar="WORKLOAD",
        help="A trace, a scenario file, - for stdin, or a bundled trace.",
        show_default="the bundled trace redis-bgsave",
        autocompletion=complete.workload,
    ),
]
Workloads = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="WORKLOAD…",
        help="Traces, scenario files or names of bundled traces; several are replayed on all cores.",
        show_default="the bundled trace redis-bgsave",
        autocompletion=complete.workload,
    ),
]
Arch = Annotated[
    str, typer.Option(help="Architecture; see 'mmarch arch list'.", autocompletion=complete.arch)
]
Release = Annotated[
    str,
    typer.Option(help="Linux release or patch series.", show_default="6.12", autocompletion=complete.release),
]


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """What the file says becomes the default of the command's options, so that options given beside it win."""
    if path is not None and not context.resilient_parsing:
        from mmarch.runs.config_file import read

        several = {item.name for item in context.command.params if getattr(item, "multiple", False)}
        values = read(path)
        listed = {
            name: [value] if name in several and isinstance(value, str) else value
            for name, value in values.items()
        }
        context.default_map = {**(context.default_map or {}), **listed}
    return path


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", is_eager=True, callback=_read_config,
        help="Take what is not given from a TOML file; see 'mmarch config'.",
    ),
]  # fmt: skip
Cpu = Annotated[
    str,
    typer.Option(
        metavar="MODEL[+[no]FEATURE]…",
        help="CPU, such as neoverse-n2+kpti+norepeat_tlbi; see 'mmarch cpu list'.",
        show_default="the architecture's",
        autocompletion=complete.cpu,
    ),
]
Granule = Annotated[
    str,
    typer.Option(
        help="Page size: 4k, 16k, 64k.",
        show_default="the recording's or architecture's",
        autocompletion=complete.granule,
    ),
]
FolioOrders = Annotated[
    str,
    typer.Option(help="Orders or sizes of anonymous folios (mTHP): 4 or 64K,2M; none.", show_default="64K"),
]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="NAME|FILE",
        help="Add a feature to the release, or a series: installed, or a file. Repeatable.",
        autocompletion=complete.feature,
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Do without a feature of the release, or a hook: the generic one runs instead. Repeatable.",
        autocompletion=complete.without,
    ),
]
EngineOption = Annotated[Engine, typer.Option(help="auto interprets small jobs and links large ones.")]
Costs = Annotated[
    str,
    typer.Option(
        metavar="PROFILE",
        help="Estimate times by a cost profile, a name or a TOML file.",
        autocompletion=complete.costs,
    ),
]
Memory = Annotated[str, typer.Option(help="Simulated memory.")]
Touch = Annotated[
    Literal["all", "first", "none"],
    typer.Option(help="What a mapping's user did, where a trace has no faults: touch its pages so."),
]
AccessAs = Annotated[
    Literal["write", "read", "by-protection"],
    typer.Option("--access", help="How it was accessed, where a trace does not tell reads from writes."),
]
Lenient = Annotated[
    bool, typer.Option("--lenient", help="Take a trace of which much is not understood; what is, is counted.")
]
Salvage = Annotated[
    bool, typer.Option("--salvage", help="Take of a damaged trace what stands before the damage.")
]
Faults = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="For a trace by strace: page faults of the same run, by perf script."),
]
Maps = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="What the first task of a trace had mapped before: its /proc/PID/maps or smaps."
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=(1 << 63) - 1, help="Seed of every random choice.")]
Scenario = Annotated[
    str,
    typer.Option(metavar="NAME", help="Which scenario of a scenario file.", autocompletion=complete.scenario),
]
Backing = Annotated[
    str, typer.Option(metavar="KIND", help="Which kind of memory, if a scenario has several.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A value for a parameter of the scenario, such as n=64. Repeatable.",
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORM",
        help="table, markdown, lkml (72 columns), fastpath (arm64 letters), csv, json, parquet; of run also "
        "folded (stacks for flame graphs), perfetto (tracks) and history (a file that map, --top and --steps read).",
        show_default="table",
        autocompletion=complete.form,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON with a versioned schema.")]
Output = Annotated[
    str,
    typer.Option("-o", "--output", metavar="FILE", help="Write to a file; - is stdout.", callback=writable),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Nothing on stderr but errors.")]
Chosen = dict[str, Any]  # a configuration as the API takes it; see mmarch/cli/configured.py
