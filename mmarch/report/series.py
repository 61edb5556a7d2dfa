"""Series as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field

from core_mm.series import Series
from mmarch.plugins.series import LoadedSeries
from mmarch.plugins.series.showing import Listed, implemented, replaced
from mmarch.report.printed import Printed
from mmarch.runs.result import Model
from mmarch.table import table, wrap

STATES = {"changed": "; it has changed since", "no digest": "; no digest"}


class ListedSeries(Model):
    """An installed series; `status` is "ok", "stale" where core-mm has changed, or the code of what is wrong."""

    name: str
    title: str
    releases: tuple[str, ...]
    status: str
    distribution: str
    version: str
    object: str
    problem: str

    @classmethod
    def of(cls, item: Listed) -> Self:
        """A row of the table."""
        found = item.found
        return cls(
            name=found.name, title=item.title, releases=item.releases, status=item.status,
            distribution=found.distribution, version=found.version, object=found.entry.value, problem=item.problem,
        )  # fmt: skip


class SeriesListDocument(Printed):
    """`series list`."""

    schema_: Literal["mmarch.series-list/1"] = Field(default="mmarch.series-list/1", alias="schema")
    series: tuple[ListedSeries, ...]


class ReplacedFunction(Model):
    """A function of core-mm and a diff to what runs instead; `status` is "ok", "changed" or "no digest"."""

    name: str
    where: str
    status: str
    diff: tuple[str, ...]


class SeriesDocument(Printed):
    """`series show`: what a series says of itself and what it changes.

    hooks       new ones, with their contracts
    implements  architecture -> hooks
    changes     of what core-mm can observe, each with the reason
    """

    schema_: Literal["mmarch.series/1"] = Field(default="mmarch.series/1", alias="schema")
    name: str
    title: str
    link: str
    releases: tuple[str, ...]
    requires: tuple[str, ...]
    excludes: tuple[str, ...]
    origin: str
    digest: str
    replaces: tuple[ReplacedFunction, ...]
    hooks: Mapping[str, str]
    implements: Mapping[str, tuple[str, ...]]
    events: tuple[str, ...]
    changes: Mapping[str, str]

    @classmethod
    def of(cls, one: LoadedSeries) -> Self:
        """All of it."""
        d: Series = one.descriptor
        return cls(
            name=d.name, title=d.title, link=d.link, releases=d.releases, requires=d.requires, excludes=d.excludes,
            origin=one.origin, digest=one.digest,
            replaces=tuple(
                ReplacedFunction(name=item.name, where=item.where, status=item.status, diff=item.diff)
                for item in replaced(one)
            ),
            hooks={name: spec.__doc__ or "" for name, spec in one.changes.hooks.items()},
            implements=implemented(one),
            events=one.changes.events,
            changes=d.changes,
        )  # fmt: skip


def listed(items: Sequence[Listed]) -> Iterator[str]:
    """A table, then titles and problems."""
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


def shown(one: LoadedSeries) -> Iterator[str]:
    """What it says of itself, then each replaced function as a diff."""
    described = one.descriptor
    facts = {
        "link": described.link,
        "from": f"{one.origin}, {one.place}",
        "digest": one.digest[:12],
        "releases": ", ".join(described.releases) or "all",
        "requires": ", ".join(described.requires),
        "excludes": ", ".join(described.excludes),
        "new hooks": ", ".join(one.changes.hooks),
        "implements": "; ".join(f"{', '.join(own)} for {arch}" for arch, own in implemented(one).items()),
        "events": ", ".join(one.changes.events),
        **{f"means to change {what}": why for what, why in described.changes.items()},
    }
    yield from wrap(f"{one.name}: {described.title}")
    for key, value in facts.items():
        if value:
            yield from wrap(f"{key}: {value}", "    ")
    for item in replaced(one):
        yield from ["", *wrap(f"replaces {item.name}{STATES.get(item.status, '')}")]
        yield from item.diff or ["a copy that does the same"]
