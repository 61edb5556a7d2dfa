"""Many raw entries at once: what core-mm reads in them, asked of the architecture once for each kind of entry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core_mm.swapops import FRAME, MIGRATION
from core_mm.uapi import ACCESS_EXEC, ACCESS_READ, ACCESS_WRITE
from mmarch.engine.direct import DirectMachine
from mmarch.engine.machine import Config
from mmarch.sanitize.asking import Asking, function_of

Numbers = NDArray[np.int64]

# What attributes say, a bit each: READS, WRITES and EXECUTES are what the table walker lets through.
PRESENT, WRITABLE, SPECIAL, INVERTED, READS, WRITES, EXECUTES, DIRTY = 1, 2, 4, 8, 16, 32, 64, 128
PROBES = 28  # bits of a frame number
SCRATCH = 8  # an entry of no table
PTE_LEVEL = 3


@dataclass(frozen=True)
class Read:
    """What entries say; `frame` of those that are present or stand for a migration, `slot` of those in swap."""

    bits: Numbers
    frame: Numbers
    slot: Numbers
    exclusive: NDArray[np.bool_]
    migration: NDArray[np.bool_]


class Entries:
    """Reads entries of one configuration."""

    def __init__(self, config: Config, machine: DirectMachine) -> None:
        self.hooks = machine.hooks
        self._ptes = machine.memory.arrays["ptes"]
        model = config.arch.tlb_model
        self._cont = model.cont_mask if model else 0
        self._plain = function_of(machine, model.plain) if model and model.plain else None
        self._index = (1 << config.arch.granules[config.granule or config.arch.default_granule].pte_bits) - 1
        self._mask, self._shift = self._frame_bits()
        self._known = np.zeros(0, np.int64)  # attributes, sorted
        self._says = np.zeros(0, np.int64)
        self._swap: dict[int, tuple[int, int, bool, bool]] = {}
        self._upper: dict[int, tuple[bool, int]] = {}

    def _frame_bits(self) -> tuple[int, int]:
        """The bits of an entry that hold the frame, and how far up they begin."""
        values = [self.hooks["pfn_pte"](1 << k, 0) ^ self.hooks["pfn_pte"](0, 0) for k in range(PROBES)]
        shift = values[0].bit_length() - 1
        return sum(bit for k, bit in enumerate(values) if bit == 1 << (shift + k)), shift

    def read(self, raws: Numbers, pteps: Numbers) -> Read:
        """Entries that are not zero, `raws` at `pteps`; those of PMD leaves as pmd_pte gives them."""
        if self._plain is not None:
            raws = self._single(raws, pteps)
        elif self._cont:
            raws = raws & ~self._cont
        bits = self._attributes(raws)
        frame = (raws & self._mask) >> self._shift
        for at in np.flatnonzero(bits & INVERTED).tolist():
            frame[at] = self.hooks["pte_pfn"](int(raws[at]))
        slot = np.zeros(len(raws), np.int64)
        exclusive, migration = np.zeros(len(raws), np.bool_), np.zeros(len(raws), np.bool_)
        for at in np.flatnonzero(bits & PRESENT == 0).tolist():
            slot[at], frame[at], exclusive[at], migration[at] = self._absent(int(raws[at]))
        return Read(bits, frame, slot, exclusive, migration)

    def upper(self, raw: int) -> tuple[bool, int]:
        """Of an entry above the PTEs: whether it is a leaf, and else the table it points to."""
        if raw not in self._upper:
            leaf = bool(self.hooks["pmd_leaf"](raw))
            self._upper[raw] = leaf, 0 if leaf else self.hooks["table_slot"](raw)
        return self._upper[raw]

    def leaf(self, raw: int) -> int:
        """The PTE that a PMD leaf amounts to."""
        return self.hooks["pmd_pte"](raw)

    def _single(self, raws: Numbers, pteps: Numbers) -> Numbers:
        """Entries of contiguous blocks as entries of one page, where a raw one does not say its frame."""
        assert self._plain is not None
        made = raws.copy()
        for at in np.flatnonzero(raws & self._cont).tolist():
            made[at] = self._plain(int(raws[at]), int(pteps[at]) & self._index)
        return made

    def _attributes(self, raws: Numbers) -> Numbers:
        wanted = raws & ~self._mask
        for _ in range(2):
            if len(self._known):
                place = np.minimum(np.searchsorted(self._known, wanted), len(self._known) - 1)
                unknown = self._known[place] != wanted
                if not unknown.any():
                    return self._says[place]
                self._learn(raws[unknown])
            else:
                self._learn(raws)
        return np.zeros(0, np.int64) if not len(raws) else self._says[np.searchsorted(self._known, wanted)]

    def _learn(self, raws: Numbers) -> None:
        fresh, first = np.unique(raws & ~self._mask, return_index=True)
        says = [self._ask(int(raws[at])) for at in first.tolist()]
        known = np.concatenate([self._known, fresh])
        order = np.argsort(known)
        self._known, self._says = known[order], np.concatenate([self._says, np.array(says, np.int64)])[order]

    def _ask(self, raw: int) -> int:
        hooks = self.hooks
        if not hooks["pte_present"](raw):
            return 0
        says = PRESENT
        says |= WRITABLE if hooks["pte_write"](raw) else 0
        says |= SPECIAL if hooks["pte_special"](raw) else 0
        says |= DIRTY if hooks["pte_dirty"](raw) else 0
        says |= INVERTED if hooks["pte_pfn"](raw) != (raw & self._mask) >> self._shift else 0
        if hooks["pte_valid"](raw):
            for access, bit in ((ACCESS_READ, READS), (ACCESS_WRITE, WRITES), (ACCESS_EXEC, EXECUTES)):
                self._ptes[SCRATCH] = hooks["pte_mkyoung"](raw)
                says |= bit if hooks["mmu_access"](2, 0, SCRATCH, PTE_LEVEL, access) else 0
        return says

    def _absent(self, raw: int) -> tuple[int, int, bool, bool]:
        """Slot, frame, whether exclusive, whether a migration entry."""
        if raw not in self._swap:
            entry = self.hooks["pte_to_swp_entry"](raw)
            migration = bool(entry & MIGRATION)
            exclusive = bool(self.hooks["pte_swp_exclusive"](raw))
            self._swap[raw] = (0, entry & FRAME, False, True) if migration else (entry, 0, exclusive, False)
        return self._swap[raw]


entries_of = Asking(Entries)
