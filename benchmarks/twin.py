"""The pass of native.c, and its small loops, on a machine of mmarch.

As a program it answers requests, a line of JSON each, for `against_native.py --against`: the Python that runs it
decides which installation answers.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

import mmarch
from core_mm import uapi
from mmarch.engine.machine import Machine
from mmarch.workload import Workload

try:
    from mmarch.runs.assemble import Request, assemble
    from mmarch.runs.configure import Choices, configure
except ModuleNotFoundError:  # an installation from before there were rooms
    from mmarch.assemble import Request, assemble
    from mmarch.configure import Choices, configure

PAGE, HUGE = 4096, 2 << 20
BASE = 1 << 40
RW = uapi.PROT_READ | uapi.PROT_WRITE
ANON = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
LOOPS = 20000

Times = dict[str, float]


class Twin:
    """A booted machine on which the pass of native.c runs."""

    def __init__(self, arch: str, release: str, order: int, length: int) -> None:
        memory = max(4 * length, 1 << 30)
        setup = configure(
            Choices(arch=arch, release=release, folio_orders=str(order), memory=str(memory), granule="4k")
        )
        rows = 4 * LOOPS if length == 0 else 2 * length // HUGE + 16
        ops = np.zeros((rows, uapi.COLUMNS), np.int64)
        ops[:, 1] = 3  # the highest task
        empty = Workload("benchmark", ops, np.zeros(rows, np.int32))
        request = Request(engine="linked", madvise=True)
        self.machine: Machine = assemble(setup, empty, request, lambda text: print(text, file=sys.stderr))
        self.order, self.length, self.pages = order, length, length // PAGE
        self.do((uapi.OP_SPAWN, 1))

    def do(self, *rows: tuple[int, ...]) -> float:
        """Run operations, all of which must succeed; nanoseconds."""
        ops = self.machine.memory.arrays["ops"]
        for i, row in enumerate(rows):
            padded = [*row, *[0] * (uapi.COLUMNS - len(row))]
            ops[i * uapi.COLUMNS : (i + 1) * uapi.COLUMNS] = padded
        begin = time.perf_counter_ns()
        self.machine.call("run_operations", 0, len(rows))
        elapsed = time.perf_counter_ns() - begin
        failed = self.machine.memory.arrays["results"][: len(rows)] < 0
        if failed.any():
            raise SystemExit(f"operation {rows[int(failed.argmax())]} failed in the twin")
        return float(elapsed)

    def fresh(self) -> None:
        """Reserve and map."""
        none = uapi.MAP_NORESERVE | ANON
        advice = uapi.MADV_HUGEPAGE if self.order else uapi.MADV_NOHUGEPAGE
        self.do(
            (uapi.OP_MMAP, 1, BASE - HUGE, self.length + 2 * HUGE, uapi.PROT_NONE, none, -1),
            (uapi.OP_MMAP, 1, BASE, self.length, RW, ANON, -1),
            (uapi.OP_MADVISE, 1, BASE, self.length, advice),
        )

    def touch(self) -> float:
        """Write to every page."""
        return self.do((uapi.OP_TOUCH, 1, BASE, self.pages, uapi.ACCESS_WRITE))

    def populated(self) -> None:
        """Mapped and written; huge pages by PTEs."""
        self.fresh()
        self.touch()
        self.map_by_ptes()

    def map_by_ptes(self) -> None:
        """Split huge pages as the native program does."""
        if self.order != 9:
            return
        rows = []
        for address in range(BASE, BASE + self.length, HUGE):
            rows += [
                (uapi.OP_MPROTECT, 1, address, PAGE, uapi.PROT_READ),
                (uapi.OP_MPROTECT, 1, address, PAGE, RW),
            ]
        self.do(*rows)

    def unmap(self) -> None:
        """Everything."""
        self.do((uapi.OP_MUNMAP, 1, BASE - HUGE, self.length + 2 * HUGE))

    def run(self) -> Times:
        """The pass of native.c; nanoseconds a page."""
        times = {}
        self.fresh()
        times["touch"] = self.touch()
        self.map_by_ptes()
        times["munmap"] = self.do((uapi.OP_MUNMAP, 1, BASE, self.length))
        self.unmap()
        self.populated()
        times["dontneed"] = self.do((uapi.OP_MADVISE, 1, BASE, self.length, uapi.MADV_DONTNEED))
        self.unmap()
        self.populated()
        times["mprotect_ro"] = self.do((uapi.OP_MPROTECT, 1, BASE, self.length, uapi.PROT_READ))
        times["mprotect_rw"] = self.do((uapi.OP_MPROTECT, 1, BASE, self.length, RW))
        self.unmap()
        self.populated()
        times["fork"] = self.do((uapi.OP_FORK, 1, 2))
        times["child_exit"] = self.do((uapi.OP_EXIT, 2))
        self.do((uapi.OP_FORK, 1, 2))
        times["cow"] = self.touch()
        self.do((uapi.OP_EXIT, 2))
        self.unmap()
        return {name: value / self.pages for name, value in times.items()}

    def loops(self) -> Times:
        """The small operations of native.c; nanoseconds an iteration."""
        page = (
            (uapi.OP_MMAP, 1, BASE, PAGE, RW, ANON, -1),
            (uapi.OP_TOUCH, 1, BASE, 1, uapi.ACCESS_WRITE),
            (uapi.OP_MUNMAP, 1, BASE, PAGE),
        )
        heap = 1 << 30
        self.do((uapi.OP_EXEC, 1, heap))
        breaks = ((uapi.OP_BRK, 1, heap + 16 * PAGE), (uapi.OP_BRK, 1, heap))
        return {
            "mmap_touch_munmap": self.do(*page * LOOPS) / LOOPS,
            "brk_up_down": self.do(*breaks * LOOPS) / LOOPS,
        }


def serve() -> None:
    """Say whose code this is, then answer requests (arch, release, order, bytes) with times until input ends."""
    print(Path(mmarch.__file__).parent, flush=True)
    twins: dict[tuple[str, str, int, int], Twin] = {}
    for line in sys.stdin:
        arch, release, order, size = json.loads(line)
        key = (arch, release, order, size)
        if key not in twins:
            twins[key] = Twin(*key)
        print(json.dumps(twins[key].run() if size else twins[key].loops()), flush=True)


if __name__ == "__main__":
    serve()
