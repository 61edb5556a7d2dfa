"""The story of one operation: linked up to it, then interpreted on the same memory, every call watched.

Calls that ended alike one after the other are kept once, with their number, so that a story of thousands of
pages stays as short as what differs in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import CodeType, FrameType, FunctionType
from typing import Any

from core_mm import rwonce, vmstat
from core_mm.syscalls import run_operation
from mmarch.engine.direct import DirectMachine
from mmarch.runs.assemble import Request, assemble, machine_config
from mmarch.runs.configure import Setup
from mmarch.runs.entries import Entries
from mmarch.runs.run import event_names
from mmarch.workload import Workload

QUIET = frozenset(
    {"core_mm.vmstat", "core_mm.rwonce", "core_mm.page_alloc", "core_mm.vma_tree", "core_mm.calls"}
)


@dataclass
class Call:
    """One call, or a line about what it did (`function` is None then); `count` alike ones in a row.

    address, last  of a TLBI: where, and of alike ones where the last one is
    why            of a TLBI: what the function that wanted it says of itself
    """

    function: FunctionType | None
    text: str
    hook: str = ""
    count: int = 1
    address: int = -1
    last: int = -1
    why: str = ""
    parts: list[Call] = field(default_factory=list)
    telling: bool = False
    same: tuple[object, ...] = ()

    def add(self, part: Call) -> None:
        """A part that has ended; one like the last only counts."""
        part.same = (
            part.function,
            part.text if part.function is None else part.hook,
            *(p.same for p in part.parts),
        )
        if self.parts and self.parts[-1].same == part.same:
            self.parts[-1].count += part.count
            self.parts[-1].last = part.last
        else:
            self.parts.append(part)
        self.telling |= part.telling


@dataclass(frozen=True)
class Story:
    """What an operation did, outermost call first."""

    workload: Workload
    operation: int
    top: Call
    setup: Setup


def tell(workload: Workload, setup: Setup, row: int, request: Request, note: Callable[[str], None]) -> Story:
    """Interpret operation `row` after running those before it."""
    before = assemble(setup, workload, replace(request, log_rows=1, by_hook=False), note)
    if row:
        before.call("run_operations", 0, row)
    config = replace(machine_config(setup, request), log_rows=0)
    machine = DirectMachine(config, memory=before.memory)
    teller = _Teller(machine, setup)
    function = machine.bound(run_operation)
    sys.setprofile(teller.see)
    try:
        function(row)
    finally:
        sys.setprofile(None)
    return Story(workload, row, teller.top, setup)


class _Teller:
    """Follows calls and returns by `sys.setprofile`."""

    def __init__(self, machine: DirectMachine, setup: Setup) -> None:
        self.machine, self.entries = machine, Entries(setup)
        self.names = {number: name for number, name in enumerate(event_names(setup)) if name}
        self.functions: dict[CodeType, FunctionType | None] = {}
        self.hooks = {f.__code__: name for name, f in machine.winners.items()}
        self.packages = (
            "core_mm.",
            *{m.partition(".")[0] + "." for a in (setup.arch, setup.generic) for m in a.descriptor.modules},
            *(module.__name__ for module in machine.config.changes.modules),
        )
        self.top = Call(None, "")
        self.stack = [self.top]
        self.frames: list[FrameType] = []
        self.special: dict[CodeType, Callable[[dict[str, Any]], str]] = {
            rwonce.READ_ONCE.__code__: self._read, rwonce.WRITE_ONCE.__code__: self._write,
            rwonce.xchg.__code__: self._write, rwonce.cmpxchg.__code__: self._cmpxchg,
            rwonce.PMD_WRITE_ONCE.__code__: self._pmd, rwonce.PMD_xchg.__code__: self._pmd,
            vmstat.write_log.__code__: self._instruction, vmstat.convert.__code__: self._convert,
        }  # fmt: skip

    def see(self, frame: FrameType, what: str, _: Any) -> None:
        """A call begins or ends."""
        code = frame.f_code
        if what == "call":
            if code in self.special:
                if text := self.special[code](frame.f_locals):
                    self.stack[-1].add(self._said(text, frame.f_locals))
            elif function := self._known(frame):
                self._enter(frame, function)
        elif what == "return" and self.frames and self.frames[-1] is frame:
            self.frames.pop()
            ended = self.stack.pop()
            if ended.telling:
                self.stack[-1].add(_hoisted(ended))

    def _known(self, frame: FrameType) -> FunctionType | None:
        """The function of core-mm or the architecture that a frame is of, if it is worth a line."""
        code, module = frame.f_code, frame.f_globals.get("__name__", "")
        if code not in self.functions:
            found = getattr(sys.modules.get(module), code.co_name, None) if module not in QUIET else None
            ours = (
                isinstance(found, FunctionType)
                and found.__code__ is code
                and module.startswith(self.packages)
            )
            self.functions[code] = found if ours else None
        return self.functions[code]

    def _enter(self, frame: FrameType, function: FunctionType) -> None:
        outer = frame.f_back
        hooked = outer is not None and outer.f_code.co_filename == "<string>"
        name = self.hooks.get(frame.f_code, "") if hooked else ""
        self.frames.append(frame)
        self.stack.append(Call(function, function.__name__, hook=name))

    # -- what is said of instructions ----------------------------------------------

    def _said(self, text: str, values: dict[str, Any]) -> Call:
        """A line of the story; a TLBI has an address and a reason."""
        if not text.startswith("TLBI"):
            return Call(None, text, telling=True)
        address = values["b"] if values["c"] & 0xFFFFFFFF and values["asid"] >= 0 else -1
        return Call(None, text, address=address, last=address, why=self._why(values["asid"]), telling=True)

    def _why(self, asid: int) -> str:
        """What the nearest function outside TLB maintenance itself says it does."""
        if asid < 0:
            return "again, for an erratum"
        calls = [call.function for call in reversed(self.stack) if call.function]
        outside = (f for f in calls if f.__module__ != calls[0].__module__)
        found = next(outside, calls[0]) if calls else None
        return (
            f"{found.__name__}: {(found.__doc__ or '').splitlines()[0].rstrip('.')}"
            if found and found.__doc__
            else ""
        )

    def _entry(self, raw: int) -> str:
        return " ".join(self.entries.attributes(raw).split()) if raw else "none"

    def _read(self, values: dict[str, Any]) -> str:
        return f"read  PTE {self._entry(self.machine.ptes[values['ptep']])}"

    def _write(self, values: dict[str, Any]) -> str:
        return (
            f"write PTE {_change(self._entry(self.machine.ptes[values['ptep']]), self._entry(values['pte']))}"
        )

    def _pmd(self, values: dict[str, Any]) -> str:
        return "write PMD"

    def _cmpxchg(self, values: dict[str, Any]) -> str:
        return f"write PTE {_change(self._entry(values['old']), self._entry(values['new']))}"

    def _convert(self, values: dict[str, Any]) -> str:
        return f"{self.names[values['event']]} block at {values['addr']:#x}"

    def _instruction(self, values: dict[str, Any]) -> str:
        if values["kind"] == vmstat.LOG_TLBI:
            pages, hint = values["c"] & 0xFFFFFFFF, values["c"] >> 32
            many = f", {pages} pages" if pages > 1 else ""
            level = f", level {hint & 3}" if hint else ""
            asid = f" ASID {values['asid']:#x}" if values["asid"] >= 0 else ""
            return f"{self.names[values['a']].upper().replace('_', ' ')}{asid}{many}{level}"
        return self.names[values["a"]].upper().replace("_", " ") if values["kind"] == vmstat.LOG_DSB else ""


def _hoisted(call: Call) -> Call:
    """A call that did one thing only is left out: the thing says it."""
    alone = len(call.parts) == 1 and call.parts[0].function is None and not call.hook
    return call.parts[0] if alone else call


def _change(before: str, after: str) -> str:
    """What the words were and are; only those that differ if most are the same."""
    was, now = before.split(), after.split()
    if before == after:
        return f"{after} (as it was)"
    if "none" in (before, after):
        return f"{before} -> {after}"
    lost = " ".join(f"-{w}" for w in was if w not in now)
    got = " ".join(f"+{w}" for w in now if w not in was)
    return f"{after} ({' '.join(filter(None, (lost, got)))})"
