"""An entry of a contiguous block as the entry of one page: the one thing here that architectures do differently."""

from __future__ import annotations

from core_mm.hookmark import hookspec
from mmarch.sanitize.glance.scratch import glance


@hookspec
def plain_entry(raw: int, index: int) -> int:
    """What a raw entry at `index` of its table stands for: `TlbModel.plain` of the architecture, else `unmarked`."""
    raise NotImplementedError


def unmarked(raw: int, index: int) -> int:
    """Without the mark of blocks."""
    return raw & ~glance.cont_mask
