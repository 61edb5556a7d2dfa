"""A machine for tests of hooks: interpreted, but without pluggy between a call and the winner.

Ten times as fast as the dispatching engine, and single functions of core-mm can be replaced,
which is how a suite watches or disturbs what a hook does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType, SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core_mm.descriptor import ArchDescriptor
from mmarch.engine.bind import Binder
from mmarch.engine.hookimpls import parameters, where
from mmarch.engine.machine import Config, Machine
from mmarch.engine.memory import Memory
from mmarch.engine.relay import HIGHEST, LOWEST, check_result, made

Bound = Callable[..., int]
Replace = Callable[[Bound], Bound]


class DirectMachine(Machine):
    """Memory, and every function of core-mm and the architecture bound to it.

    instead  function of core-mm -> what makes its replacement from the bound original, in order of binding
    roots    functions that `call` knows
    """

    def __init__(
        self,
        config: Config,
        instead: Mapping[Callable[..., Any], Replace] | None = None,
        operations: NDArray[np.int64] | None = None,
        tasks: int = 64,
        files: int = 0,
        file_pages: int = 0,
        memory: Memory | None = None,
        roots: Sequence[FunctionType] = (),
    ) -> None:
        self._instead = dict(instead or {})
        self.hooks: dict[str, Bound] = {}
        super().__init__(
            config,
            "interpreted",
            roots,
            operations=operations,
            tasks=tasks,
            files=files,
            file_pages=file_pages,
            memory=memory,
        )
        self._binder.load()

    @property
    def mach(self) -> SimpleNamespace:
        """The machine's scalars, live."""
        return self._binder._group("mach")

    @property
    def cfg(self) -> SimpleNamespace:
        """What the run fixes; tests may change it."""
        return self._binder._group("cfg")

    @property
    def feature(self) -> SimpleNamespace:
        """Features of core-mm that this machine has."""
        return self._binder._group("feature")

    @property
    def originals(self) -> Iterable[FunctionType]:
        """Functions that have a copy on this machine."""
        return self._binder.functions

    def bound(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of core-mm or of the architecture on this machine."""
        return self._binder.function(cast(FunctionType, function))

    def shadow(self, name: str, make: Callable[[Any], Any], package: str, but: str) -> None:
        """Where modules of a package, all `but` one, know `name`, give them what `make` makes of it."""
        for module, bound in self._binder.modules.items():
            if module.partition(".")[0] == package and module != but and name in vars(bound):
                vars(bound)[name] = make(vars(bound)[name])

    @property
    def ptes(self) -> Any:
        """Every entry of every table, live."""
        return self._binder._view("array", "ptes")

    def _interpret(self, archs: Sequence[ArchDescriptor], overlays: Sequence[object]) -> None:
        self._binder = Binder(self.memory, self.packages(archs), self.hooks, self.config.changes.replaced)
        self.cells: dict[str, dict[str, Any]] = {}
        for name in self.config.hooks:
            self.hooks[name], self.cells[name] = self._stub(name)
        for original, make in self._instead.items():
            plain = cast(FunctionType, original)
            replacement = make(self._binder.function(plain))
            self._binder.functions[plain] = cast(FunctionType, replacement)
            vars(self._binder.module(sys.modules[original.__module__]))[original.__name__] = replacement
        for name, function in self.winners.items():
            self.cells[name]["target"] = self._binder.function(function)
        self._know_code(archs)
        self._functions = {root.__name__: self._binder.function(root) for root in self.roots}

    def _stub(self, name: str) -> tuple[Bound, dict[str, Any]]:
        """What code that calls the hook gets: attribution, the winner, a look at its result."""
        winner = self.winners.get(name)
        who = where(winner) if winner else "nobody"
        space: dict[str, Any] = {
            "mach": self.mach,
            "number": self.layout.hook_number(name),
            "checked": lambda result: check_result(name, who, result),
            "target": None,
        }
        arguments = ", ".join(parameters(self.config.hooks[name]))
        source = (
            f"def {name}({arguments}):\n"
            f"    outer = mach.hook\n"
            f"    if not outer: mach.hook = number\n"
            f"    result = target({arguments})\n"
            f"    mach.hook = outer\n"
            f"    if result.__class__ is int and {LOWEST} <= result <= {HIGHEST}: return result\n"
            f"    if result.__class__ is bool: return result\n"
            f"    return checked(result)\n"
        )
        return made(name, source, space), space
