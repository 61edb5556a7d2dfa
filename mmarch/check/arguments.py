"""Whether hooks are called with what their parameters are named after: core_mm/hookspecs.py, by the names alone.

Also of hooks that an architecture leaves empty, whose arguments nobody else looks at.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any

import core_mm
from mmarch.check.gathered import STEPS, Gathered
from mmarch.check.named import Named
from mmarch.check.outcome import CheckFailed
from mmarch.check.profiling import profiled
from mmarch.check.told import ACCESSED, DIRTY, FAULT, ZAP, ZAP_HUGE, Told
from mmarch.engine.hookimpls import parameters
from mmarch.engine.machine import Machine

CORE = str(Path(core_mm.__file__).parent)
SAME = {"address": "addr"}
ENTRIES = {"ptep": 0, "pmdp": 1}  # level of the table
HIGHEST = {"vmf": 0, "full": 1, "dirty": 1, "type": 0}  # there is no struct vm_fault here, and one swap device
MAPPED = ("old_pte", "orig_pte")  # entries that were taken out of a table, and mapped a page
OF_PAGES = ("pte_pfn", "pte_young", "pte_dirty", "pte_write")  # what only an entry with a page has
FOLLOWED = {FAULT, ZAP, ZAP_HUGE, DIRTY, ACCESSED, *STEPS}
HARDWARE = "mmu_access"  # which core-mm stands in for


class Arguments:
    """Looks at every call of a hook by core-mm on an interpreted machine."""

    def __init__(self, machine: Machine) -> None:
        tables = machine.memory.tables
        self.vmas, self.ptdesc, self.pages, self.gathers = (
            tables[name] for name in ("VMA", "PTDESC", "PAGE", "GATHER")
        )
        self.shift = machine.memory.get("cfg", "page_shift")
        self.bits = machine.memory.get("cfg", "pte_bits")
        self.rows = {
            name: len(tables[table][column]) for name, table, column in (
                ("mm", "MM", "pgd"), ("vma", "VMA", "vm_mm"), ("tlb", "GATHER", "mm"), ("folio", "PAGE", "flags"),
            )
        }  # fmt: skip
        self.hooks = {
            name: [SAME.get(one, one) for one in parameters(declared)]
            for name, declared in machine.config.hooks.items() if name != HARDWARE
        }  # fmt: skip
        self.present, self.frame = (machine._binder.hooks[name] for name in ("pte_present", "pte_pfn"))
        self.mach = machine._binder._group("mach")
        self.told, self.gathered, self.named = Told(machine), Gathered(machine), Named(machine)

    def watched(self) -> AbstractContextManager[None]:
        """CheckFailed from within the call that is wrong."""
        return profiled(self._called)

    def _called(self, frame: FrameType, event: str, result: Any) -> None:
        code = frame.f_code
        if code.co_filename.startswith(CORE):
            if event == "call" and (wrong := self.named.wrong(frame)):
                raise CheckFailed(wrong)
            if code.co_name in FOLLOWED:
                self._function(frame, event)
        elif code.co_name in self.hooks and event in ("call", "return"):
            caller = frame.f_back
            if caller is not None and caller.f_code.co_filename.startswith(CORE):
                self._hook(frame, event, result)

    def _function(self, frame: FrameType, event: str) -> None:
        """Of core-mm's own."""
        code = frame.f_code
        if event == "call":
            given = {name: frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]}
            self.told.enters(code.co_name, given)
            self.gathered.enters(code.co_name, given)
        elif event == "return":
            self.told.leaves(code.co_name)

    def _hook(self, frame: FrameType, event: str, result: Any) -> None:
        """Core-mm calls one, or has called it."""
        name, names = frame.f_code.co_name, self.hooks[frame.f_code.co_name]
        values = [frame.f_locals[one] for one in frame.f_code.co_varnames[: len(names)]]
        given = dict(zip(names, values, strict=True))
        if event == "return":
            self.told.returned(name, given, result)
            self.gathered.returned(name)
        elif wrong := self.wrong(given):
            raise CheckFailed(f"core-mm calls {name} with {wrong}")
        elif name in OF_PAGES and not self.present(given["pte"]):
            raise CheckFailed(f"core-mm asks {name} of entry {given['pte']:#x}, which is not present")
        else:
            self.told.called(name, given)
            self.gathered.called(name, given)

    def wrong(self, given: Mapping[str, int]) -> str:
        """What cannot be, of a hook with these arguments; "" if nothing."""
        for name, value in given.items():
            if name in self.rows and not 0 < value < self.rows[name]:
                return f"{name} {value}, which is none"
            if name in HIGHEST and not 0 <= value <= HIGHEST[name]:
                return f"{name} {value}"
        return self._place(given) or self._range(given) or self._folio(given) or self._full(given) or self._taken(given)

    def _place(self, given: Mapping[str, int]) -> str:
        """An entry is that of the address, in a table of its level and address space; the VMA has the address."""
        owner = self._owner(given)
        for name, level in ENTRIES.items():
            if name not in given or "addr" not in given:
                continue
            table, index = given[name] >> self.bits, given[name] & (1 << self.bits) - 1
            if given["addr"] >> self.shift + level * self.bits & (1 << self.bits) - 1 != index:
                return f"entry {index} of a table for address {given['addr']:#x}"
            if self.ptdesc["level"][table] != level or (owner and self.ptdesc["mm"][table] != owner):
                mm, found = self.ptdesc["mm"][table], self.ptdesc["level"][table]
                return f"an entry of a table of mm {mm}, level {found}, for mm {owner}"
            if not 0 < given.get("nr", 1) <= (1 << self.bits) - index:
                return f"{given['nr']} entries from entry {index} on"
        if "vma" in given and "addr" in given:
            end = given["addr"] + (given.get("nr", 1) << self.shift)
            return self._inside(given["vma"], given["addr"], end)
        return ""

    def _owner(self, given: Mapping[str, int]) -> int:
        """The address space that the arguments name, 0 if none."""
        if "vma" in given:
            return int(self.vmas["vm_mm"][given["vma"]])
        return int(self.gathers["mm"][given["tlb"]]) if "tlb" in given else given.get("mm", 0)

    def _inside(self, vma: int, start: int, end: int) -> str:
        first, after = int(self.vmas["vm_start"][vma]), int(self.vmas["vm_end"][vma])
        return (
            ""
            if first <= start < end <= after
            else f"[{start:#x}, {end:#x}) of a VMA [{first:#x}, {after:#x})"
        )

    def _range(self, given: Mapping[str, int]) -> str:
        if "start" not in given:
            return ""
        start, end = given["start"], given["end"]
        whole = (start | end) & (1 << self.shift) - 1 == 0
        return "" if whole and 0 <= start < end else f"the range [{start:#x}, {end:#x})"

    def _folio(self, given: Mapping[str, int]) -> str:
        folio = given.get("folio", 0)
        used = not folio or (self.pages["head"][folio] == folio and self.pages["refcount"][folio] > 0)
        return "" if used else f"folio {folio:#x}, which is none"

    def _full(self, given: Mapping[str, int]) -> str:
        """It says that the address space goes away (include/linux/pgtable.h), which a gather of all of it knows."""
        if "full" not in given:
            return ""
        owner, rows = self._owner(given), range(1, self.mach.next_gather)
        right = int(any(self.gathers["fullmm"][row] for row in rows if self.gathers["mm"][row] == owner))
        return f"full {given['full']} for mm {owner}; right is {right}" if given["full"] != right else ""

    def _taken(self, given: Mapping[str, int]) -> str:
        """An entry that was taken out of a table; the one that comes in its place maps the same page."""
        if given.get("mm", owner := self._owner(given)) != owner:
            return f"mm {given['mm']}, and a VMA of mm {owner}"
        for name in MAPPED:
            if name in given and not self.present(given[name]):
                return f"{name} {given[name]:#x}, which mapped nothing"
        old, new = (given.get(name, 0) for name in ("old_pte", "pte"))
        moved = old and self.present(new) and self.frame(old) != self.frame(new)
        return f"an entry of frame {self.frame(new):#x} instead of frame {self.frame(old):#x}" if moved else ""
