"""What a worker does: points to rows, each in the journal as soon as it is counted."""

from __future__ import annotations

import json
import os
import platform
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmarch.errors import MmarchError
from mmarch.grid.journal import Journal, entries
from mmarch.grid.points import Point, setup_of
from mmarch.grid.works import source
from mmarch.runs.assemble import Request
from mmarch.runs.result import Result
from mmarch.runs.run import run

Entry = dict[str, Any]


@dataclass(frozen=True)
class Chunk:
    """Points for one worker, and the folder of the store's journals; the name is the same for whoever works on it."""

    name: str
    points: Sequence[Point]
    folder: str


@dataclass(frozen=True)
class Done:
    """What came of a chunk: journals with all of its points, how many failed, seconds of work."""

    chunk: str
    journals: tuple[str, ...]
    points: int
    failed: int
    seconds: float


def work(chunk: Chunk) -> Done:
    """Every point of it; those that a worker who died had finished are not run again."""
    start, folder = time.monotonic(), Path(chunk.folder)
    before = sorted(folder.glob(f"{chunk.name}-*.jsonl"))
    known = {entry["digest"]: entry for path in before for entry in entries(path).found}
    fresh = [point for point in chunk.points if point.digest not in known]
    failed = sum("error" in entry for entry in known.values())
    names = [path.name for path in before]
    if fresh:
        with Journal.begin(folder, chunk.name) as journal:
            names.append(journal.name)
            for point in fresh:
                entry = count(point)
                failed += "error" in entry
                journal.write(entry)
    return Done(chunk.name, tuple(names), len(chunk.points), failed, time.monotonic() - start)


def count(point: Point) -> Entry:
    """The entry of a point for the journal: its row or its error, and the log's part."""
    started, start = datetime.now(UTC), time.monotonic()
    found: Entry = {"digest": point.digest}
    engine = ""
    try:
        result = counted(point)
        found["row"], engine = row(point, result), result.engine
    except MmarchError as error:
        found["error"] = str(error)
    except Exception as error:  # a plugin's or ours: the other points go on, and this one says so
        found["error"] = f"internal error: {type(error).__name__}: {error}"
    found["log"] = {
        "host": socket.gethostname(), "process": os.getpid(), "python": platform.python_version(),
        "engine": engine, "started": started.isoformat(timespec="milliseconds"),
        "seconds": round(time.monotonic() - start, 6),
    }  # fmt: skip
    return found


def counted(point: Point) -> Result:
    """Linked, whatever its size, since thousands of its like are run."""
    opened = source(point.work, point.parameters)
    setup = setup_of(point.choices)
    request = Request(runs=1 << 30, madvise=opened.advised)
    return run(opened.workload(setup), setup, request)


def row(point: Point, result: Result) -> Mapping[str, Any]:
    """What depends on the point alone; a count that is 0 is left out."""
    workload, configuration = result.workload, result.configuration.record()
    return {
        "workload": point.work.label, "scenario": point.work.scenario, "backing": point.work.backing,
        **configuration,
        "parameters": ",".join(f"{name}={value}" for name, value in workload.parameters.items()),
        "operations": workload.operations,
        "failures": sum(failure.count for failure in result.failures),
        "warnings": result.warnings.count if result.warnings else 0,
        **{group: result.total(group) for group in result.groups},
        **result.totals,
        "calls": json.dumps({name: dict(op.events) for name, op in result.operations.items()}, separators=(",", ":")),
    }  # fmt: skip
