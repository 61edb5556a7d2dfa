"""A store as a table: a row for each point of the SPEC, with its counts, or what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core_mm.releases import RELEASES
from mmarch.errors import InputError
from mmarch.grid import manifest as manifests
from mmarch.grid import segments
from mmarch.grid.journal import SUFFIX, entries
from mmarch.grid.manifest import POINTS, Manifest
from mmarch.grid.store import JOURNAL, column, frame, refuse_damaged
from mmarch.suggest import unknown

if TYPE_CHECKING:
    from polars import DataFrame

Aggregate = Literal["", "min", "max", "mean", "sum"]
Number = int | float
_JSON = "calls"


@dataclass(frozen=True)
class Grid:
    """What a store has.

    frame    the axes of each point, its digest, its counts, null if it has none yet, and its error, null if it has none
    axes     columns of it that are axes
    counts   columns of it that are counts
    """

    store: str
    manifest: Manifest
    frame: DataFrame
    axes: tuple[str, ...]
    counts: tuple[str, ...]

    @property
    def varying(self) -> list[str]:
        """Axes that have several values, also beside those before them: each file may have one scenario."""
        found: list[str] = []
        for axis in self.axes:
            known = self.frame.select(found).n_unique() if found else 1
            if axis in ("scenario", "backing") and self.frame.select(*found, axis).n_unique() == known:
                continue
            if self.frame[axis].n_unique() > 1:
                found.append(axis)
        return found

    @property
    def failed(self) -> int:
        """Points with an error."""
        return self.frame.height - self.frame["error"].null_count()

    @property
    def releases(self) -> list[str]:
        """Those that something was counted on."""
        return [name for name in RELEASES if name in set(self.counted["release"])]

    @property
    def changed(self) -> bool:
        """Whether something was counted with features more or less than a release's."""
        return any(name for axis in ("with", "without") for name in self.counted[axis])

    @property
    def counted(self) -> DataFrame:
        """The rows with counts."""
        return self.frame.filter(self.frame["operations"].is_not_null())

    @property
    def missing(self) -> int:
        """Points that nobody has counted yet."""
        return self.uncounted["digest"].len()

    @property
    def uncounted(self) -> DataFrame:
        """The rows of these."""
        return self.frame.filter(self.frame["error"].is_null() & self.frame["operations"].is_null())


def read(folder: Path) -> Grid:
    """A store, also one that a sweep writes to just now; InputError if it is damaged."""
    import polars

    manifest = manifests.load(folder)
    refuse_damaged(folder, manifest)
    try:
        points = polars.read_parquet(folder / POINTS)
    except (OSError, polars.exceptions.PolarsError) as error:
        raise InputError(
            f"{folder / POINTS}: damaged: {error}; rebuild it with: mmarch sweep SPEC.toml -o {folder} --rebuild"
        ) from None
    parts = {kind: [frame(folder, one) for one in manifest.of_kind(kind)] for kind in segments.KINDS}
    for kind, found in _unsealed(folder, manifest, parts):
        parts[kind].append(found)
    rows = _together(parts["rows"], segments.columns(manifest.counts), (*segments.NUMBERS, *manifest.counts))
    failed = _together(parts["failed"], ["digest", "error"])
    own = [name for name in rows.columns if name not in manifest.axes]
    whole = points.join(rows.select(own), on="digest", how="left", maintain_order="left")
    whole = whole.join(failed, on="digest", how="left", maintain_order="left")
    return Grid(str(folder), manifest, whole, manifest.axes, ("operations", *manifest.counts))


def _unsealed(
    folder: Path, manifest: Manifest, parts: Mapping[segments.Kind, Sequence[DataFrame]]
) -> list[tuple[segments.Kind, DataFrame]]:
    """What is in journals alone."""
    known = {digest for part in (*parts["rows"], *parts["failed"]) for digest in part["digest"]}
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((folder / JOURNAL).glob(f"*{SUFFIX}")):
        found |= {entry["digest"]: entry for entry in entries(path).found if entry["digest"] not in known}
    return list(segments.tables(list(found.values()), manifest.counts))


def _together(parts: Sequence[DataFrame], names: Sequence[str], numbers: Sequence[str] = ()) -> DataFrame:
    import polars

    kinds = {name: polars.Int64 if name in numbers else polars.String for name in names}
    empty = polars.DataFrame(schema=kinds)
    return polars.concat(parts) if parts else empty


