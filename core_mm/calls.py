"""The tree of calls that an image with `Options.calls` keeps: who called whom, counts and log rows by call.

A row of `counters` is one path of calls: rows below ROOTS belong to operations, as always, the others are
handed out as paths are first taken. `mach.hook` holds the path under way, less the operation's rows.
"""

from __future__ import annotations

from core_mm.decl import noinline
from core_mm.mm_types import CALL, RECENT, cfg, mach
from core_mm.vmstat import EVENTS, HOOKS

ROOTS = 32 * HOOKS
EVENT_BITS = EVENTS.bit_length() - 1
RECENT_MASK = 4095


def enter(function: int) -> int:
    """`function` begins; returns what `mach.hook` must be again when it ends."""
    here = mach.hook
    operation = mach.scope >> EVENT_BITS
    recent = function & RECENT_MASK
    child = RECENT.child[recent]
    if RECENT.parent[recent] != operation + here or CALL.function[child] != function:
        child = find_call(operation + here, function)
    mach.hook = child - operation
    return here


@noinline
def find_call(parent: int, function: int) -> int:
    """The path of `function` below `parent`, which is new when first taken."""
    child = CALL.first[parent]
    while child and CALL.function[child] != function:
        child = CALL.next[child]
    if child == 0:
        child = new_call(parent, function)
    RECENT.parent[function & RECENT_MASK] = parent
    RECENT.child[function & RECENT_MASK] = child
    return child


@noinline
def new_call(parent: int, function: int) -> int:
    """A path that is taken for the first time; `parent` itself if there is no room for more."""
    row = max(mach.next_call, ROOTS)
    if row >= cfg.nr_calls:
        return parent
    mach.next_call = row + 1
    CALL.function[row] = function
    CALL.parent[row] = parent
    CALL.next[row] = CALL.first[parent]
    CALL.first[parent] = row
    return row
