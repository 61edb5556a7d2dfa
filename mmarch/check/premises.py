"""What stands on what: the checks and tiers that say nothing where an earlier check fails."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SYSTEM = ("gather", "tlb", "lockless", "stateful", "differential", "meaning")  # whole faults and system calls
TABLES = ("batch", "contiguous", *SYSTEM)
RANDOM = ("tlb.random", "tlb.rare")
SWAP = (
    "batch.clear-swap",
    "tlb.reclaim",
    "tlb.deferred",
    "tlb.pending",
    *RANDOM,
    "stateful",
    "differential",
)
PROT = ("batch.modify-prot", "batch.modify-prot-one", "contiguous.modify-prot", "tlb.mprotect", *RANDOM)

PREMISES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "load.hooks": ("smoke", "algebra", *TABLES),
        "load.results": ("smoke", "algebra", *TABLES),
        "load.capabilities": ("contiguous",),
        "load.stores": ("contiguous", "tlb", "lockless"),
        "smoke.set-get-clear": TABLES,
        "smoke.walk": ("algebra.permits", "algebra.execute", *TABLES),
        "smoke.hardware-ad": ("lockless", "tlb.spurious"),
        "smoke.tlb": ("tlb", "contiguous.bbm"),
        "algebra.present": TABLES,
        "algebra.none": TABLES,
        "algebra.fresh": TABLES,
        "algebra.keep": TABLES,
        "algebra.advance": TABLES,
        "algebra.young": TABLES,
        "algebra.dirty": TABLES,
        "algebra.write": TABLES,
        "algebra.write-dirty": TABLES,
        "algebra.permits": TABLES,
        "algebra.execute": (*RANDOM, "stateful", "differential.engines"),
        "algebra.modify": (*PROT, "stateful", "differential"),
        "algebra.needs-flush": ("tlb.mprotect", *RANDOM, "stateful"),
        "algebra.same": ("stateful",),
        "algebra.swap": SWAP,
        "algebra.special": ("gather.pfnmap", "stateful", "differential"),
        "algebra.pmd": ("batch.pmd-clear", "batch.pmd-young", *RANDOM, "stateful", "differential"),
        "algebra.table": SYSTEM,
    }
)


def stands_on(check: str, premise: str) -> bool:
    """Whether `check` says nothing where `premise` fails."""
    return any(check == name or check.partition(".")[0] == name for name in PREMISES.get(premise, ()))
