"""What an entry says, in the architecture's own words."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core_mm.descriptor import PteName
from mmarch.engine.direct import DirectMachine
from mmarch.runs.assemble import machine_config
from mmarch.runs.configure import Setup

LEVELS = ("PTE", "PMD", "PUD", "P4D", "PGD")
SMALL = 16 << 20  # bytes of memory of the machine that is asked
GENERIC = (
    ("pte_valid", "valid"), ("pte_write", "write"), ("pte_young", "young"), ("pte_dirty", "dirty"),
    ("pte_special", "special"), ("pte_protnone", "protnone"),
)  # fmt: skip
FRAME_BITS = 32  # of 16 TiB in pages of 4 KiB
Ints = NDArray[np.int64]


def runs(*columns: Ints) -> tuple[Ints, Ints]:
    """Where rows begin that are alike in all columns, and how many they are; neighbouring entries mostly are."""
    changes = sum(
        (column[1:] != column[:-1] for column in columns), np.zeros(max(len(columns[0]) - 1, 0), bool)
    )
    starts = np.flatnonzero(np.concatenate([np.ones(min(len(columns[0]), 1), bool), changes]))
    return starts, np.diff(starts, append=len(columns[0]))


class Entries:
    """Asks the value hooks of one configuration; a set of attributes once."""

    def __init__(self, setup: Setup) -> None:
        machine = DirectMachine(replace(machine_config(setup), memory=SMALL, log_rows=0, tlb_entries=0))
        self.hooks = machine.hooks
        self.names: tuple[PteName, ...] = setup.arch.descriptor.pte_names
        model = setup.arch.descriptor.tlb_model
        self.ptrs = 1 << setup.geometry.pte_bits
        self.block = setup.geometry.cont_ptes
        self._plain = machine.bound(_named(model.plain)) if model and model.plain else None
        self.cont_mask = _signed(model.cont_mask) if model else 0
        self.frame_mask, self._frame_shift = self._frame_bits()
        self._resident: dict[int, bool] = {}
        self.mask = sum({bit for name in self.names for bit in _bits(name.mask)})
        self._texts: dict[int, str] = {}

    def _frame_bits(self) -> tuple[int, int]:
        """Which bits of an entry of one page hold its frame: a mask and a shift."""
        bits = [self.hooks["pfn_pte"](1 << k, 0) for k in range(FRAME_BITS)]
        shift = bits[0].bit_length() - 1
        return sum(bit for k, bit in enumerate(bits) if bit == 1 << shift + k), shift

    def is_leaf(self, entry: int) -> bool:
        """Whether an entry of an upper level maps memory itself."""
        return bool(self.hooks["pmd_leaf"](entry))

    def child(self, entry: int) -> int:
        """The table that an entry of an upper level points to."""
        return self.hooks["table_slot"](entry)

    def mapped(self, entry: int) -> bool:
        """Whether it maps a frame that counts as resident; not the zero page."""
        return self.present(entry) and not self.hooks["pte_special"](entry)

    def frame(self, entry: int, page: int) -> int:
        """The frame that an entry for page number `page` maps; every entry of a block may hold the block's first."""
        plain = self._plain(entry, page & self.ptrs - 1) if self._plain else entry
        return self.hooks["pte_pfn"](plain)

    def resident(self, raws: Ints) -> NDArray[np.bool_]:
        """`mapped` of each entry; equal attributes are asked for once."""
        attributes = raws & ~self.frame_mask
        starts, lengths = runs(attributes)
        kinds = attributes[starts]
        for kind in set(kinds.tolist()) - self._resident.keys():
            self._resident[kind] = self.mapped(kind)
        return np.repeat(np.array([self._resident[kind] for kind in kinds.tolist()], bool), lengths)

    def frames(self, raws: Ints, pages: Ints) -> Ints:
        """`frame` of each entry."""
        found: Ints = (raws & self.frame_mask) >> self._frame_shift
        if self._plain:
            for at in np.flatnonzero(self.folded(raws)).tolist():
                found[at] = self.frame(int(raws[at]), int(pages[at]))
        return found

    def folded(self, raws: Ints) -> NDArray[np.bool_]:
        """Whether each entry is one of a contiguous block."""
        found: NDArray[np.bool_] = raws & self.cont_mask != 0
        return found

    def present(self, entry: int) -> bool:
        """Whether it maps a frame, accessible or not."""
        return bool(self.hooks["pte_present"](entry) or self.hooks["pmd_leaf"](entry))

    def attributes(self, entry: int) -> str:
        """As ptdump shows them, with the architecture's names or, where it has none, generic ones."""
        if not self.present(entry):
            return "swap"
        if not self.names:
            return " ".join(self._generic(entry))
        key = entry & self.mask
        if key not in self._texts:
            self._texts[key] = attributes(self.names, entry)
        return self._texts[key]

    def _generic(self, entry: int) -> Iterator[str]:
        for hook, name in GENERIC:
            yield name if self.hooks[hook](entry) else "-" * len(name)
        if self.block > 1:
            yield "block" if entry & self.cont_mask else "-" * 5


def attributes(names: Iterable[PteName], entry: int) -> str:
    """What the architecture calls the bits of an entry, in ptdump's columns."""
    words = (name.set if entry & name.mask == name.value else name.clear for name in names)
    return " ".join(word for word in words if word).rstrip()


def _named(dotted: str) -> Callable[..., int]:
    """A function that is named as "module:function"."""
    module, _, name = dotted.partition(":")
    found: Callable[..., int] = getattr(importlib.import_module(module), name)
    return found


def _bits(mask: int) -> set[int]:
    return {1 << bit for bit in range(64) if mask >> bit & 1}


def _signed(value: int) -> int:
    """As 64-bit memory holds it."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
