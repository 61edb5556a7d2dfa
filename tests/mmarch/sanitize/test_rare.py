"""Seldom operations do seldom things: a campaign of a fixed seed meets errors and what few programs ask for."""

from __future__ import annotations

from collections import Counter

import pytest

from core_mm.uapi import COLUMNS, MAP_LOCKED, MREMAP_DONTUNMAP, OP_CLEAR_REFS, OP_MMAP, OP_MREMAP
from mmarch.check.context import Context
from mmarch.plugins import load_arch
from mmarch.sanitize import rare, soak
from mmarch.sanitize.reach import reached

OPERATIONS, SEED = 1800, 2
OFTEN = {"EINVAL": 5, "EFAULT": 1, "EEXIST": 1, "ENOMEM": 2, "SIGSEGV": 10, "SIGBUS": 1}
CALLS = {"locked": 3, "old mapping stays": 2, "other accessed flags": 2, "in place": 1}


@pytest.fixture(scope="module")
def campaign() -> Counter[str]:
    """Some machines, a few of them with little memory; calls that succeeded by what is special of them."""
    arch, generic = load_arch("arm64").descriptor, load_arch("generic").descriptor
    total: Counter[str] = Counter()
    base = Context(arch, generic, release="7.3", granule="4k").config()
    for made in rare.rounds(base, OPERATIONS, SEED):
        machine, rows = soak.machine(made, "interpreted"), len(made.rows)
        machine.memory.set("mach", "log_len", 0)
        machine.call("run_operations", 0, rows)
        total += reached(machine, rows)
        ops = machine.memory.arrays["ops"][: rows * COLUMNS].reshape(-1, COLUMNS)
        op, done = ops[:, 0], machine.memory.arrays["results"][:rows] >= 0
        total["locked"] += int((done & (op == OP_MMAP) & (ops[:, 5] & MAP_LOCKED != 0)).sum())
        total["old mapping stays"] += int(
            (done & (op == OP_MREMAP) & (ops[:, 5] & MREMAP_DONTUNMAP != 0)).sum()
        )
        total["in place"] += int((done & (op == OP_MREMAP) & (ops[:, 5] == 0)).sum())
        total["other accessed flags"] += int((done & (op == OP_CLEAR_REFS) & (ops[:, 2] > 1)).sum())
    return total


@pytest.mark.parametrize("what", [*OFTEN, *CALLS])
def test_happens_often(campaign: Counter[str], what: str) -> None:
    """An error, or a call of its kind that succeeds, so many times at least."""
    assert campaign[what] >= {**OFTEN, **CALLS}[what]
