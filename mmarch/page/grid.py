"""A sweep's store as one page of HTML: any count over any axis, a line for each value of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmarch import __version__
from mmarch.grid.table import Grid
from mmarch.page.write import assembled, text_of
from mmarch.report.sweep import USUAL

if TYPE_CHECKING:
    from polars import DataFrame

STYLES = ("colors", "layout", "tables", "charts", "grid", "print")
SCRIPTS = ("dom", "numbers", "theme", "grid")
MOST = 20_000  # rows that a browser is given


def render(grid: Grid) -> str:
    """The page."""
    name = Path(grid.store).resolve().name
    return assembled("grid.html", name, STYLES, script(), data(grid, name))


def script() -> str:
    """All scripts, one behind the other."""
    return '"use strict";\n' + text_of("script", "js", SCRIPTS)


def data(grid: Grid, name: str) -> dict[str, Any]:
    """What the script reads: axes as numbers of values, counts as least and greatest."""
    axes, notes = _axes(grid)
    counts = [
        count for count in grid.counts if (grid.frame[count].max() or 0) != (grid.frame[count].min() or 0)
    ]
    ordered = [
        *(count for count in USUAL if count in counts),
        *(count for count in counts if count not in USUAL),
    ]
    frame = _grouped(grid.frame, axes, ordered)
    x, line = _begin(grid, axes)
    return {
        "version": __version__, "name": name, "points": grid.frame.height, "failed": grid.failed,
        "missing": grid.missing, "notes": notes, "size": frame.height, "x": x, "line": line,
        "count": ordered.index("tlbi") if "tlbi" in ordered else 0,
        "axes": [_axis(frame, axis) for axis in axes] if ordered else [],
        "counts": [_count(frame, count) for count in ordered],
    }  # fmt: skip


def _axes(grid: Grid) -> tuple[list[str], list[str]]:
    """As many as a browser has room for: of too many points, the axes with most values go."""
    axes, dropped = grid.varying or list(grid.axes[:1]), []
    while len(axes) > 1 and grid.frame.select(axes).n_unique() > MOST:
        dropped.append(max(axes, key=lambda axis: grid.frame[axis].n_unique()))
        axes = [axis for axis in axes if axis not in dropped]
    many = f"There are too many points to tell apart: those that differ in {', '.join(dropped)} alone are one, a range."
    same = "Counts that are the same at all points are left out."
    return axes, [same, *([many] if dropped else [])]


def _grouped(frame: DataFrame, axes: list[str], counts: list[str]) -> DataFrame:
    import polars

    each = [polars.col(count).min().alias(count) for count in counts]
    most = [polars.col(count).max().alias(f"most {count}") for count in counts]
    return frame.group_by(axes, maintain_order=True).agg(*each, *most)


def _axis(frame: DataFrame, axis: str) -> dict[str, Any]:
    values = frame[axis].unique(maintain_order=True).to_list()
    number = {value: at for at, value in enumerate(values)}
    return {"name": axis, "values": values, "codes": [number[value] for value in frame[axis]]}


def _count(frame: DataFrame, count: str) -> dict[str, Any]:
    least, most = frame[count].to_list(), frame[f"most {count}"].to_list()
    return {"heading": USUAL.get(count, count), "least": least, "most": most if most != least else None}


def _begin(grid: Grid, axes: list[str]) -> tuple[int, int]:
    """What is drawn at first: over the axis with most numbers for values, a line for each value of the shortest."""

    def steps(axis: str) -> tuple[bool, int]:
        values = grid.frame[axis].unique()
        return all(value.isdecimal() for value in values), len(values)

    x = max(range(len(axes)), key=lambda at: steps(axes[at]))
    others = [at for at in range(len(axes)) if at != x]
    return x, min(others, key=lambda at: grid.frame[axes[at]].n_unique(), default=-1)
