"""Tier stateful: a fault on an entry that permits the access already, as a CPU has it that holds an older one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
FIX, SET, UPDATE = "flush_tlb_fix_spurious_fault", "ptep_set_access_flags", "update_mmu_cache_range"
Call = tuple[str, tuple[int, ...], int]  # of a hook, and what it returns
PLACES = (0, 5, PAGES - 1)


@check("stateful.spurious", hooks=(FIX, SET), source="mm/memory.c:handle_pte_fault")
def spurious(context: Context) -> None:
    """A fault that finds nothing to do changes nothing, is counted, and drops what this CPU has cached if it wrote.

    Where ptep_set_access_flags wants update_mmu_cache_range in any case, as on RISC-V without Svvptc, that is called.
    """
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
    counted, before = s.count(SPURIOUS_FAULT), entries(s)
    with listening(machine, (FIX, SET, UPDATE)) as told:
        result = machine.bound(fault.handle_mm_fault)(vma, at, access)
    if result:
        return f"returns {result}"
    if entries(s) != before:
        return "changes an entry"
    updates = any(returned for name, _, returned in told if name == SET)
    if (times := s.count(SPURIOUS_FAULT) - counted) != (not updates):
        return f"is counted {times} times"
    fixed = [arguments for name, arguments, _ in told if name == FIX]
    due = [(vma, at, ptep)] if access == ACCESS_WRITE and not updates else []
    if fixed != due:
        return f"calls {FIX} with {fixed}; right is {due}"
    pages = [arguments for name, arguments, _ in told if name == UPDATE]
    if pages != ([(0, vma, at, ptep, 1)] if updates else []):
        return f"calls {UPDATE} with {pages}, {SET} has returned {int(updates)}"
    return ""


@contextmanager
def listening(machine: DirectMachine, names: Iterable[str]) -> Iterator[list[Call]]:
    """Calls of hooks, in their order."""
    told, winners = list[Call](), {name: machine.cells[name]["target"] for name in names}

    def heard(name: str) -> Callable[..., int]:
        def hook(*arguments: int) -> int:
            told.append((name, arguments, result := int(winners[name](*arguments))))
            return result

        return hook

    for name in winners:
        machine.cells[name]["target"] = heard(name)
    try:
        yield told
    finally:
        for name, winner in winners.items():
            machine.cells[name]["target"] = winner
