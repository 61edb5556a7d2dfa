"""What an image is made of: roots, hook winners, and every source file that they may reach."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType

from mmarch.engine.program import kept_text


@dataclass(frozen=True)
class Code:
    """The functions an image is linked from.

    roots     functions that are called from outside
    winners   hook name -> implementation
    defaults  hook name -> what a selector may choose instead
    replaced  function -> what runs wherever it is called
    """

    roots: tuple[FunctionType, ...]
    winners: Mapping[str, FunctionType]
    defaults: Mapping[str, FunctionType]
    replaced: Mapping[FunctionType, FunctionType] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Every function with the place it has."""
        return [
            *(f"root {symbol(function)}" for function in self.roots),
            *(f"{name} = {symbol(function)}" for name, function in sorted(self.winners.items())),
            *(f"{name} ~ {symbol(function)}" for name, function in sorted(self.defaults.items())),
            *sorted(f"{symbol(old)} > {symbol(new)}" for old, new in self.replaced.items()),
        ]

    def sources(self) -> list[bytes]:
        """Files of all modules that these functions may reach: more than is linked, without parsing any."""
        modules = reachable(sys.modules[function.__module__] for function in self.functions())
        kept = sorted(text for module in modules if (text := kept_text(module.__name__)) is not None)
        files = sorted({module.__file__ or "" for module in modules if kept_text(module.__name__) is None})
        return [*(Path(name).read_bytes() for name in files if name), *(text.encode() for text in kept)]

    def functions(self) -> list[FunctionType]:
        """Where the search for all functions begins."""
        return [
            *self.roots, *self.winners.values(), *self.defaults.values(), *self.replaced.values()
        ]  # fmt: skip


def symbol(function: FunctionType) -> str:
    """`module.name`."""
    return f"{function.__module__}.{function.__qualname__}"


def reachable(start: Iterable[ModuleType]) -> list[ModuleType]:
    """Modules that define a function, or are a module, that these modules name; not Python's own."""
    found: dict[str, ModuleType] = {}
    pending = list(start)
    while pending:
        module = pending.pop()
        if module.__name__ in found or module.__name__.partition(".")[0] in sys.stdlib_module_names:
            continue
        found[module.__name__] = module
        pending += _named(module)
    return list(found.values())


def _named(module: ModuleType) -> Iterable[ModuleType]:
    top = module.__name__.partition(".")[0]
    for value in vars(module).values():
        if isinstance(value, FunctionType) and value.__module__ in sys.modules:
            yield sys.modules[value.__module__]
        elif isinstance(value, ModuleType) and value.__name__.partition(".")[0] in (top, "core_mm"):
            yield value
