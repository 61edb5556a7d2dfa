"""Does the cost of a page or an event grow with what is mapped, or with the number of processes?

    python benchmarks/scaling.py [--sizes 64,1024,8192,65536] [--processes 1,10,100,1000]

Prints nanoseconds a page for mapped memory of different sizes, nanoseconds an event with different numbers
of processes alive, memory that mapped pages (and a forked copy of their tables) take beyond a booted machine's,
and how much two cores speed up independent replays and traces.
Each figure is the minimum of three, after one pass that lets the host back the machine's memory with pages.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))
from twin import ANON, BASE, PAGE, RW, Twin

from core_mm import uapi
from mmarch.engine.machine import Machine
from mmarch.runs.assemble import Request, assemble
from mmarch.runs.configure import Choices, configure
from mmarch.runs.parallel import cores, each
from mmarch.runs.several import Job, count_all
from mmarch.runs.workloads import open_workload
from mmarch.workload import Workload

REPEAT = 3
T = TypeVar("T")


def resident() -> int:
    """Bytes of the process, at their highest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def alone(function: Callable[[int, int], T], *arguments: int) -> T:
    """Called in a process of its own, whose memory is nobody else's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def of_size(mebibytes: int, order: int) -> tuple[dict[str, float], float]:
    """Nanoseconds a page of each operation, and bytes of memory beyond those of a booted machine."""
    twin = Twin("arm64", "7.3", order, mebibytes << 20)
    before = resident()
    best: dict[str, float] = {}
    for number in range(REPEAT + 1):
        times = {}
        twin.fresh()
        times["touch"] = twin.touch()
        times["fork"] = twin.do((uapi.OP_FORK, 1, 2))
        times["child exit"] = twin.do((uapi.OP_EXIT, 2))
        times["munmap"] = twin.do((uapi.OP_MUNMAP, 1, BASE, twin.length))
        twin.unmap()
        if number:
            best = {name: min(value, best.get(name, value)) for name, value in times.items()}
    return {name: value / twin.pages for name, value in best.items()}, resident() - before


def machine(rows: int, tasks: int) -> Machine:
    """A booted machine with room for that many operations and tasks."""
    ops = np.zeros((rows, uapi.COLUMNS), np.int64)
    ops[:, 1] = tasks + 2
    workload = Workload("scaling", ops, np.zeros(rows, np.int32))
    return assemble(configure(Choices(release="7.3")), workload, Request(engine="linked"), lambda _: None)


def timed(machine: Machine, rows: list[tuple[int, ...]]) -> float:
    """Nanoseconds for operations that must succeed."""
    padded = np.array([[*row, *[0] * (uapi.COLUMNS - len(row))] for row in rows], np.int64)
    machine.memory.arrays["ops"][: padded.size] = padded.reshape(-1)
    begin = time.perf_counter_ns()
    if machine.call("run_operations", 0, len(rows)):
        raise SystemExit("an operation failed")
    return float(time.perf_counter_ns() - begin)


def with_processes(count: int) -> dict[str, float]:
    """Nanoseconds an event while `count` processes that share memory copy-on-write are alive."""
    loops, page = 500, PAGE
    made = machine(4 * loops + 2 * count, count)
    region = (uapi.OP_MMAP, 1, BASE, 64 * page, RW, ANON, -1)
    timed(made, [(uapi.OP_SPAWN, 1), region, (uapi.OP_TOUCH, 1, BASE, 64, 1)])
    if count > 1:
        timed(made, [(uapi.OP_FORK, 1, 2 + i) for i in range(count - 1)])
    own = BASE + (1 << 32)
    small = [
        (uapi.OP_MMAP, 1, own, page, RW, ANON, -1),
        (uapi.OP_TOUCH, 1, own, 1, 1),
        (uapi.OP_MUNMAP, 1, own, page),
    ]
    birth = [(uapi.OP_FORK, 1, count + 1), (uapi.OP_TOUCH, 1, BASE, 64, 1), (uapi.OP_EXIT, count + 1)]
    return {
        "mmap, touch, munmap": min(timed(made, small * loops) for _ in range(REPEAT)) / loops,
        "fork, 64 copies, exit": min(timed(made, birth * loops) for _ in range(REPEAT)) / loops,
    }


def on_two_cores() -> float:
    """How much faster eight replays of the bundled trace are on two threads than on one; the first pass is left out."""
    setup = configure(Choices())
    source = open_workload().workload(setup)
    rows = len(source.ops)
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(REPEAT + 1):
        for jobs, found in times.items():
            machines = [assemble(setup, source, Request(engine="linked"), lambda _: None) for _ in range(8)]
            begin = time.perf_counter()
            each(lambda m: m.call("run_operations", 0, rows), machines, jobs=jobs)
            found.append(time.perf_counter() - begin)
    return min(times[1][1:]) / min(times[2][1:])


def traces_on_two_cores(copies: int = 16) -> float:
    """How much faster independent traces are read and replayed on two cores than on one, start-up included."""
    jobs = [Job("redis-bgsave", "", "", Choices(), Request(engine="linked", runs=2))] * copies
    times = []
    for number in ("1", "2"):
        os.environ["MMARCH_JOBS"] = number
        begin = time.perf_counter()
        count_all(jobs)
        times.append(time.perf_counter() - begin)
    del os.environ["MMARCH_JOBS"]
    return times[0] / times[1]


def show(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="64,1024,8192,65536", help="MiB, comma-separated")
    parser.add_argument("--processes", default="1,10,100,1000")
    options = parser.parse_args()
    for order in (0, 4):
        rows, names = [], []
        for size in map(int, options.sizes.split(",")):
            times, memory = alone(of_size, size, order)
            names = list(times)
            bytes_a_page = memory / (size << 20 >> 12)
            memory_cells = [f"{memory / (1 << 20):.0f}", f"{bytes_a_page:.0f}"]
            rows.append([f"{size} MiB", *(f"{value:.1f}" for value in times.values()), *memory_cells])
        show(f"order {order}: ns a page", ["mapped", *names, "MiB taken", "bytes a page"], rows)
    events = {count: with_processes(count) for count in map(int, options.processes.split(","))}
    names = list(next(iter(events.values())))
    show(
        "ns an event",
        ["processes", *names],
        [[str(count), *(f"{times[name]:.0f}" for name in names)] for count, times in events.items()],
    )
    if cores() > 1:
        print(f"eight replays of the bundled trace: {on_two_cores():.2f} times as fast on two cores")
        print(f"16 traces read and replayed: {traces_on_two_cores():.2f} times as fast on two cores")


if __name__ == "__main__":
    main()
