"""What core-mm owes an architecture after it changed entries, whether or not that does anything with it.

At the end of a fault, which pages have translations now (Documentation/core-api/cachetlb.rst: update_mmu_cache_range);
once for each batch that is zapped, an entry of it (arch_check_zapped_pte). And to a folio of a file what the entries
knew of it (mm/memory.c:zap_present_folio_ptes, mm/huge_memory.c:zap_huge_pmd_folio).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import cast

from core_mm import pgtable
from core_mm.mm_types import PG_ANON, VM_RAND_READ, VM_SEQ_READ
from mmarch.check.outcome import CheckFailed
from mmarch.engine.machine import Machine

FAULT, ZAP, ZAP_HUGE = "handle_mm_fault", "zap_pte_range", "zap_huge_pmd"
DIRTY, ACCESSED = "folio_mark_dirty", "folio_mark_accessed"
CLEARING = ("clear_ptes", "clear_full_ptes", "ptep_get_and_clear_full")
Page = tuple[int, int]  # mm, page number


class Told:
    """Follows faults and zaps of an interpreted machine; CheckFailed where something is left out or made up.

    owed  pages that the fault under way has made accessible and not told of
    made  all that it has made accessible
    news  functions and the folios that they are still to be called for, because of what was zapped
    """

    def __init__(self, machine: Machine) -> None:
        self.machine, self.hooks = machine, machine._binder.hooks
        self.vm_mm, self.vm_flags = (machine.memory.tables["VMA"][name] for name in ("vm_mm", "vm_flags"))
        self.frames = machine.memory.tables["PAGE"]
        self.shift = machine.memory.get("cfg", "page_shift")
        self.present = self.hooks["pte_present"]
        self.pmd_off, self.pte_offset_map = (
            machine._binder.function(cast(FunctionType, one))
            for one in (pgtable.pmd_off, pgtable.pte_offset_map)
        )
        self.faults = 0
        self.owed, self.made = set[Page](), set[Page]()
        self.zapping, self.unchecked = 0, 0  # the VMA, and batches of it
        self.news = set[tuple[str, int]]()

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
        elif self.zapping and name == "clear_ptes":
            self._learns(result, 1, 1)
        elif self.zapping and name == "pmdp_huge_get_and_clear_full":
            on = (self.machine.memory.get("feature", name) for name in ("zap_pmd_dirty", "zap_pmd_accessed"))
            self._learns(self.hooks["pmd_pte"](result), *on)

    def enters(self, name: str, given: Mapping[str, int]) -> None:
        """A function of core-mm begins."""
        if name == FAULT:
            if not self.faults:
                self.made.clear()
            self.faults += 1
        elif name in (ZAP, ZAP_HUGE):
            self.zapping, self.unchecked = given["vma"], 0
        elif self.zapping and name in (DIRTY, ACCESSED):
            if (name, given["folio"]) not in self.news:
                raise CheckFailed(f"core-mm calls {name} for a folio of whose entries none says that")
            self.news.remove((name, given["folio"]))

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
        elif name in (ZAP, ZAP_HUGE):
            self.zapping = 0
            if self.unchecked:
                raise CheckFailed(f"{self.unchecked} batches are zapped without arch_check_zapped_pte")
            if self.news:
                left, folio = min(self.news)
                raise CheckFailed(
                    f"entries of folio {folio:#x} are zapped without {left}, which they ask for"
                )

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

    def _learns(self, pte: int, dirty: int, accessed: int) -> None:
        """What was cleared says of a file's page, as far as this release cares."""
        folio = int(self.frames["head"][self.hooks["pte_pfn"](pte)])
        if self.frames["flags"][folio] & PG_ANON or self.hooks["pte_special"](pte):
            return
        if dirty and self.hooks["pte_dirty"](pte):
            self.news.add((DIRTY, folio))
        seldom = self.vm_flags[self.zapping] & (VM_SEQ_READ | VM_RAND_READ)
        if accessed and self.hooks["pte_young"](pte) and not seldom:
            self.news.add((ACCESSED, folio))
