"""Random programs come to everything: a campaign of a fixed seed does each kind of thing, and often enough."""

from __future__ import annotations

from collections import Counter

import pytest

from mmarch.check.context import Context
from mmarch.plugins import load_arch
from mmarch.sanitize import soak
from mmarch.sanitize.reach import partly_mapped, reached
from mmarch.sanitize.state import Reader

OPERATIONS, SEED = 4000, 1
OFTEN = {
    "swap_out": 100, "swap_in": 100, "fault_swap": 50, "folio_split": 8, "split_pmd": 5, "fault_pmd": 3, "collapse": 2,
    "fault_reuse": 100, "fault_cow": 300, "gather_page": 50, "gather_flush_full": 20, "pte_table_free": 50,
    "SIGBUS": 5, "SIGSEGV": 20, "ENOMEM": 5, "fetch": 8, "fork": 10, "clone": 3, "vfork": 2, "execve": 3, "exit": 10,
    "unlink": 2, "drop_caches": 10, "ftruncate": 8, "fallocate": 8, "msync": 3, "brk": 8, "mremap": 20, "spawn": 5,
    "lru_gen": 8, "clear_refs": 8, "pwrite": 5, "partly mapped": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def campaign() -> Counter[str]:
    """Eight machines, some of them with little memory."""
    arch, generic = load_arch("arm64").descriptor, load_arch("generic").descriptor
    total: Counter[str] = Counter()
    for made in soak.rounds(Context(arch, generic, release="7.3", granule="4k").config(), OPERATIONS, SEED):
        machine = soak.machine(made, "interpreted")
        reader, rows = Reader(machine), len(made.rows)
        for row in range(0, rows, 10):
            machine.memory.set("mach", "log_len", 0)
            machine.call("run_operations", row, min(row + 10, rows))
            total["partly mapped"] += partly_mapped(reader)
        total += reached(machine, rows)
    return total


@pytest.mark.parametrize("what", OFTEN)
def test_happens_often(campaign: Counter[str], what: str) -> None:
    """A call that succeeds, an error, or an event of core-mm, so many times at least."""
    assert campaign[what] >= OFTEN[what]
