"""`arch list` and `arch show`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import answer

if TYPE_CHECKING:
    from mmarch.plugins import LoadedArch
    from mmarch.plugins.showing import Listed, Winner

app = typer.Typer(no_args_is_help=True, help="Architectures, and which hooks they implement.")
Name = Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete.arch)]


@app.command("list")
def list_(json: o.Json = False, output: o.Output = "") -> None:
    """List installed architectures, broken ones too."""
    from mmarch import api

    items = api.list_archs()
    if json:
        from mmarch.report.printed import ArchListDocument, ListedArch

        answer(ArchListDocument(archs=tuple(map(ListedArch.of, items))).text(), output)
    else:
        answer("\n".join(_listed_text(items)), output)


def _listed_text(items: list[Listed]) -> list[str]:
    from core_mm.hookspecs import HOOKS
    from mmarch.table import table, wrap

    rows = []
    for item in items:
        hooks = "-" if item.hooks is None else f"{item.hooks}/{len(HOOKS)}"
        origin = f"{item.found.distribution} ({item.found.entry.value})"
        rows.append([item.found.name, item.found.version, str(item.api or "?"), item.status, hooks, origin])
    lines = table(["NAME", "VERSION", "API", "STATUS", "HOOKS", "FROM"], rows, left=6)
    for item in items:
        if item.problem:
            lines += ["", *(line for part in item.problem.splitlines() for line in wrap(part, "    "))]
    return lines


@app.command()
def show(
    name: Name,
    hooks: Annotated[bool, typer.Option("--hooks", help="Also say whether each hook links.")] = False,
    json: o.Json = False,
    output: o.Output = "",
) -> None:
    """Describe an architecture, and say which implementation wins each hook, and where it is."""
    from mmarch import api

    arch, found = api.show_arch(name, hooks=hooks)
    if json:
        from mmarch.report.printed import ArchDocument

        answer(ArchDocument(arch=arch.descriptor, hooks=tuple(found)).text(), output)
    else:
        answer("\n".join([*_described(arch), "", *_winners(found, hooks)]), output)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the architecture, such as sparc64.")],
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="DIR", help="Folder to write.", show_default="mmarch-NAME"),
    ] = "",
) -> None:
    """Write the beginnings of a plugin: it installs, loads and has its tests."""
    from mmarch import api

    folder, files = api.new_arch(name, Path(output) if output else None)
    answer("\n".join(str(folder / path) for path in files))
    enter = f"cd {shlex.quote(str(folder))}"
    typer.echo(f"Next: {enter} && pip install -e '.[test]' && pytest && mmarch check {name}", err=True)


def _described(arch: LoadedArch) -> list[str]:
    from mmarch.table import wrap

    d = arch.descriptor
    granules = (f"{name} ({g.levels} levels, {g.cont_ptes} PTEs a block)" for name, g in d.granules.items())
    facts = {
        "from": arch.found.origin,
        "granules": ", ".join(granules),
        "cpus": f"{', '.join(d.cpus)}; see 'mmarch cpu list {d.name}'",
        "capabilities": ", ".join(sorted(d.capabilities)) or "none",
        "cost profiles": ", ".join(d.cost_profiles) or "none",
        "events": ", ".join(d.events) or "none",
    }
    lines = [*wrap(f"{d.name}: {d.description}")]
    lines += [line for key, value in facts.items() for line in wrap(f"{key}: {value}", "    ")]
    return lines


def _winners(found: list[Winner], linking: bool) -> list[str]:
    from mmarch.table import table

    rows = [
        [w.hook + "*" * w.required, w.plugin, *([w.linkable[:3].rstrip(":")] if linking else []), w.where]
        for w in found
    ]
    headings = ["HOOK", "WINNER", *(["LINKS"] if linking else []), "AT"]
    reasons = [(w.hook, w.linkable.removeprefix("no: ")) for w in found if w.linkable not in ("", "yes")]
    notes = (
        ["", "* required: the generic implementation would be wrong here"]
        if any(w.required for w in found)
        else []
    )
    return [
        *table(headings, rows, left=5), *notes, *(f"{hook} does not link: {why}" for hook, why in reasons),
    ]  # fmt: skip
