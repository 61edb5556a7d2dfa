"""What a history costs: recording against a plain linked run, room in memory and on disk, tables at any operation.

`python benchmarks/history.py [WORKLOAD…]` prints the figures that docs/performance.md promises: a recording takes at
most twice the time of a plain linked run, an event at most 32 bytes, tables at any operation at most 50 ms.
Times are of the processor, the least of REPEATS turns that take plain and recorded runs alternately.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mmarch.api.choosing import prepare, silent
from mmarch.history import History, record, save
from mmarch.runs.run import run

REPEATS = 25
MOMENTS = 50
BULK = str(Path(__file__).parent / "bulk.scn")


def main(workloads: list[str]) -> None:
    """A line for each workload."""
    headings = (
        f"{'plain':>8} {'recorded':>8} {'ratio':>6} {'events':>9} {'bytes':>6} {'tables':>8} {'first':>8}"
    )
    print(f"{'workload':>24} {headings}")
    for name in workloads or ["redis-bgsave", "numpy-pool", BULK]:
        job = prepare(name, "", "", None, silent, {}, "linked")
        plain, recorded = in_turn(lambda job=job: run(*job), lambda job=job: record(*job))
        history = record(*job)
        first = seconds(lambda history=history: history.tables(0))
        row = f"{plain:7.1f}m {recorded:7.1f}m {recorded / plain:6.2f} {len(history.log):9,}"
        print(
            f"{job.workload.name:>24} {row} {on_disk(history):6.1f} {slowest(history):7.1f}m {first * 1e3:7.1f}m"
        )


def in_turn(*functions: Callable[[], object]) -> list[float]:
    """The least milliseconds of each."""
    times = [[seconds(function) for function in functions] for _ in range(REPEATS)]
    return [1e3 * min(column) for column in zip(*times, strict=True)]


def seconds(function: Callable[[], object]) -> float:
    """Of the processor."""
    before = time.process_time()
    function()
    return time.process_time() - before


def on_disk(history: History) -> float:
    """Bytes an event."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.history"
        save(history, path)
        return path.stat().st_size / len(history.log)


def slowest(history: History) -> float:
    """The most milliseconds that the tables of any task took, at MOMENTS operations."""
    moments = range(0, history.operations, max(1, history.operations // MOMENTS))
    found = [(at, task) for at in moments for task in history.tasks(at)]
    return max(1e3 * seconds(lambda at=at, task=task: history.tables(at, task)) for at, task in found)


if __name__ == "__main__":
    main(sys.argv[1:])
