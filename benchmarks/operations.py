"""Operations that linked code executes per page, counted, not timed: the guard against slow regressions.

    python benchmarks/operations.py            print what is counted now
    python benchmarks/operations.py --update   make that the baseline

An operation is one instruction of the intermediate code before it is optimised, so that the figures are
the same on every machine. `tests/benchmarks/test_operations.py` compares them with `operations.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from core_mm import uapi
from mmarch.engine.lower import Options
from mmarch.engine.machine import Config, Machine
from mmarch.runs.assemble import roots
from mmarch.runs.configure import Choices, configure

BASELINE = Path(__file__).parent / "operations.json"
BASE, LENGTH, PAGES = 1 << 38, 2 << 20, 512
RW = uapi.PROT_READ | uapi.PROT_WRITE
ANON = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
KERNELS = {
    "touch": (uapi.OP_TOUCH, 1, BASE, PAGES, uapi.ACCESS_WRITE),
    "mprotect": (uapi.OP_MPROTECT, 1, BASE, LENGTH, uapi.PROT_READ),
    "fork": (uapi.OP_FORK, 1, 2),
    "child exit": (uapi.OP_EXIT, 2),
    "munmap": (uapi.OP_MUNMAP, 1, BASE, LENGTH),
}


def machine(release: str, order: int) -> Machine:
    """An arm64 machine whose image counts operations."""
    setup = configure(Choices(release=release, folio_orders=str(order)))
    config = Config(
        arch=setup.arch.descriptor, generic=setup.generic.descriptor, release=release,
        anon_orders=1 << order if order else 0, memory=1 << 30,
    )  # fmt: skip
    import numpy as np

    rows = np.zeros((4, uapi.COLUMNS), np.int64)
    made = Machine(config, "linked", roots(), operations=rows, options=Options(operations=True))
    made.call("boot")
    return made


def executed(machine: Machine, *row: int) -> int:
    """Operations of one row, which must succeed."""
    slot = machine.layout.operations
    before = int(machine.memory.root[slot])
    machine.memory.arrays["ops"][: uapi.COLUMNS] = [*row, *[0] * (uapi.COLUMNS - len(row))]
    if machine.call("run_operations", 0, 1):
        raise SystemExit(f"operation {row} failed")
    return int(machine.memory.root[slot]) - before


def counted() -> dict[str, float]:
    """Operations a page of every kernel, release and order."""
    found = {}
    for release in ("6.12", "7.3"):
        for order in (0, 4):
            twin = machine(release, order)
            advice = uapi.MADV_HUGEPAGE if order else uapi.MADV_NOHUGEPAGE
            executed(twin, uapi.OP_SPAWN, 1)
            executed(twin, uapi.OP_MMAP, 1, BASE, LENGTH, RW, ANON, -1)
            executed(twin, uapi.OP_MADVISE, 1, BASE, LENGTH, advice)
            for name, row in KERNELS.items():
                found[f"{release} order {order} {name}"] = round(executed(twin, *row) / PAGES, 1)
    return found


def main() -> None:
    """Print or update."""
    now = counted()
    if "--update" in sys.argv[1:]:
        BASELINE.write_text(json.dumps(now, indent=1) + "\n")
    print(json.dumps(now, indent=1))


if __name__ == "__main__":
    main()
