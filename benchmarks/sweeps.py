"""What a point of a sweep costs, in CPU time: a worker, the client, the store, and a Dask scheduler.

python benchmarks/sweeps.py [POINTS]     2,000 by default; a few seconds for each thousand
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mmarch.grid import store
from mmarch.grid.journal import Journal
from mmarch.grid.plan import Plan, plan
from mmarch.grid.spec import read
from mmarch.grid.work import count

LINES = """scenario ten
map A 512
write A
protect A 0 16 read
fork
child: write A 16..32
reap
dontneed A 0 64
unmap A 64 64
end
"""
CHUNK, TASKS = 30, 2000


def main(points: int) -> None:
    """Print a line for each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ten.scn").write_text(LINES)
        for workload in ("redis-bgsave", "ten.scn"):
            made = measured(
                f"digest, {workload}", points, lambda workload=workload: planned(folder, workload, points)
            )
            sample = [point for _, point in zip(range(100), made.distinct(), strict=False)]
            count(sample[0])
            measured(
                f"count, {workload}", len(sample), lambda sample=sample: [count(point) for point in sample]
            )
            through_a_store(folder / f"store of {workload}", made)
    print(f"memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:>8} MiB")
    through_a_scheduler()


def measured(what: str, number: int, work: Callable[[], Plan] | Callable[[], object]) -> Plan:
    """What `work` made, and its CPU time by `number`."""
    start = time.process_time()
    found = work()
    print(f"{what:<28} {1e6 * (time.process_time() - start) / number:>8.1f} µs each")
    return found  # type: ignore[return-value]


def planned(folder: Path, workload: str, points: int) -> Plan:
    """So many seeds of a workload."""
    path = folder / "grid.toml"
    path.write_text(f'[axes]\nworkload = "{workload}"\nseed = {{ last = {points - 1} }}\n')
    return plan(read(path))


def through_a_store(folder: Path, made: Plan) -> None:
    """One row under the digests of all points: into journals, from there into segments."""
    entry = count(next(made.distinct()))
    with store.opened(folder, made) as (kept, _):
        names: list[str] = []

        def write() -> None:
            for first in range(0, len(made.digests), CHUNK):
                with Journal.begin(kept.journals, f"chunk{first}") as journal:
                    names.append(journal.name)
                    for digest in made.digests[first : first + CHUNK]:
                        journal.write({**entry, "digest": digest})

        measured("  into a journal", len(made.digests), write)
        kept.take(names, 0)
        measured("  from journals to a segment", len(made.digests), kept.seal)


def through_a_scheduler() -> None:
    """Tasks that do nothing, on a scheduler and a client in this process and two workers."""
    from distributed import Client, LocalCluster

    with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.gather([client.submit(abs, number, pure=False) for number in range(100)])
        start = time.time()
        measured(
            "a chunk through a scheduler",
            TASKS,
            lambda: client.gather([client.submit(abs, number, pure=False) for number in range(TASKS)]),
        )
        print(f"{'  by the clock':<28} {TASKS / (time.time() - start):>8.0f} a second")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 2000)
