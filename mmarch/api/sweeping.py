"""Sweeps: thousands of points of a grid, counted into a store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mmarch.api.choosing import Note, Progress, silent, unseen

if TYPE_CHECKING:
    from mmarch.grid.estimate import Estimate
    from mmarch.grid.plan import Plan
    from mmarch.grid.run import Swept
    from mmarch.grid.table import Grid

PathLike = str | os.PathLike[str]


def plan_sweep(spec: PathLike) -> Plan:
    """The points of a SPEC.toml, every value checked; InputError with the line of what is wrong."""
    from mmarch.grid.plan import plan
    from mmarch.grid.spec import read

    return plan(read(Path(spec)))


def estimate_sweep(spec: PathLike | Plan) -> Estimate:
    """How long a sweep takes on this machine, by a few of its points: `mmarch sweep SPEC.toml --dry-run`."""
    from mmarch.grid.estimate import estimate
    from mmarch.grid.plan import Plan

    return estimate(spec if isinstance(spec, Plan) else plan_sweep(spec))


def sweep(
    spec: PathLike | Plan,
    store: PathLike,
    *,
    scheduler: str = "",
    retry: bool = False,
    rebuild: bool = False,
    note: Note = silent,
    progress: Progress = unseen,
) -> Swept:
    """Count every point of a SPEC.toml that `store` has not yet, on all cores; a row for each distinct point.

    scheduler  address of a Dask scheduler, whose workers count instead; they see the store and the workloads
    retry      points that failed, too
    rebuild    what is damaged in the store, instead of refusing it
    progress   is told how many points are done, of how many

    Whatever ends it, what is finished is kept, and the same call goes on. In a script it stands below
    ``if __name__ == "__main__":``, since workers are processes of their own.
    """
    from mmarch.grid.plan import Plan
    from mmarch.grid.run import sweep as run

    plan = spec if isinstance(spec, Plan) else plan_sweep(spec)
    crew = None
    if scheduler:
        from mmarch.grid.cluster import Cluster

        crew = Cluster(scheduler, plan.samples)
    return run(plan, Path(store), crew, retry=retry, rebuild=rebuild, note=note, progress=progress)


def read_sweep(store: PathLike) -> Grid:
    """A store as a table: ``read_sweep("store").frame`` is a polars data frame with a row for each point."""
    from mmarch.grid.table import read

    return read(Path(store))


def show_sweep(
    store: PathLike | Grid,
    form: Literal["table", "markdown", "csv", "json", "parquet"] = "table",
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    counts: Sequence[str] = (),
    call: str = "",
    aggregate: Literal["", "min", "max", "mean", "sum"] = "",
    failed: bool = False,
) -> bytes:
    """What `mmarch sweep show` prints: a store's counts by any of its axes.

    rows, columns  axes
    counts         events, or tlbi and barrier for all of a kind
    call           only what this system call did
    aggregate      what stands for the points of a cell, if they differ; else their range
    failed         the points that failed instead, with their messages
    """
    from mmarch.grid.table import Grid
    from mmarch.report import sweep as report

    grid = store if isinstance(store, Grid) else read_sweep(store)
    if failed:
        return report.failed(grid, form)
    return report.show(grid, form, rows, columns, counts, call, aggregate)
