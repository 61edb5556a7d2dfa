"""What core-mm owes an architecture after it changed entries, whether or not that does anything with it.

At the end of a fault, which pages have translations now (Documentation/core-api/cachetlb.rst: update_mmu_cache_range);
once for each batch that is zapped, an entry of it (arch_check_zapped_pte).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import cast

from core_mm import pgtable
from mmarch.check.outcome import CheckFailed
from mmarch.engine.machine import Machine

FAULT, ZAP = "handle_mm_fault", "zap_pte_range"
CLEARING = ("clear_ptes", "clear_full_ptes", "ptep_get_and_clear_full")
Page = tuple[int, int]  # mm, page number


class Told:
    """Follows faults and zaps of an interpreted machine; CheckFailed where something is left out or made up.

    owed  pages that the fault under way has made accessible and not told of
    made  all that it has made accessible
    """

    def __init__(self, machine: Machine) -> None:
        self.vm_mm = machine.memory.tables["VMA"]["vm_mm"]
        self.shift = machine.memory.get("cfg", "page_shift")
        self.present = machine._binder.hooks["pte_present"]
        self.pmd_off, self.pte_offset_map = (
            machine._binder.function(cast(FunctionType, one))
            for one in (pgtable.pmd_off, pgtable.pte_offset_map)
        )
        self.faults = 0
        self.owed, self.made = set[Page](), set[Page]()
        self.zapping, self.unchecked = 0, 0

    def called(self, name: str, given: Mapping[str, int]) -> None:
        """Core-mm calls a hook, whose arguments are named as in core_mm/hookspecs.py."""
        if self.faults and name == "set_ptes":
            self._installs(**given)
        elif self.faults and name == "update_mmu_cache_range":
            self._hears(**given)
        elif self.zapping and name in CLEARING:
            self.unchecked += 1
        elif self.zapping and name == "arch_check_zapped_pte":
            self._checks(given["pte"])

    def returned(self, name: str, given: Mapping[str, int], result: int) -> None:
        """A hook that core-mm called is done."""
        if self.faults and result and name == "ptep_set_access_flags":
            self._makes(int(self.vm_mm[given["vma"]]), given["addr"], 1)

    def enters(self, name: str) -> None:
        """A function of core-mm begins."""
        if name == FAULT:
            if not self.faults:
                self.made.clear()
            self.faults += 1
        elif name == ZAP:
            self.zapping, self.unchecked = 1, 0

    def leaves(self, name: str) -> None:
        """It ends."""
        if name == FAULT:
            self.faults -= 1
            if self.owed:
                mm, page = min(self.owed)
                raise CheckFailed(
                    f"a fault makes page {page << self.shift:#x} of mm {mm} accessible and ends without "
                    "update_mmu_cache_range for it"
                )
        elif name == ZAP:
            self.zapping = 0
            if self.unchecked:
                raise CheckFailed(f"{self.unchecked} batches are zapped without arch_check_zapped_pte")

    def _installs(self, mm: int, addr: int, ptep: int, pte: int, nr: int) -> None:
        """What goes into a table that hangs nowhere yet is not accessible by it."""
        pmdp = self.pmd_off(mm, addr)
        if self.present(pte) and pmdp and self.pte_offset_map(pmdp, addr) == ptep:
            self._makes(mm, addr, nr)

    def _makes(self, mm: int, addr: int, nr: int) -> None:
        pages = {(mm, (addr >> self.shift) + i) for i in range(nr)}
        self.owed |= pages
        self.made |= pages

    def _hears(self, vmf: int, vma: int, addr: int, ptep: int, nr: int) -> None:
        told = {(int(self.vm_mm[vma]), (addr >> self.shift) + i) for i in range(nr)}
        if untrue := told - self.made:
            mm, page = min(untrue)
            raise CheckFailed(
                f"core-mm calls update_mmu_cache_range for page {page << self.shift:#x} of mm {mm}, whose entry "
                "the fault has not changed"
            )
        self.owed -= told

    def _checks(self, pte: int) -> None:
        if self.unchecked != 1 or not self.present(pte):
            raise CheckFailed(
                f"core-mm calls arch_check_zapped_pte with entry {pte:#x} after {self.unchecked} batches; right is "
                "one that was mapped, of one batch"
            )
        self.unchecked = 0
