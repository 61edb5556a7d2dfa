"""What `paper --json` and `costs fit --json` print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field

from mmarch.papers import Counted, Fit, Letter, Reproduced
from mmarch.papers.fit import Point
from mmarch.report.printed import Counts, Printed
from mmarch.runs.result import Model, RestsOn


class Published(Model):
    """Who measured what, and where; `message` is the Message-ID of the letter, if it has one."""

    id: str
    title: str
    subject: str
    author: str
    date: str
    message: str
    machine: str
    about: str

    @classmethod
    def of(cls, letter: Letter) -> Self:
        """The head of a letter."""
        return cls(**letter.model_dump(include=set(cls.model_fields)))


class PapersDocument(Printed):
    """`paper`: what can be reproduced, oldest first."""

    schema_: Literal["mmarch.papers/1"] = Field(default="mmarch.papers/1", alias="schema")
    papers: tuple[Published, ...]

    @classmethod
    def of(cls, letters: Mapping[str, Letter]) -> Self:
        """All of these."""
        return cls(papers=tuple(map(Published.of, letters.values())))


class Side(Model):
    """Before or after: what was published, in the row's unit, and the twin's counts, groups among them.

    rests_on  what stands behind the twin's release, null without counts
    """

    published: float
    configuration: Mapping[str, str | list[str]]
    counts: Counts
    rests_on: RestsOn | None = None


class PaperRow(Model):
    """A row; `ratio` is of what was published, `missing` says why there are no counts, empty if there are."""

    name: str
    unit: str
    times: float
    before: Side
    after: Side
    ratio: float
    missing: str
    note: str

    @classmethod
    def of(cls, row: Counted) -> Self:
        """One of `Reproduced.rows`."""
        case = row.case
        sides = ((case.before, case.old, row.before), (case.after, case.new, row.after))
        rests = [result.rests_on for result in row.results] or [None, None]
        before, after = (
            Side(published=value, configuration={**case.configuration, **changes}, counts=counts, rests_on=on)
            for (value, changes, counts), on in zip(sides, rests, strict=True)
        )
        return cls(
            name=case.name, unit=case.unit, times=case.times, before=before, after=after, ratio=case.ratio,
            missing=row.missing, note=case.note,
        )  # fmt: skip


class PaperDocument(Printed):
    """`paper ID`: the letter, and each row before and after."""

    schema_: Literal["mmarch.paper/1"] = Field(default="mmarch.paper/1", alias="schema")
    paper: Published
    rows: tuple[PaperRow, ...]

    @classmethod
    def of(cls, found: Reproduced) -> Self:
        """What `mmarch.reproduce` found."""
        return cls(paper=Published.of(found.letter), rows=tuple(map(PaperRow.of, found.rows)))


class Price(Model):
    """Nanoseconds of a group of events; `margin` is half of the 95 % interval, null without one."""

    ns: float
    margin: float | None
    events: tuple[str, ...]


class FitPoint(Model):
    """A time beside its prediction; `off` is the part of it by which the prediction is too high or too low."""

    name: str
    held_out: bool
    measured: float
    predicted: float
    off: float
    counts: Counts
    note: str

    @classmethod
    def of(cls, found: Fit, point: Point) -> Self:
        """One of `Fit.points`."""
        return cls(
            name=point.time.name, held_out=point.time.held_out, measured=point.ns, predicted=point.predicted,
            off=point.off, counts=dict(zip(found.times.groups, point.counts, strict=True)), note=point.time.note,
        )  # fmt: skip


class FitDocument(Printed):
    """`costs fit`: prices by group, and every time, in nanoseconds; `missing` are times without counts, and why."""

    schema_: Literal["mmarch.costs-fit/1"] = Field(default="mmarch.costs-fit/1", alias="schema")
    name: str
    description: str
    prices: Mapping[str, Price]
    points: tuple[FitPoint, ...]
    missing: Mapping[str, str]

    @classmethod
    def of(cls, found: Fit) -> Self:
        """What `mmarch.fit_costs` found."""
        prices = {
            group: Price(ns=found.prices[group], margin=found.margins.get(group), events=events)
            for group, events in found.times.groups.items()
        }
        return cls(
            name=found.times.name, description=found.times.description, prices=prices,
            points=tuple(FitPoint.of(found, point) for point in found.points), missing=found.missing,
        )  # fmt: skip
