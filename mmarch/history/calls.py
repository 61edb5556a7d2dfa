"""Who called whom: the tree that `core_mm.calls` keeps, with names, and counts by path."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core_mm.calls import ROOTS
from core_mm.uapi import OP_NAMES
from core_mm.vmstat import EVENTS, HOOKS
from mmarch.engine.code import reachable
from mmarch.engine.direct import DirectMachine
from mmarch.engine.machine import Machine
from mmarch.engine.unit import call_number
from mmarch.runs.assemble import machine_config, roots
from mmarch.runs.configure import Setup
from mmarch.runs.entries import SMALL

Path = tuple[str, ...]
ENTRIES = frozenset(
    {"mmap", "munmap", "brk", "mprotect", "mremap"}
)  # a system call and its function share a name
DISPATCH = frozenset({"touch", "memory_operation", "process_operation", "file_operation", "run_operation"})


def _code(machine: Machine) -> dict[str, Any]:
    """Hooks and modules of a machine."""
    hooks = frozenset([*machine.winners.values(), *machine.defaults.values()])
    functions = (*(machine.roots or roots()), *hooks)
    modules = (*{sys.modules[f.__module__] for f in functions}, *machine.config.changes.modules)
    return {"hooks": hooks, "modules": modules}


@dataclass(frozen=True)
class CallTree:
    """Paths of calls, a row each.

    functions, parents  of each row, from `ROOTS` on
    counts              events, [row][event]; rows below ROOTS are operations' (`op * HOOKS`)
    hooks               every hook's winner and default
    modules             where functions are looked for, with those that they name
    """

    functions: NDArray[np.int64]
    parents: NDArray[np.int64]
    counts: NDArray[np.int64]
    hooks: frozenset[FunctionType]
    modules: tuple[ModuleType, ...]

    @classmethod
    def of(cls, machine: Machine) -> CallTree:
        """Of a machine that has run; its counters are the tree's from now on."""
        last = max(machine.memory.get("mach", "next_call"), ROOTS)
        table = machine.memory.tables["CALL"]
        counters = machine.memory.arrays["counters"].reshape(-1, EVENTS)
        return cls(
            functions=table["function"][ROOTS:last].astype(np.int64),
            parents=table["parent"][ROOTS:last].astype(np.int64),
            counts=counters[:last],
            **_code(machine),
        )

    @classmethod
    def known_to(
        cls, setup: Setup, functions: NDArray[np.int64], parents: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> CallTree:
        """Of a run that another process made, of functions as this one has them."""
        machine = DirectMachine(replace(machine_config(setup), memory=SMALL, log_rows=0, tlb_entries=0))
        return cls(functions, parents, counts, **_code(machine))

    @cached_property
    def known(self) -> dict[int, FunctionType]:
        """Number of a function -> itself."""
        functions = [
            f
            for m in reachable(self.modules)
            for f in vars(m).values()
            if isinstance(f, FunctionType) and f.__module__ == m.__name__
        ]
        return {call_number(f"{f.__module__}.{f.__qualname__}"): f for f in functions}

    def function(self, row: int) -> FunctionType | None:
        """The innermost function of a path."""
        return self.known.get(int(self.functions[row - ROOTS])) if row >= ROOTS else None

    def rows(self, row: int) -> list[int]:
        """The rows of a path and of all that it began with, outermost first; the operation's first."""
        found = [row]
        while found[-1] >= ROOTS:
            found.append(int(self.parents[found[-1] - ROOTS]))
        return found[::-1]

    def path(self, row: int) -> Path:
        """Names, outermost first: the operation, then functions."""
        if row not in self._paths:
            top, *rest = self.rows(row)
            names = [OP_NAMES.get(top // HOOKS, "boot")]
            names += [f.__name__ if (f := self.function(r)) else "?" for r in rest]
            if len(names) > 1 and names[1] == names[0]:
                del names[1]
            self._paths[row] = tuple(names)
        return self._paths[row]

    @cached_property
    def _paths(self) -> dict[int, Path]:
        return {}

    def hook(self, row: int) -> str:
        """The outermost hook of a path; "" for core-mm itself."""
        for each in self.rows(row)[1:]:
            function = self.function(each)
            if function in self.hooks:
                return function.__name__ if function else ""
        return ""

    def folded(self, events: Iterable[int]) -> Iterator[tuple[Path, int]]:
        """Each path with the sum of these events, of those that have any; the same path once."""
        sums = self.counts[:, list(events)].sum(axis=1)
        found: dict[Path, int] = {}
        for row in np.flatnonzero(sums).tolist():
            path = self.path(row)
            found[path] = found.get(path, 0) + int(sums[row])
        yield from found.items()