@dataclass(frozen=True)
class Pivot:
    """Cells by the values of some axes.

    axes     whose values name a row
    across   whose values name a column, none if each count is one
    columns  their headings
    rows     values of the axes, then of each column the least, greatest and mean, their sum, or None if there is none
    """

    axes: tuple[str, ...]
    across: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Sequence[tuple[tuple[str, ...], tuple[Cell, ...]]]

    @property
    def spread(self) -> bool:
        """Whether points of a cell differ."""
        return any(cell and cell.least != cell.most for _, cells in self.rows for cell in cells)


@dataclass(frozen=True)
class Spread:
    """The points of a cell."""

    least: int
    most: int
    mean: float
    sum: int

    def value(self, aggregate: Aggregate) -> Number:
        """One number for all of them."""
        return {"min": self.least, "max": self.most, "mean": self.mean, "sum": self.sum}.get(
            aggregate, self.least
        )


Cell = Spread | None


def pivot(
    grid: Grid, rows: Sequence[str], columns: Sequence[str], counts: Sequence[str], call: str = ""
) -> Pivot:
    """Counts by the values of the axes `rows` and `columns`; without the latter, a column for each of `counts`.

    call  only what this system call did
    """
    rows, columns = ([_axis(grid, name) for name in names] for names in (rows, columns))
    if both := [name for name in columns if name in rows]:
        raise InputError(f"{both[0]} is among --rows and --columns; leave it out of one")
    if columns and len(counts) != 1:
        raise InputError(
            f"--columns {','.join(columns)} has room for one count, not {len(counts)}: add --count tlbi"
        )
    for count in counts:
        if count not in grid.counts:
            raise unknown("count", count, grid.counts)
    data = _of_call(grid, call, counts) if call else grid.frame
    return _by_count(data, rows, counts) if not columns else _by_axes(data, rows, columns, counts[0])


def _axis(grid: Grid, name: str) -> str:
    if column(name) not in grid.axes:
        raise unknown("axis", name, grid.axes)
    return column(name)


def _of_call(grid: Grid, call: str, counts: Sequence[str]) -> DataFrame:
    """The same points with the counts of one system call."""
    import polars

    groups = grid.manifest.groups
    whole = [None if text is None else json.loads(text) for text in grid.frame[_JSON]]
    known = list(dict.fromkeys(name for calls in whole if calls for name in calls))
    if call not in known:
        raise unknown("call", call, known)
    found = [None if calls is None else calls.get(call, {}) for calls in whole]
    return grid.frame.with_columns(
        polars.Series(
            name,
            [
                None if events is None else sum(events.get(e, 0) for e in groups.get(name, (name,)))
                for events in found
            ],
            dtype=polars.Int64,
        )
        for name in counts
    )


def _grouped(data: DataFrame, axes: Sequence[str], count: str) -> dict[tuple[str, ...], Cell]:
    import polars

    value = polars.col(count)
    parts = [value.min().alias("0"), value.max().alias("1"), value.mean().alias("2"), value.sum().alias("3")]
    made = data.group_by([*axes] if axes else polars.lit("").alias(""), maintain_order=True).agg(parts)
    found: dict[tuple[str, ...], Cell] = {}
    for *key, least, most, mean, total in made.iter_rows():
        found[tuple(key) if axes else ()] = None if least is None else Spread(least, most, mean, total)
    return found


def _by_count(data: DataFrame, rows: Sequence[str], counts: Sequence[str]) -> Pivot:
    each = [_grouped(data, rows, count) for count in counts]
    return Pivot(tuple(rows), (), tuple(counts), [(key, tuple(one[key] for one in each)) for key in each[0]])


def _by_axes(data: DataFrame, rows: Sequence[str], columns: Sequence[str], count: str) -> Pivot:
    found = _grouped(data, [*rows, *columns], count)
    size = len(rows)
    lefts = list(dict.fromkeys(key[:size] for key in found))
    tops = list(dict.fromkeys(key[size:] for key in found))
    shown = tuple(", ".join(value or "–" for value in top) for top in tops)
    return Pivot(
        tuple(rows),
        tuple(columns),
        shown,
        [(left, tuple(found.get(left + top) for top in tops)) for left in lefts],
    )
