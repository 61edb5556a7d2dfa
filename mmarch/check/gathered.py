"""Whether a gather says what was recorded for it when the architecture is asked to flush (asm-generic/tlb.h).

The range from the lowest to the highest address, the levels of entries, whether tables go, of an address space that
goes away or that two have unmapped at once, and what the last mapping is. And whether a flush of entries of one level
says so where the CPU can make use of that (arch/arm64/include/asm/tlb.h:tlb_get_level).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from core_mm.mm_types import VM_EXEC, VM_PFNMAP
from core_mm.vmstat import ARCH_EVENT, LOG_TLBI
from mmarch import cpus
from mmarch.check.outcome import CheckFailed
from mmarch.engine.machine import Machine

ENTRIES = ("cleared_ptes", "cleared_pmds", "cleared_puds", "cleared_p4ds")  # by level
OF_VMA = ("vma_exec", "vma_pfn")
NOWHERE = 1 << 62
# what a hint calls the level of entries
LEAVES: Mapping[tuple[str, ...], int] = {("cleared_ptes",): 3, ("cleared_pmds",): 2}
HINT, LEVEL = 32, 3  # where it is in a row of LOG_TLBI, and which of its bits


@dataclass
class Gather:
    """What is expected of a gather; `inside` is the VMA that it is at, 0 between two."""

    mm: int
    fullmm: int
    start: int = NOWHERE
    end: int = 0
    marks: set[str] = field(default_factory=set)
    vma: dict[str, int] = field(default_factory=dict)
    inside: int = 0

    def columns(self) -> dict[str, int]:
        """Of its row; what is not named is 0."""
        none = dict.fromkeys((*ENTRIES, "freed_tables", "need_flush_all", *OF_VMA), 0)
        own = {"mm": self.mm, "fullmm": self.fullmm, "start": self.start, "end": self.end}
        return none | dict.fromkeys(self.marks, 1) | self.vma | own

    def reset(self) -> None:
        """It was flushed, or it starts anew."""
        self.start, self.end = NOWHERE, 0
        self.marks.clear()


class Gathered:
    """Follows the gathers of an interpreted machine by calls of functions of core_mm/mmu_gather.py."""

    def __init__(self, machine: Machine) -> None:
        tables, memory = machine.memory.tables, machine.memory
        self.rows, self.vm_flags, self.log = tables["GATHER"], tables["VMA"]["vm_flags"], tables["LOG"]
        self.pending = tables["MM"]["tlb_flush_pending"]
        self.page_size = 1 << memory.get("cfg", "page_shift")
        self.sticky = memory.get("feature", "vma_pfn_sticky")
        self.mach = machine._binder._group("mach")
        self.hinted = hinted(machine)
        self.gathers: dict[int, Gather] = {}
        self.wanted = -1  # level of the leaves that are being flushed
        self.first = 0  # row where their log begins

    def enters(self, name: str, given: Mapping[str, int]) -> None:
        """A function begins."""
        if name in STEPS:
            STEPS[name](self, **given)

    def called(self, name: str, given: Mapping[str, int]) -> None:
        """Core-mm calls a hook."""
        if name == "tlb_flush":
            self._flushes(**given)
        elif name == "flush_pmd_tlb_range":
            self._expects(LEAVES["cleared_pmds",])

    def _flushes(self, tlb: int) -> None:
        gather = self.gathers[tlb]
        for name, right in gather.columns().items():
            if (found := int(self.rows[name][tlb])) != right:
                raise CheckFailed(f"core-mm has a gather flushed with {name} {found:#x}; right is {right:#x}")
        self._expects(LEAVES.get(tuple(sorted(gather.marks)), 0))
        gather.reset()

    def _expects(self, level: int) -> None:
        """Entries of this level are being flushed, 0: of several."""
        self.wanted, self.first = level, self.mach.log_len

    def returned(self, name: str) -> None:
        """A hook that core-mm called is done."""
        for hint in self._hints() if name in ("tlb_flush", "flush_pmd_tlb_range") else ():
            if hint & LEVEL != self.wanted:
                raise CheckFailed(
                    f"a flush of entries of level {self.wanted} has hint {hint} for the CPU, which takes such hints"
                )

    def _hints(self) -> Iterator[int]:
        """Of every invalidation of pages."""
        for row in range(self.first, self.mach.log_len):
            if self.log["kind"][row] == LOG_TLBI and self.log["a"][row] in self.hinted:
                yield int(self.log["c"][row]) >> HINT

    def _start(self, mm: int, fullmm: int) -> None:
        self.gathers[self.mach.next_gather] = Gather(mm, fullmm)

    def _vma(self, tlb: int, vma: int) -> None:
        gather, flags = self.gathers[tlb], int(self.vm_flags[vma])
        self._leaves(gather, 0)
        gather.inside = vma
        if gather.fullmm:
            return
        pfn = int(flags & VM_PFNMAP != 0)
        sticky = gather.vma.get("vma_pfn", 0) if self.sticky else 0
        gather.vma = dict(zip(OF_VMA, (int(flags & VM_EXEC != 0), pfn | sticky), strict=True))

    def _vma_ends(self, tlb: int, vma: int) -> None:
        self._leaves(self.gathers[tlb], vma)

    def _leaves(self, gather: Gather, vma: int) -> None:
        """tlb_end_vma comes once for each tlb_start_vma, and for the same VMA."""
        if gather.inside != vma:
            at = f"VMA {gather.inside}" if gather.inside else "none"
            end = f"tlb_end_vma of VMA {vma}" if vma else "going on without tlb_end_vma"
            raise CheckFailed(f"core-mm has a gather at {at}: {end} is wrong")
        gather.inside = 0

    def _ptes(self, tlb: int, address: int, size: int) -> None:
        self._add(tlb, address, size, ENTRIES[0])

    def _pmds(self, tlb: int, address: int, size: int) -> None:
        self._add(tlb, address, size, ENTRIES[1])

    def _pte_table(self, tlb: int, slot: int, address: int) -> None:
        self._table(tlb, slot, address, 0)

    def _table(self, tlb: int, slot: int, address: int, level: int) -> None:
        """The entry that pointed to it is of the next level; the range only has to begin there."""
        self._add(tlb, address, self.page_size, "freed_tables", ENTRIES[level + 1])

    def _add(self, tlb: int, address: int, size: int, *marks: str) -> None:
        gather = self.gathers[tlb]
        gather.start, gather.end = min(gather.start, address), max(gather.end, address + size)
        gather.marks.update(marks)

    def _finish(self, tlb: int) -> None:
        """Another gather of the address space may have taken entries away that are still cached."""
        gather = self.gathers[tlb]
        self._leaves(gather, 0)
        if self.pending[gather.mm] > 1:
            gather.fullmm = 1
            gather.reset()
            gather.marks.add("freed_tables")


STEPS: Mapping[str, Callable[..., None]] = {
    "tlb_gather_start": Gathered._start,
    "tlb_start_vma": Gathered._vma, "tlb_end_vma": Gathered._vma_ends,
    "tlb_flush_pte_range": Gathered._ptes, "tlb_flush_pmd_range": Gathered._pmds,
    "pte_free_tlb": Gathered._pte_table, "table_free_tlb": Gathered._table, "tlb_finish_mmu": Gathered._finish,
}  # fmt: skip


def hinted(machine: Machine) -> set[int]:
    """Events that are invalidations of pages, which may say the level of leaves where this CPU has a use for it."""
    arch = machine.config.arch
    if arch.tlb_model is None or "ttl" not in arch.capabilities_of(cpus.find(arch, machine.config.cpu)):
        return set()
    known = arch.tlb_model.tlbi
    return {
        ARCH_EVENT + n for n, name in enumerate(arch.events) if name in known and known[name].scope == "pages"
    }
