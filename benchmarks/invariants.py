"""What looking at core-mm's invariants and contents costs: `python benchmarks/invariants.py [WORKLOAD…]`.

Processor time, the least of REPEATS turns that take plain and watched linked runs alternately: a plain run reads the
workload, assembles a machine and runs all of it; the others look at it every 100 operations and at the end, at the
invariants alone or at what pages show as well. The last column is the time of a look at the invariants.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from mmarch.api.choosing import prepare, silent
from mmarch.runs.assemble import assemble
from mmarch.sanitize.audit import EVERY, Audit

REPEATS = 5
BULK = str(Path(__file__).parent / "bulk.scn")
CHOSEN = {"arch": "arm64"}


def main(workloads: list[str]) -> None:
    """A line for each workload."""
    print(f"{'workload':>24} {'plain':>8} {'invariants':>16} {'and contents':>16} {'a look':>9}")
    for name in workloads or ["redis-bgsave", "numpy-pool", BULK]:
        ways = (
            lambda name=name: run(name),
            lambda name=name: run(name, False),
            lambda name=name: run(name, True),
        )
        plain, books, contents = in_turn(*ways)
        looks = -(-len(prepare(name, "", "", None, silent, dict(CHOSEN), "linked").workload.ops) // EVERY)
        cells = (f"{time:7.0f}m ({time / plain:5.2f}x)" for time in (books, contents))
        print(f"{Path(name).stem:>24} {plain:7.0f}m {' '.join(cells)} {(books - plain) / looks:8.2f}m")


def run(name: str, contents: bool | None = None) -> None:
    """Read the workload, assemble a machine, run all of it; unless None, with looks at `contents` or without."""
    job = prepare(name, "", "", None, silent, dict(CHOSEN), "linked")
    machine = assemble(job.setup, job.workload, job.request, silent)
    row, rows = 0, len(job.workload.ops)
    if contents is None:
        machine.call("run_operations", 0, rows)
        return
    watch = Audit(machine, EVERY, contents)
    while row < rows:
        row, found = watch.run(row, rows)
        assert not found


def in_turn(*functions: Callable[[], object]) -> list[float]:
    """The least milliseconds of each."""
    times = [[milliseconds(function) for function in functions] for _ in range(REPEATS)]
    return [min(column) for column in zip(*times, strict=True)]


def milliseconds(function: Callable[[], object]) -> float:
    """Of the processor."""
    before = time.process_time()
    function()
    return 1e3 * (time.process_time() - before)


if __name__ == "__main__":
    main(sys.argv[1:])
