"""What an entry lets the hardware do, asked of the architecture's own value hooks and table walker."""

from __future__ import annotations

from typing import NamedTuple

from core_mm.uapi import ACCESS_EXEC, ACCESS_READ, ACCESS_WRITE
from mmarch.engine.direct import DirectMachine
from mmarch.engine.machine import Config
from mmarch.runs.entries import GENERIC, attributes
from mmarch.sanitize.asking import Asking, function_of

READ, WRITE, EXEC, SILENT_WRITE = 1, 2, 4, 8
_NAMES = ((READ, "r"), (WRITE, "w"), (EXEC, "x"), (SILENT_WRITE, "d"))
SCRATCH = 8  # an entry of no table
WALK_LEVEL = 3
REMEMBERED = 1 << 18  # leaves, which take less time to remember than to work out


class Leaf(NamedTuple):
    """A translation: `permits` of READ, WRITE, EXEC, and SILENT_WRITE (writes that mark nothing dirty any more)."""

    pfn: int
    permits: int
    contiguous: bool
    likeness: int  # equal in entries that differ in frame, accessed and dirty alone


INVALID = Leaf(0, 0, False, 0)


def show_permits(permits: int) -> str:
    """As in `rw-d`."""
    return "".join(letter if permits & bit else "-" for bit, letter in _NAMES)


class Decoder:
    """Raw entries to translations, for one configuration; every distinct set of attributes is asked for once."""

    def __init__(self, config: Config, machine: DirectMachine) -> None:
        model = config.arch.tlb_model
        assert model is not None
        self.hooks, self.model, self._names = machine.hooks, model, config.arch.pte_names
        self.geometry = config.arch.granules[config.granule or config.arch.default_granule]
        self._ptes = machine.memory.arrays["ptes"]
        self._plain = function_of(machine, model.plain) if model.plain else None
        self._mask, self._shift = self._frame_bits()
        self._attributes: dict[int, tuple[int, int] | None] = {}
        self._leaves: dict[int, Leaf] = {}  # by raw entry

    def _frame_bits(self) -> tuple[int, int]:
        """The bits of a plain entry that hold the frame, as a mask and a shift."""
        bits = [self.hooks["pfn_pte"](1 << k, 0) for k in range(28)]
        mask, shift = 0, bits[0].bit_length() - 1
        for k, bit in enumerate(bits):
            if bit == 1 << (shift + k):
                mask |= bit
        return mask, shift

    def leaf(self, raw: int, index: int) -> Leaf:
        """The translation through a PTE at `index` of its table."""
        if not raw:
            return INVALID
        if self._plain:
            return self._decoded(self._plain(raw, index), bool(raw & self.model.cont_mask))
        found = self._leaves.get(raw)
        return found if found is not None else self._remembered(raw)

    def _remembered(self, raw: int) -> Leaf:
        """Of an architecture whose entries say the same at any index."""
        if len(self._leaves) >= REMEMBERED:
            self._leaves.clear()
        found = self._decoded(raw & ~self.model.cont_mask, bool(raw & self.model.cont_mask))
        self._leaves[raw] = found
        return found

    def huge(self, raw: int) -> Leaf:
        """The translation through a PMD leaf."""
        return self._decoded(self.hooks["pmd_pte"](raw), False)

    def _decoded(self, plain: int, contiguous: bool) -> Leaf:
        attributes = plain & ~self._mask
        if attributes not in self._attributes:
            self._attributes[attributes] = self._ask(plain)
        known = self._attributes[attributes]
        if known is None:
            return INVALID
        permits, likeness = known
        return Leaf((plain & self._mask) >> self._shift, permits, contiguous, likeness)

    def _ask(self, plain: int) -> tuple[int, int] | None:
        """What the attributes permit, and what they are but for accessed and dirty; None if not valid."""
        hooks = self.hooks
        if not hooks["pte_present"](plain) or not hooks["pte_valid"](plain):
            return None
        young = hooks["pte_mkyoung"](plain)
        permits = 0
        for access, bit in ((ACCESS_READ, READ), (ACCESS_EXEC, EXEC), (ACCESS_WRITE, WRITE)):
            before, after = self._walk(young, access)
            if after is not None:
                permits |= bit
                if access == ACCESS_WRITE and after == before:
                    permits |= SILENT_WRITE
        return permits, hooks["pte_mkold"](hooks["pte_mkclean"](plain)) & ~self._mask

    def _walk(self, entry: int, access: int) -> tuple[int, int | None]:
        """The entry before and after one access by the hardware; None after a fault."""
        self._ptes[SCRATCH] = entry
        done = self.hooks["mmu_access"](2, 0, SCRATCH, WALK_LEVEL, access)
        return entry, int(self._ptes[SCRATCH]) if done else None

    def words(self, raw: int, upper: bool) -> str:
        """An entry as the architecture calls its bits or, where it has no names, as its hooks see it."""
        if self.hooks["pmd_none" if upper else "pte_none"](raw):
            return "none"
        if upper and not self.hooks["pmd_leaf"](raw):
            return "a table"
        entry = self.hooks["pmd_pte"](raw) if upper else raw
        if not self.hooks["pte_present"](entry):
            return "swap"
        if self._names:
            return " ".join(attributes(self._names, entry).split())
        return " ".join(name for hook, name in GENERIC if self.hooks[hook](entry))

    # -- upper levels -----------------------------------------------------------------

    def is_huge(self, raw: int) -> bool:
        """Whether a PMD entry is a leaf."""
        return bool(raw) and not self.hooks["pmd_none"](raw) and bool(self.hooks["pmd_leaf"](raw))

    def child(self, raw: int) -> int:
        """The table that an upper entry points to; 0 for none."""
        return self.hooks["table_slot"](raw) if raw and not self.hooks["pmd_none"](raw) else 0


decoder_of = Asking(Decoder)
