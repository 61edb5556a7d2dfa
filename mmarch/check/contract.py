"""What core-mm owes the hooks: the entry of the address, batches in one table, VMA and folio, no write given away.

And no flush in lazy mode, no question about the page of an entry that has none, and the truth about `full`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from core_mm import internal, rmap
from core_mm.mm_types import PG_ANON, PG_ORDER_SHIFT
from mmarch.check.lazy import Sections
from mmarch.check.outcome import CheckFailed
from mmarch.check.swapping import Keeper
from mmarch.check.system import System
from mmarch.engine.direct import Bound, DirectMachine
from mmarch.engine.hookimpls import parameters

WITH_MM = ("set_ptes", "clear_ptes", "clear_full_ptes", "clear_not_present_full_ptes", "wrprotect_ptes")
WITH_VMA = (
    "test_and_clear_young_ptes", "clear_flush_young_ptes", "clear_young_dirty_ptes", "modify_prot_start_ptes",
    "modify_prot_commit_ptes",
)  # fmt: skip
ALIKE = {"mm": "mm", "vma": "vma", "addr": "addr", "address": "addr", "ptep": "ptep"}
PLACED = (("mm", "addr", "ptep"), ("vma", "addr", "ptep"))
NR = {"set_ptes": 4, "modify_prot_commit_ptes": 5}  # which argument is `nr`, 3 otherwise
FLUSHES = (
    "flush_tlb_all", "flush_tlb_mm", "flush_tlb_range", "flush_tlb_page", "flush_pmd_tlb_range", "tlb_flush",
    "ptep_clear_flush", "arch_tlbbatch_flush", "arch_flush_tlb_batched_pending",
)  # fmt: skip
WALKER = "mmu_access"  # is no call of core-mm's, and gets leaves as well
OF_PAGES = ("pte_pfn", "pte_young", "pte_dirty", "pte_write")  # what only an entry with a page has


class Contract:
    """Watches the hooks of a System, whose machine has the `replacements` of `sections` and `keeper` as well."""

    def __init__(self, system: System, sections: Sections, keeper: Keeper) -> None:
        assert isinstance(system.machine, DirectMachine)
        self.machine = system.machine
        self.hook = self.machine.hooks
        self.bits, self.shift = self.machine.cfg.pte_bits, self.machine.cfg.page_shift
        self.frames = self.machine.memory.tables["PAGE"]
        self.vmas = self.machine.memory.tables["VMA"]
        self.tables = self.machine.memory.tables["PTDESC"]
        self.sections = sections
        sections.watch(self.machine)
        keeper.watch(self.machine)
        for name in (*WITH_MM, *WITH_VMA):
            self._wrap(name, self._guarded)
        for name in FLUSHES:
            self._wrap(name, self._flushing)
        for name in OF_PAGES:
            self._wrap(name, self._of_page)
        for name, declared in self.machine.config.hooks.items():
            if parameters(declared)[-1:] == ("full",):
                self._wrap(name, self._full)
            if name != WALKER and tuple(ALIKE.get(one) for one in parameters(declared)[:3]) in PLACED:
                self._wrap(name, self._placed)

    def _wrap(self, name: str, make: Callable[[str, Bound], Bound]) -> None:
        cell = self.machine.cells[name]
        cell["target"] = make(name, cell["target"])

    def _flushing(self, name: str, winner: Bound) -> Bound:
        """Core-mm itself; what a hook does inside is the architecture's own affair."""
        number = self.machine.layout.hook_number(name)

        def flushing(*arguments: int) -> int:
            if self.sections.active and self.machine.mach.hook == number:
                raise CheckFailed(
                    f"core-mm calls {name} in lazy MMU mode, while changes of entries may be waiting to be made"
                )
            return winner(*arguments)

        return flushing

    def _of_page(self, name: str, winner: Bound) -> Bound:
        """An entry that is not present says other things in the same bits."""
        number, present = self.machine.layout.hook_number(name), self.hook["pte_present"]

        def asked(pte: int) -> int:
            if self.machine.mach.hook == number and not present(pte):
                raise CheckFailed(f"core-mm asks {name} of entry {pte:#x}, which is not present")
            return winner(pte)

        return asked

    def _full(self, name: str, winner: Bound) -> Bound:
        """`full` is 1 if and only if nobody uses the address space any more."""
        by_vma = parameters(self.machine.config.hooks[name])[0] == "vma"
        number, users = self.machine.layout.hook_number(name), self.machine.memory.tables["MM"]["mm_users"]

        def told(*arguments: int) -> int:
            mm = int(self.vmas["vm_mm"][arguments[0]]) if by_vma else arguments[0]
            if self.machine.mach.hook == number and arguments[-1] != int(users[mm] == 0):
                raise CheckFailed(f"core-mm calls {name} with full={arguments[-1]}, and {users[mm]} tasks use mm {mm}")
            return winner(*arguments)

        return told

    def _placed(self, name: str, winner: Bound) -> Bound:
        """The entry is that of the address, in a table of the address space, and a VMA has the address."""
        by_vma = parameters(self.machine.config.hooks[name])[0] == "vma"

        def placed(*arguments: int) -> int:
            owner, addr, ptep = arguments[:3]
            if by_vma:
                self._inside(name, owner, addr, 1)
                owner = int(self.vmas["vm_mm"][owner])
            table, index = ptep >> self.bits, ptep & (1 << self.bits) - 1
            if (addr >> self.shift) & (1 << self.bits) - 1 != index or self.tables["mm"][table] != owner:
                raise CheckFailed(
                    f"core-mm calls {name} for address {addr:#x} of mm {owner} with entry {index} of a table of "
                    f"mm {self.tables['mm'][table]}"
                )
            return winner(*arguments)

        return placed

    def _guarded(self, name: str, winner: Bound) -> Bound:
        at = NR.get(name, 3)

        def guarded(*arguments: int) -> int:
            owner, addr, ptep, nr = arguments[0], arguments[1], arguments[2], arguments[at]
            self._range(name, ptep, nr)
            if name in WITH_VMA:
                self._inside(name, owner, addr, nr)
            if name == "set_ptes":
                self._installs(ptep, arguments[3], nr)
            elif name == "modify_prot_commit_ptes":
                self._installs(ptep, arguments[4], nr)
            elif name != "clear_not_present_full_ptes":
                self._batch(name, ptep, nr)
            return winner(*arguments)

        return guarded

    def _range(self, name: str, ptep: int, nr: int) -> None:
        if nr < 1 or ptep >> self.bits != (ptep + nr - 1) >> self.bits:
            raise CheckFailed(
                f"core-mm calls {name} for {nr} entries from {ptep:#x} on, which is not in one table"
            )

    def _inside(self, name: str, vma: int, addr: int, nr: int) -> None:
        start, end = int(self.vmas["vm_start"][vma]), int(self.vmas["vm_end"][vma])
        if addr < start or addr + (nr << self.shift) > end:
            raise CheckFailed(
                f"core-mm calls {name} for {nr} pages at {addr:#x}, outside the VMA {start:#x}-{end:#x}"
            )

    def _batch(self, name: str, ptep: int, nr: int) -> None:
        """Present entries of consecutive pages of one folio."""
        first = self.hook["pte_pfn"](self.hook["ptep_get"](ptep))
        for i in range(nr if nr > 1 else 0):
            pte = self.hook["ptep_get"](ptep + i)
            if not self.hook["pte_present"](pte) or self.hook["pte_pfn"](pte) != first + i:
                raise CheckFailed(f"core-mm calls {name} for {nr} entries, entry {i} is not the next page")
        if nr > 1 and self.frames["head"][first] != self.frames["head"][first + nr - 1]:
            raise CheckFailed(
                f"core-mm calls {name} for {nr} entries from frame {first:#x} on, of two folios"
            )

    def _installs(self, ptep: int, pte: int, nr: int) -> None:
        """A batch goes into entries that are not present; what becomes writable is not shared."""
        if nr > 1:
            for i in range(nr):
                old = self.hook["ptep_get"](ptep + i)
                if not self.hook["pte_none"](old) and self.hook["pte_present"](old):
                    raise CheckFailed(f"core-mm calls set_ptes for {nr} entries, entry {i} is present")
        if (
            not self.hook["pte_present"](pte)
            or not self.hook["pte_write"](pte)
            or self.hook["pte_special"](pte)
        ):
            return
        first = self.hook["pte_pfn"](pte)
        for pfn in range(first, first + nr):
            anon = int(self.frames["flags"][self.frames["head"][pfn]]) & PG_ANON
            if anon and not self.frames["anon_exclusive"][pfn]:
                raise CheckFailed(f"core-mm makes frame {pfn:#x} writable, which another process may share")


