"""A sweep in a terminal, and a store's rows by any axes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmarch.errors import InputError
from mmarch.grid.estimate import Estimate
from mmarch.grid.plan import Plan
from mmarch.grid.run import Swept
from mmarch.grid.table import Aggregate, Cell, Grid, Pivot, Spread, pivot
from mmarch.report.columns import BORDER, FAULTS
from mmarch.report.document import Document, Paragraph, Part, Table
from mmarch.report.forms import markdown, terminal
from mmarch.report.printed import Printed
from mmarch.report.rests_on import of_releases
from mmarch.table import counted, number

if TYPE_CHECKING:
    from polars import DataFrame

FORMATS = ("table", "markdown", "csv", "json", "parquet")
AGGREGATES: tuple[Aggregate, ...] = ("", "min", "max", "mean", "sum")
SHOWN = 50  # rows, if nobody says which axes
USUAL = {column.events[0]: column.heading for column in (FAULTS, *BORDER)}
NONE = "–"
FEW = 5  # messages


class SweepDocument(Printed):
    """`sweep`: what it did, and what a dry run expects."""

    schema_: Literal["mmarch.sweep/1"] = Field(default="mmarch.sweep/1", alias="schema")
    store: str
    points: int
    distinct: int
    left_out: int
    before: int
    ran: int
    failures: tuple[tuple[str, str], ...] = ()
    seconds: float | None = None


class TableDocument(Printed):
    """`sweep show`: a row for each point, or for each value of the axes that were asked for."""

    schema_: Literal["mmarch.sweep-table/1"] = Field(default="mmarch.sweep-table/1", alias="schema")
    axes: tuple[str, ...]
    rows: tuple[dict[str, str | int | float | None], ...]


def swept(found: Swept) -> str:
    """After a sweep."""
    kept = f"{found.store}: {counted(found.distinct, 'point')}, {number(found.ran)} counted now"
    if found.before:
        kept += f", {number(found.before)} before"
    if found.points != found.distinct:
        kept += f"; {number(found.points - found.distinct)} more of the SPEC are equal to one of them"
    return kept


def failures(found: Swept) -> list[str]:
    """Messages of the points that failed, alike ones together."""
    if not found.failures:
        return []
    kinds: dict[str, int] = {}
    for _, text in found.failures:
        kinds[text] = kinds.get(text, 0) + 1
    lines = [f"{counted(count, 'point')} failed: {text}" for text, count in list(kinds.items())[:FEW]]
    more = [f"… and {len(kinds) - FEW} other messages: see mmarch sweep show {found.store} --failed"] * (
        len(kinds) > FEW
    )
    return [*lines, *more, "count them again with --retry"]


def planned(plan: Plan, guess: Estimate, before: int) -> str:
    """A dry run: axes, points, time."""
    rows = [
        [axis, f"{len(values):,}: {_few(values)}"] for axis, values in plan.axes.items() if len(values) > 1
    ]
    said = [f"{plan.spec.path}: {counted(plan.points, 'point')}"]
    if plan.left_out:
        said.append(f"{number(plan.left_out)} left out by filters")
    if plan.points > len(plan.digests):
        said.append(f"{number(plan.points - len(plan.digests))} equal to others")
    if before:
        said.append(f"{number(before)} in the store already")
    runs = len(plan.digests) - before
    last = f"{number(runs)} to count, {guess.text(runs)}"
    parts: list[Part] = [[Table(["axis", "values"], rows, left=2)]] if rows else []
    return terminal(Document([Paragraph("; ".join(said))], [*parts, [Paragraph(last)]]))


def _few(values: Sequence[str], room: int = 50) -> str:
    whole = ", ".join(value or NONE for value in values)
    return whole if len(whole) <= room else f"{values[0] or NONE}, {values[1] or NONE}, … {values[-1]}"


def show(
    grid: Grid,
    form: str = "table",
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    counts: Sequence[str] = (),
    call: str = "",
    aggregate: Aggregate = "",
) -> bytes:
    """A store's rows: for people by some axes; in the other forms all of them, unless axes are named.

    rows, columns  axes; without any, as many as fit
    counts         events or groups of them; of one call only, if that is named
    aggregate      what stands for points of a cell that differ; their range if empty
    """
    if aggregate not in AGGREGATES:
        raise InputError(f"--aggregate {aggregate!r}: it has to be one of: {', '.join(AGGREGATES[1:])}")
    people = form in ("table", "markdown")
    if not people and not rows and not columns and not call and not counts:
        return _data(grid.frame, grid.axes, form)
    chosen = list(counts) or (["tlbi"] if columns else [name for name in USUAL if name in grid.counts])
    found = pivot(grid, list(rows) or _leading(grid, columns), columns, chosen, call)
    if people:
        most = len(found.rows) if rows else SHOWN
        document = _document(grid, found, chosen, call, aggregate, most)
        return f"{(terminal if form == 'table' else markdown)(document)}\n".encode()
    if found.spread and not aggregate:
        idle = _idle(grid, found)
        raise InputError(
            f"--format {form}: points of a cell differ by {', '.join(idle)}; add them to --rows, or say what stands "
            f"for them: --aggregate mean"
        )
    return _data(frame(found, aggregate), found.axes, form)


def _leading(grid: Grid, columns: Sequence[str]) -> list[str]:
    """As many of the first axes as have few enough values together."""
    taken: list[str] = []
    size = 1
    for axis in grid.varying:
        size *= grid.frame[axis].n_unique()
        if axis not in columns and (size <= SHOWN or not taken):
            taken.append(axis)
    return taken or [axis for axis in grid.axes if axis not in columns][:1]


def _document(
    grid: Grid, found: Pivot, counts: Sequence[str], call: str, aggregate: Aggregate, most: int
) -> Document:
    """`most` rows of it."""
    across = bool(found.across)
    headings = list(found.columns) if across else [USUAL.get(name, name) for name in found.columns]
    body = [
        [*(value or NONE for value in key), *(_text(cell, aggregate) for cell in cells)]
        for key, cells in found.rows[:most]
    ]
    what = [f"{grid.store}: {counted(grid.frame.height, 'point')}"]
    what += [USUAL.get(counts[0], counts[0])] * across + [f"of {call} alone"] * bool(call)
    table = Table([*found.axes, *headings], body, left=len(found.axes))
    remarks = _remarks(grid, found, aggregate, len(found.rows) - len(body))
    return Document([Paragraph(", ".join(what))], [[table], remarks] if remarks else [[table]])


def _remarks(grid: Grid, found: Pivot, aggregate: Aggregate, more: int) -> list[Paragraph]:
    said = [f"{counted(more, 'row')} more: --rows picks axes, --format csv has all of them"] * bool(more)
    if found.spread:
        what = f"the {aggregate}" if aggregate else "least–most"
        said.append(f"a cell is {what} of points that differ in: {', '.join(_idle(grid, found))}")
    if grid.failed:
        said.append(f"{counted(grid.failed, 'point')} failed; --failed says why")
    if grid.missing:
        said.append(f"{counted(grid.missing, 'point')} not counted yet")
    if grid.releases:
        said.append(of_releases(grid.releases, grid.changed))
    return [Paragraph(text) for text in said]


def _idle(grid: Grid, found: Pivot) -> list[str]:
    """Axes that vary within cells."""
    return [axis for axis in grid.varying if axis not in (*found.axes, *found.across)]


def _text(cell: Cell, aggregate: Aggregate) -> str:
    if cell is None:
        return NONE
    if aggregate or cell.least == cell.most:
        return _number(cell.value(aggregate))
    return f"{number(cell.least)}–{number(cell.most)}"


def _number(value: float) -> str:
    return number(int(value)) if value == math.floor(value) else f"{value:,.1f}"


def frame(found: Pivot, aggregate: Aggregate) -> DataFrame:
    """A pivot as a data frame: text columns for axes, numbers for the rest."""
    import polars

    keys = {axis: [key[at] for key, _ in found.rows] for at, axis in enumerate(found.axes)}
    numbers = {
        name: [
            cell.value(aggregate) if isinstance(cell := cells[at], Spread) else None
            for _, cells in found.rows
        ]
        for at, name in enumerate(found.columns)
    }
    return polars.DataFrame({**keys, **numbers}, strict=False)


def _data(data: DataFrame, axes: Sequence[str], form: str) -> bytes:
    if form == "json":
        rows: list[dict[str, Any]] = data.to_dicts()
        return f"{TableDocument(axes=tuple(axes), rows=tuple(rows)).text()}\n".encode()
    if form == "csv":
        return data.write_csv().encode()
    file = io.BytesIO()
    data.write_parquet(file)
    return file.getvalue()


def failed(grid: Grid, form: str) -> bytes:
    """The points that failed, each with its axes and its message."""
    data = grid.frame.filter(grid.frame["error"].is_not_null()).select(*grid.axes, "digest", "error")
    if form not in ("table", "markdown"):
        return _data(data, grid.axes, form)
    lines = [
        f"{', '.join(f'{axis} {row[axis]}' for axis in grid.varying if row[axis])}: {row['error']}"
        for row in data.to_dicts()
    ]
    head = Paragraph(f"{grid.store}: {counted(len(lines), 'point')} failed")
    document = Document([head], [[Paragraph(line) for line in lines]] if lines else [])
    return f"{(terminal if form == 'table' else markdown)(document)}\n".encode()
