"""One LLVM module in the making: its functions, constants and alias metadata."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cached_property
from types import FunctionType

from mmarch.engine.layout import Layout
from mmarch.engine.program import Program, Routine

UNTRACKED = ("core_mm.vmstat", "core_mm.rwonce", "core_mm.syscalls", "core_mm.calls")
LOGGING = ("write_log", "convert")


@dataclass(frozen=True)
class Options:
    """What to build in: index checks, attribution of counts to hooks or to paths of calls, a count of operations.

    quick    leave out LLVM's optimizations, as checked code always does: half a second instead of eight
    """

    checked: bool = False
    attribute: bool = False
    operations: bool = False
    calls: bool = False
    quick: bool = False


@dataclass
class Unit:
    """One LLVM module in the making: text of functions, constants and alias metadata."""

    program: Program
    layout: Layout
    options: Options = Options()
    functions: list[str] = field(default_factory=list)
    constants: dict[tuple[int, ...], str] = field(default_factory=dict)
    alias: dict[str, int] = field(default_factory=dict)

    def tracks(self, routine: Routine) -> int:
        """The number of a function whose calls are told apart, else 0."""
        if not self.options.calls or routine.function not in self.tracked:
            return 0
        return call_number(routine.symbol)

    @cached_property
    def tracked(self) -> set[FunctionType]:
        """Functions from which something that is logged can be reached, without those that every entry goes through."""
        program = self.program
        callers: dict[FunctionType, set[FunctionType]] = {}
        for caller, routine in program.routines.items():
            if caller.__module__ not in UNTRACKED:
                for callee in program.callees(routine):
                    callers.setdefault(callee, set()).add(caller)
        pending = [function for function in callers if function.__name__ in LOGGING]
        found: set[FunctionType] = set()
        while pending:
            new = callers.get(pending.pop(), set()) - found
            found |= new
            pending.extend(new)
        return found

    def tag(self, name: str) -> str:
        """Type-based alias metadata: two different columns never overlap."""
        number = self.alias.setdefault(name, len(self.alias))
        return f"!tbaa !{10 + 2 * number + 1}"

    def table(self, values: tuple[int, ...]) -> str:
        """A constant array in the image."""
        return self.constants.setdefault(values, f"@table{len(self.constants)}")

    def text(self) -> str:
        """The whole module."""
        lines = ['source_filename = "mmarch"']
        for values, name in self.constants.items():
            items = ", ".join(f"i64 {v}" for v in values)
            lines.append(f"{name} = private constant [{len(values)} x i64] [{items}]")
        lines += [
            "declare i64 @llvm.smin.i64(i64, i64)",
            "declare i64 @llvm.smax.i64(i64, i64)",
            "declare i64 @llvm.cttz.i64(i64, i1)",
            *self.functions,
            "!0 = !{}",
            '!1 = !{!"mmarch"}',
        ]
        for name, number in self.alias.items():
            node = 10 + 2 * number
            lines.append(f'!{node} = !{{!"{name}", !1, i64 0}}')
            lines.append(f"!{node + 1} = !{{!{node}, !{node}, i64 0}}")
        return "\n".join(lines) + "\n"


def call_number(symbol: str) -> int:
    """What stands for a function in the tree of calls; the same in every image."""
    return zlib.crc32(symbol.encode()) & 0x7FFFFFFF or 1


def kind_of(routine: Routine) -> str:
    """The LLVM type of what a function returns."""
    return "i64" if routine.results == 1 else "{" + ", ".join(["i64"] * routine.results) + "}"
