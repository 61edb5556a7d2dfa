"""Fault injection: one allocation of a call fails (lib/fault-inject.c:should_fail_ex, /proc/PID/fail-nth).

Page frames, page tables, pages of a gather, swap slots and references to them, VMAs, anon_vmas, their chains, address
spaces and inodes can fail; the kernel's trees of VMAs and of cached pages take no memory of their own here.
"""

from __future__ import annotations

from core_mm.decl import cold
from core_mm.mm_types import mach


def should_fail() -> int:
    """Whether this allocation fails: the one that counts `mach.fail_nth` down to 0."""
    return count_down() if mach.fail_nth else 0


@cold
def count_down() -> int:
    """One allocation nearer."""
    mach.fail_nth -= 1
    return int(mach.fail_nth == 0)