def replacements(entries: int) -> dict[Callable[..., Any], Callable[[Bound], Bound]]:
    """Functions of core-mm to watch from the start, of a machine whose tables have so many entries."""
    return {internal.folio_pte_batch_flags: partial(_scan, entries), rmap.add_ptes: partial(_mapped, entries)}


def _scan(entries: int, original: Bound) -> Bound:
    """A scan for a batch may not leave its table."""

    def scan(folio: int, ptep: int, pte: int, max_nr: int, flags: int) -> int:
        if max_nr < 1 or ptep // entries != (ptep + max_nr - 1) // entries:
            raise CheckFailed(
                f"core-mm looks for a batch in {max_nr} entries from {ptep:#x} on, beyond their table"
            )
        return original(folio, ptep, pte, max_nr, flags)

    return scan


def _mapped(entries: int, original: Bound) -> Bound:
    """Whoever maps a page has a reference for it already; entries that replace a leaf have the leaf's."""
    space = getattr(original, "__globals__", {})

    def add(folio: int, page: int, nr: int, vma: int) -> int:
        result = original(folio, page, nr, vma)
        frames = space["PAGE"]
        large = (
            frames.flags[folio] & space["PG_LARGE"]
            if "PG_LARGE" in space
            else space["folio_test_large"](folio)
        )
        mapped = frames.private[folio + 1] if large else frames.mapcount[folio]
        huge = 1 << (frames.flags[folio] >> PG_ORDER_SHIFT) >= entries
        if mapped > frames.refcount[folio] + (frames.private[folio + 2] if large and huge else 0):
            raise CheckFailed(
                f"folio {folio:#x} has {mapped} mappings and {frames.refcount[folio]} references"
            )
        return result

    return add
