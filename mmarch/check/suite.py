"""Every check there is; importing this registers them."""

from mmarch.check import (
    algebra,
    batch,
    batch_find,
    contiguous,
    deferring,
    differential,
    effort,
    far,
    gathering,
    history,
    lockless,
    pfnmap,
    smoke,
    stateful,
    tlb,
    tlb_hooks,
)

__all__ = [
    "algebra",
    "batch",
    "batch_find",
    "contiguous",
    "deferring",
    "differential",
    "effort",
    "far",
    "gathering",
    "history",
    "lockless",
    "pfnmap",
    "smoke",
    "stateful",
    "tlb",
    "tlb_hooks",
]
