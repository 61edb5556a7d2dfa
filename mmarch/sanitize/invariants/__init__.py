"""What is always true of core-mm between two operations: each check reads memory and says what is not so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mmarch.sanitize.invariants import (
    buddies,
    cache,
    chains,
    frames,
    lists,
    owners,
    reverse,
    rows,
    spaces,
    swap,
    tables,
)  # fmt: skip
from mmarch.sanitize.invariants.finding import Finding
from mmarch.sanitize.state import State

Check = Callable[[State], Iterator[Finding]]
GLANCED: tuple[Check, ...] = (
    lists.idle, tables.tables, frames.blocks, frames.mapcounts, frames.references, frames.exclusive, owners.owners,
    spaces.resident, spaces.mappings, swap.slots, cache.page_cache, reverse.reverse, chains.chains,
)  # which mmarch.sanitize.glance doubts too  # fmt: skip
CHECKS: tuple[Check, ...] = (
    *GLANCED, chains.families, rows.rows, rows.trees, rows.rings, rows.files, buddies.free_lists,
)  # fmt: skip
WORTH = 20  # findings of one moment; the rest follows from these

__all__ = ["GLANCED", "Finding", "broken"]


def broken(state: State, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """What is wrong at a moment, the likely cause first."""
    return list(_limited(finding for check in checks for finding in check(state)))


def _limited(findings: Iterator[Finding]) -> Iterator[Finding]:
    for finding, _ in zip(findings, range(WORTH), strict=False):
        yield finding
