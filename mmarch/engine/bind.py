"""Bind code to one machine for interpretation: the same functions, with other globals.

A bound module is a copy of a module in which every declaration of
`core_mm.decl` is a view of the machine's memory, every function is a copy that
looks names up in the bound module, and every hook is a call through pluggy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

from core_mm.decl import Array, Scalars, Table
from mmarch.engine.memory import Memory
from mmarch.engine.program import is_hookspec


class Binder:
    """Makes bound copies of functions and modules, each once.

    packages  top-level packages whose modules are bound; others are used as they are
    hooks     hook name -> what a call of that hook runs
    replaced  function -> what runs wherever it is called
    """

    def __init__(
        self,
        memory: Memory,
        packages: set[str],
        hooks: Mapping[str, Callable[..., int]],
        replaced: Mapping[FunctionType, FunctionType] | None = None,
    ) -> None:
        self.memory, self.packages, self.hooks = memory, packages, hooks
        self.replaced = dict(replaced or {})
        self.originals = {new: old for old, new in self.replaced.items()}
        self.modules: dict[str, ModuleType] = {}
        self.functions: dict[FunctionType, FunctionType] = {}
        self.scalars: dict[str, SimpleNamespace] = {}
        self.views: dict[str, Any] = {}
        self._loaded: dict[str, bytes] = {}  # constant scalars, as they are here

    def function(self, function: FunctionType) -> FunctionType:
        """A copy of `function`, or of what replaces it, that runs on this machine; kept under the original."""
        original = self.originals.get(function, function)
        if original in self.functions:
            return self.functions[original]
        function = self.replaced.get(original, original)
        module = sys.modules[function.__module__]
        bound = FunctionType(
            function.__code__, vars(self.module(module)), function.__name__,
            function.__defaults__, function.__closure__,
        )  # fmt: skip
        if original in self.functions:  # binding the module bound it already
            return self.functions[original]
        bound.__dict__.update(function.__dict__)
        bound.__qualname__, bound.__module__ = function.__qualname__, function.__module__
        bound.__doc__, bound.__kwdefaults__ = function.__doc__, function.__kwdefaults__
        self.functions[original] = bound
        return bound

    def module(self, module: ModuleType) -> ModuleType:
        """A copy of `module` for this machine."""
        if module.__name__ in self.modules:
            return self.modules[module.__name__]
        bound = self.modules[module.__name__] = ModuleType(module.__name__)
        space = vars(bound)
        space.update(vars(module))
        for name, value in list(vars(module).items()):
            if (own := self.value(value)) is not value:
                space[name] = own
        return bound

    def value(self, value: Any) -> Any:
        """The bound counterpart of a module's global."""
        if value.__class__ is FunctionType:
            if known := self.functions.get(value):
                return known
            if is_hookspec(value):
                return self.hooks[value.__name__]
            return self.function(value) if self._ours(value.__module__) else value
        if isinstance(value, ModuleType):
            return self.module(value) if self._ours(value.__name__) else value
        if isinstance(value, Array):
            return self._view("array", value.name)
        return self._declared(value) if isinstance(value, type) else value

    def _declared(self, value: type) -> Any:
        if issubclass(value, Table) and value is not Table:
            return self._view("table", value.__name__)
        if issubclass(value, Scalars) and value.__name__ in self.memory.layout.scalars:
            return self._group(value.__name__)
        return value

    def _ours(self, name: str | None) -> bool:
        return name is not None and name.partition(".")[0] in self.packages and name in sys.modules

    def _view(self, kind: str, name: str) -> Any:
        if name not in self.views:
            self.views[name] = self.memory.view(kind, name)
        return self.views[name]

    def _group(self, name: str) -> SimpleNamespace:
        if name not in self.scalars:
            names, values = self.memory.layout.scalars[name].names, self.memory.scalars[name].tolist()
            self.scalars[name] = SimpleNamespace(**dict(zip(names, values, strict=True)))
        return self.scalars[name]

    def load(self) -> None:
        """Copy scalars from the machine's memory; constant ones if they are not those of the last time."""
        for name, group in self.scalars.items():
            place, values = self.memory.layout.scalars[name], self.memory.scalars[name]
            if place.constant:
                raw = values.tobytes()
                if self._loaded.get(name) == raw:
                    continue
                self._loaded[name] = raw
            vars(group).update(zip(place.names, values.tolist(), strict=True))

    def store(self) -> None:
        """Copy scalars back into the machine's memory, but for constant ones."""
        for name, group in self.scalars.items():
            place = self.memory.layout.scalars[name]
            if not place.constant:
                self.memory.scalars[name][:] = [*map(vars(group).__getitem__, place.names)]
