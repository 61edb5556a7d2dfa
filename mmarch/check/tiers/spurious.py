"""Tier stateful: a fault on an entry that permits the access already, as a CPU has it that holds an older one."""

from __future__ import annotations

from itertools import product

from core_mm.memory import fault
from core_mm.pgtable import pmd_off, pte_offset_map
from core_mm.uapi import ACCESS_READ, ACCESS_WRITE
from core_mm.vmstat import SPURIOUS_FAULT
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.check.system import System, system
from mmarch.check.tiers.raced import entries
from mmarch.check.tiers.tlb import AT, mapped
from mmarch.engine.direct import DirectMachine

PAGES = 32
FIX = "flush_tlb_fix_spurious_fault"
PLACES = (0, 5, PAGES - 1)


@check("stateful.spurious", hooks=(FIX, "ptep_set_access_flags"), source="mm/memory.c:handle_pte_fault")
def spurious(context: Context) -> None:
    """A fault that finds nothing to do changes nothing, is counted, and drops what this CPU has cached if it wrote."""
    for variant in context.variants():
        s = system(variant)
        mapped(s, PAGES)
        for page, access in product(PLACES, (ACCESS_READ, ACCESS_WRITE)):
            if wrong := found(s, AT + page * s.page, access):
                kind = "write" if access == ACCESS_WRITE else "read"
                raise CheckFailed(f"a spurious {kind} fault on page {page} {wrong}{variant.where}", s.steps())


def found(s: System, at: int, access: int) -> str:
    """What is wrong about a fault at a page that is mapped, young, dirty and writable."""
    machine = s.machine
    assert isinstance(machine, DirectMachine)
    vma = machine.memory.tables["VMA"]["vm_start"].tolist().index(AT)
    mm = int(machine.memory.tables["VMA"]["vm_mm"][vma])
    ptep = int(machine.bound(pte_offset_map)(machine.bound(pmd_off)(mm, at), at))
    told: list[tuple[int, ...]] = []
    winner, cell = machine.cells[FIX]["target"], machine.cells[FIX]

    def fixing(*arguments: int) -> int:
        told.append(arguments)
        return int(winner(*arguments))

    counted, before = s.count(SPURIOUS_FAULT), entries(s)
    cell["target"] = fixing
    result = machine.bound(fault.handle_mm_fault)(vma, at, access)
    cell["target"] = winner
    if result:
        return f"returns {result}"
    if entries(s) != before:
        return "changes an entry"
    if s.count(SPURIOUS_FAULT) != counted + 1:
        return f"is counted {s.count(SPURIOUS_FAULT) - counted} times"
    due = [(vma, at, ptep)] if access == ACCESS_WRITE else []
    return "" if told == due else f"calls {FIX} with {told}; right is {due}"
