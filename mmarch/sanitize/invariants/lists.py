"""Nothing is under way between two operations: no gather, no deferred flush, no folio on its way to be freed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core_mm import vmstat
from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.state import State

IDLE = {
    "lazy_enabled": "sections of lazy MMU mode are open",
    "lazy_paused": "sections of lazy MMU mode are paused",
    "nr_isolated": "folios are isolated from the LRU",
    "reclaimed": "is the first folio that reclaim has not freed",
    "tlb_ubc": "says that a deferred flush waits, which nobody completes before frames are used again",
}
WARNINGS = {value: name for name, value in vars(vmstat).items() if name.startswith("W_")}


def idle(state: State) -> Iterator[Finding]:
    """No WARN() was hit, and every list of an operation under way is empty."""
    get = state.get
    if get("warned"):
        code = WARNINGS.get(get("warn_code"), str(get("warn_code")))
        yield Finding(
            "warning", f"core-mm warned {get('warned')} times, first {code} of {get('warn_value'):#x}"
        )
    for name, what in IDLE.items():
        if get(name):
            yield Finding("idle", f"mach.{name} is {get(name)}: {what}")
    if get("next_gather") != 1:
        yield Finding("gather", f"{get('next_gather') - 1} gathers were begun and not finished")
    yield from _batches(state)
    pending = state.column("MM", "tlb_flush_pending", get("next_mm"))
    for mm in np.flatnonzero(pending).tolist():
        yield Finding("gather", f"mm {mm}: tlb_flush_pending is {pending[mm]}, and no gather is under way")


def _batches(state: State) -> Iterator[Finding]:
    """Batches of slots are all on their free list."""
    following = state.column("BATCH", "next", state.get("next_batch"))
    seen: set[int] = set()
    batch = state.get("free_batches")
    while batch and batch not in seen and batch < len(following):
        seen.add(batch)
        batch = int(following[batch])
    if batch:
        yield Finding("gather", f"batch {batch} was freed twice")
    left = sorted(set(range(1, len(following))) - seen)
    if left and not batch:
        yield Finding("gather", f"batch {left[0]} of a finished gather was never freed ({len(left)} in all)")
