"""Contiguous blocks that are made and dissolved: what entries show, against what the architecture says.

A block that is written contiguous is folded if the same hook had it whole as single entries before, else it is
installed; one that the same hook leaves whole as single entries is unfolded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from core_mm.vmstat import CONT_INSTALL, FOLD, LOG_CONVERT, LOG_PTE, NAMES, UNFOLD
from mmarch.engine.machine import Machine

FOLDED, SINGLE = 1, 2  # forms of a block all of whose entries are present


class Conversion(NamedTuple):
    """An event, and the first entry of the block that it is about, by its index in a table."""

    event: int
    entry: int

    def __str__(self) -> str:
        return f"{NAMES[self.event]} of a block at entry {self.entry} of its table"


class Block:
    """Entries, the form they had when they last had one, and what has become of them since.

    hooks    that have written to them
    cleared  whether one of them was empty
    """

    def __init__(self, entries: int) -> None:
        self.entries, self.form, self.hooks, self.cleared = [0] * entries, 0, set[int](), True

    def store(self, at: int, entry: int, hook: int) -> None:
        """One changes."""
        self.entries[at] = entry
        self.hooks.add(hook)
        self.cleared |= not entry

    def becomes(self, form: int) -> int:
        """The event, 0 for none, that has led to this form."""
        before, alone, cleared = self.form, len(self.hooks) == 1, self.cleared
        self.form, self.hooks, self.cleared = form, set(), False
        if form == FOLDED and (before != FOLDED or cleared):
            return FOLD if before == SINGLE and alone else CONT_INSTALL
        return UNFOLD if form == SINGLE and before == FOLDED and alone else 0


def compared(machine: Machine, cont_mask: int) -> Iterator[str]:
    """What is said of blocks and not so, or so and not said, of a machine whose log has everything."""
    said, done = told(machine), seen(machine, cont_mask, machine._binder.hooks["pte_present"])
    for which in sorted(said.keys() | done.keys()):
        if said[which] != done[which]:
            yield f"{which} is counted {said[which]} times, and happened {done[which]} times"


def told(machine: Machine) -> Counter[Conversion]:
    """Conversions, by rows of the log that say so."""
    shift, bits, size = (machine.memory.get("cfg", name) for name in ("page_shift", "pte_bits", "cont_ptes"))
    found = Counter[Conversion]()
    for event, addr, blocks, _ in logged(machine, LOG_CONVERT):
        for page in range(addr >> shift, (addr >> shift) + blocks * size, size):
            found[Conversion(event, page & (1 << bits) - 1)] += 1
    return found


def seen(machine: Machine, cont_mask: int, present: Callable[[int], int]) -> Counter[Conversion]:
    """The same, by rows of the log about entries; the log has to be complete."""
    bits, size = machine.memory.get("cfg", "pte_bits"), machine.memory.get("cfg", "cont_ptes")
    blocks: dict[int, Block] = {}
    found = Counter[Conversion]()
    for ptep, _, entry, hook in logged(machine, LOG_PTE):
        first = ptep & -size
        block = blocks.setdefault(first, Block(size))
        block.store(ptep - first, entry, hook)
        if (form := form_of(block.entries, cont_mask, present)) and (event := block.becomes(form)):
            found[Conversion(event, first & (1 << bits) - 1)] += 1
    return found


def form_of(entries: list[int], cont_mask: int, present: Callable[[int], int]) -> int:
    """FOLDED or SINGLE, 0 if not all are present and alike in that."""
    if not all(entries) or not all(map(present, entries)):
        return 0
    contiguous = sum(entry & cont_mask != 0 for entry in entries)
    return FOLDED if contiguous == len(entries) else 0 if contiguous else SINGLE


def logged(machine: Machine, wanted: int) -> Iterator[tuple[int, int, int, int]]:
    """Operands a, b, c of rows of one kind, and the outermost hook under way."""
    log, length = machine.memory.tables["LOG"], machine.memory.get("mach", "log_len")
    rows = np.flatnonzero(log["kind"][:length] == wanted)
    return zip(*(log[name][rows].tolist() for name in ("a", "b", "c", "call")), strict=True)
