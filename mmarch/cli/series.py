"""`series list | show | new | update`: patch series as plugins."""

from __future__ import annotations

import dataclasses
import json as to_json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import answer

if TYPE_CHECKING:
    from mmarch.plugins.series import LoadedSeries
    from mmarch.plugins.series.showing import Listed

app = typer.Typer(no_args_is_help=True, help="Patch series that no release has: what --with takes.")
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE", help="An installed series, or a file.", autocompletion=complete.series
    ),
]


@app.command("list")
def list_(json: o.Json = False, output: o.Output = "") -> None:
    """List installed series, broken ones too."""
    from mmarch import api

    items = api.list_series()
    if json:
        document = {"schema": "mmarch.series-list/1", "series": [_listed_json(item) for item in items]}
        answer(to_json.dumps(document, indent=2), output)
    else:
        answer("\n".join(_listed_text(items)), output)


@app.command()
def show(name: Name, json: o.Json = False, output: o.Output = "") -> None:
    """Describe a series: what it needs, what it changes, each replaced function as a diff."""
    from mmarch import api

    one = api.load_series(name)
    answer(to_json.dumps(_shown_json(one), indent=2) if json else "\n".join(_shown_text(one)), output)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the series, such as anon_unmap_batch.")],
    replace: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FUNCTION",
            help="A function of core-mm to copy: core_mm.MODULE.FUNCTION, or FUNCTION. Repeatable.",
            autocompletion=complete.function,
        ),
    ] = None,
    hook: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A new hook. Repeatable.")] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="File to write.", show_default="NAME.py")
    ] = "",
) -> None:
    """Write a file with a series that does as core-mm does, to be changed."""
    from mmarch import api

    path = api.new_series(name, replace=replace or (), hooks=hook or (), output=output)
    answer(str(path))
    shown = str(path) if "/" in str(path) else f"./{path}"
    follow = f"mmarch series show {shown}; mmarch run --release 7.3 --with {shown}"
    typer.echo(f"Next: change it; {follow}", err=True)


@app.command()
def update(name: Name) -> None:
    """Renew the digests of replaced functions in the files of a series, once what changed was brought over."""
    from mmarch import api

    found = api.update_series(name)
    lines = [f"{one.name}  {one.had or 'none'} -> {one.now}" for one in found]
    answer("\n".join(lines or ["every digest is of today's function"]))


def _listed_json(item: Listed) -> dict[str, object]:
    found = item.found
    return {
        "name": found.name, "title": item.title, "releases": list(item.releases), "status": item.status,
        "distribution": found.distribution, "version": found.version, "object": found.entry.value,
        "problem": item.problem,
    }  # fmt: skip


def _listed_text(items: list[Listed]) -> Iterator[str]:
    from mmarch.table import table, wrap

    if not items:
        yield "no series is installed; 'mmarch series new' writes a file, which --with takes as well"
        return
    rows = [
        [one.name, item.status, " ".join(item.releases) or "all", f"{one.distribution} {one.version}"]
        for item in items
        for one in [item.found]
    ]
    yield from table(["NAME", "STATUS", "RELEASES", "FROM"], rows, left=4)
    for item in items:
        for part in (item.problem or f"{item.found.name}: {item.title}").splitlines():
            yield from ["", *wrap(part, "    ")]


def _shown_json(one: LoadedSeries) -> dict[str, object]:
    from mmarch.plugins.series.showing import replaced

    described = one.descriptor.model_dump(mode="json", exclude={"events"})
    return {
        "schema": "mmarch.series/1",
        "series": described,
        "origin": one.origin,
        "digest": one.digest,
        "replaces": [dataclasses.asdict(item) for item in replaced(one)],
        "hooks": {name: spec.__doc__ for name, spec in one.changes.hooks.items()},
        "implements": {arch: sorted(own) for arch, own in _implements(one)},
        "events": list(one.changes.events),
    }


def _implements(one: LoadedSeries) -> Iterator[tuple[str, list[str]]]:
    """Architecture, and the hooks that it gets: not the defaults of new ones."""
    for arch, own in one.changes.implementations.items():
        names = [name for name, function in own.items() if function.__name__ != name or arch != "generic"]
        if names:
            yield arch, names


def _shown_text(one: LoadedSeries) -> Iterator[str]:
    from mmarch.plugins.series.showing import replaced
    from mmarch.table import wrap

    described, found = one.descriptor, list(replaced(one))
    facts = {
        "link": described.link,
        "from": f"{one.origin}, {one.place}",
        "digest": one.digest[:12],
        "releases": ", ".join(described.releases) or "all",
        "requires": ", ".join(described.requires),
        "excludes": ", ".join(described.excludes),
        "new hooks": ", ".join(one.changes.hooks),
        "implements": "; ".join(f"{', '.join(own)} for {arch}" for arch, own in _implements(one)),
        "events": ", ".join(one.changes.events),
    }
    yield from wrap(f"{one.name}: {described.title}")
    for key, value in facts.items():
        if value:
            yield from wrap(f"{key}: {value}", "    ")
    for item in found:
        state = {"changed": "; it has changed since", "no digest": "; no digest"}.get(item.status, "")
        yield from ["", *wrap(f"replaces {item.name}{state}"), *(item.diff or ["a copy that does the same"])]
