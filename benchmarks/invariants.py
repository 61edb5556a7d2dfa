"""What looking at core-mm's invariants and contents costs: `python benchmarks/invariants.py [WORKLOAD…]`.

Processor time, the least of REPEATS turns that take plain and watched linked runs alternately: a run with a look every
100 operations and at the end, and the time of a look.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from mmarch.api.choosing import prepare, silent
from mmarch.runs.assemble import assemble
from mmarch.sanitize.audit import EVERY, Audit

REPEATS = 5
CHOSEN = {"arch": "arm64"}


def main(workloads: list[str]) -> None:
    """A line for each workload."""
    print(f"{'workload':>24} {'plain':>9} {'watched':>9} {'ratio':>6} {'a look':>8}")
    for name in workloads or ["redis-bgsave", "numpy-pool"]:
        plain, watched = in_turn(lambda name=name: run(name, 0), lambda name=name: run(name, EVERY))
        looks = -(-len(prepare(name, "", "", None, silent, dict(CHOSEN), "linked").workload.ops) // EVERY)
        cost = (watched - plain) / looks
        print(f"{name:>24} {plain:8.0f}m {watched:8.0f}m {watched / plain:6.2f} {cost:7.2f}m")


def run(name: str, every: int) -> None:
    """Read the workload, assemble a machine, run all of it."""
    job = prepare(name, "", "", None, silent, dict(CHOSEN), "linked")
    machine = assemble(job.setup, job.workload, job.request, silent)
    rows = len(job.workload.ops)
    if not every:
        machine.call("run_operations", 0, rows)
        return
    watch = Audit(machine, every)
    for row in range(rows):
        machine.call("run_operations", row, row + 1)
        assert not watch.ran(row, row + 1 == rows)


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
