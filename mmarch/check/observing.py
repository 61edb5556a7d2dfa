"""What is mapped, read from the page tables of a machine by a walk of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from core_mm.mm_types import PG_DIRTY, PG_SWAPCACHE
from mmarch.check.system import System
from mmarch.engine.direct import DirectMachine


class Seen(NamedTuple):
    """One mapped page: `swapped` instead of a frame, or a frame with what its entry says."""

    pfn: int
    swapped: bool = False
    write: bool = False
    young: bool = False
    dirty: bool = False
    valid: bool = False
    special: bool = False
    huge: bool = False


Place = tuple[int, int]  # mm, page number


class Observer:
    """Looks at a System that runs interpreted."""

    def __init__(self, system: System) -> None:
        assert isinstance(system.machine, DirectMachine)
        self.system, self.machine = system, system.machine
        cfg = self.machine.cfg
        self.bits, self.shift, self.levels = cfg.pte_bits, cfg.page_shift, cfg.levels
        self.ptes = self.machine.memory.arrays["ptes"]
        self.frames = self.machine.memory.tables["PAGE"]
        self.mms = self.machine.memory.tables["MM"]
        self.hook = self.machine.hooks

    def mm_of(self, task: int) -> int:
        """The address space of a task, 0 if it has none."""
        return int(self.machine.memory.tables["TASK"]["mm"][task + 1])

    def live(self) -> list[int]:
        """Every address space with a user, the kernel's left out."""
        return [mm for mm in range(2, int(self.machine.mach.next_mm)) if self.mms["mm_users"][mm]]

    def pages(self) -> dict[Place, Seen]:
        """Every page that is mapped or swapped out."""
        return {(mm, page): seen for mm in self.live() for page, seen in self.walk(mm)}

    def walk(self, mm: int) -> Iterator[tuple[int, Seen]]:
        """Those of one address space."""
        yield from self._table(int(self.mms["pgd"][mm]), self.levels - 1, 0)

    def _table(self, slot: int, level: int, base: int) -> Iterator[tuple[int, Seen]]:
        first = slot << self.bits
        for index in np.flatnonzero(self.ptes[first : first + (1 << self.bits)]).tolist():
            raw = int(self.ptes[first + index])
            page = base + (index << self.bits * level)
            if level == 0:
                yield page, self.entry(self.hook["ptep_get"](first + index))
            elif level == 1 and self.hook["pmd_leaf"](raw):
                seen = self.entry(self.hook["pmd_pte"](raw))._replace(huge=True)
                for i in range(1 << self.bits):
                    yield page + i, seen._replace(pfn=seen.pfn + i)
            else:
                yield from self._table(self.hook["table_slot"](raw), level - 1, page)

    def look(self, mm: int, page: int) -> Seen | None:
        """One page of one address space."""
        slot, mask = int(self.mms["pgd"][mm]), (1 << self.bits) - 1
        for level in range(self.levels - 1, 0, -1):
            raw = int(self.ptes[(slot << self.bits) + ((page >> self.bits * level) & mask)])
            if not raw:
                return None
            if level == 1 and self.hook["pmd_leaf"](raw):
                seen = self.entry(self.hook["pmd_pte"](raw))._replace(huge=True)
                return seen._replace(pfn=seen.pfn + (page & mask))
            slot = self.hook["table_slot"](raw)
        at = (slot << self.bits) + (page & mask)
        return self.entry(self.hook["ptep_get"](at)) if self.ptes[at] else None

    def entry(self, pte: int) -> Seen:
        """What a value says."""
        hook = self.hook
        if not hook["pte_present"](pte):
            return Seen(hook["pte_to_swp_entry"](pte), swapped=True)
        names = ("write", "young", "dirty", "valid", "special")
        return Seen(hook["pte_pfn"](pte), **{name: bool(hook["pte_" + name](pte)) for name in names})

    # -- bookkeeping ------------------------------------------------------------------

    def folio_dirty(self, pfn: int) -> bool:
        """Whether the folio of a frame is marked dirty."""
        return bool(self.frames["flags"][self.frames["head"][pfn]] & PG_DIRTY)

    def saved(self, pfn: int) -> bool:
        """Whether a swap slot holds what is in the frame."""
        return bool(self.frames["flags"][self.frames["head"][pfn]] & PG_SWAPCACHE)
