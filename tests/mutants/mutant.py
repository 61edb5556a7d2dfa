"""A mutant: a bug as an edit of the source, and the check that must catch it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from mmarch.engine.program import TEXT


@dataclass(frozen=True)
class Edit:
    """In `module`, `old` (which occurs exactly once) becomes `new`."""

    module: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A bug.

    id       short and unique; begins with the row of the bug's history that it stands for
    bug      what is wrong, or the fix in the kernel
    check    the one that must fail
    given    edits that are no bug: the check has to pass with them alone
    share    of the cases, as a quick run has them where that catches it; 1.0 for all, and more of them beyond
    """

    id: str
    bug: str
    check: str
    edits: tuple[Edit, ...]
    arch: str = "arm64"
    release: str = "6.12"
    cpu: str = ""
    granule: str = ""
    given: tuple[Edit, ...] = ()
    share: float = 0.05


def edited(module: ModuleType, edits: Sequence[Edit]) -> str:
    """The source of a module with edits made."""
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    for edit in edits:
        found = text.count(edit.old)
        if found != 1:
            raise LookupError(
                f"{module.__name__} has {found} places like\n{edit.old}\nThe mutant has to follow the source"
            )
        text = text.replace(edit.old, edit.new)
    return text


def mutate(name: str, edits: Sequence[Edit]) -> dict[FunctionType, FunctionType]:
    """The functions of a module that edits change, old -> new; the new ones live in the same module.

    For good, the module gets names that the edits import, and keeps the text, for checks that read the source.
    """
    module = importlib.import_module(name)
    text = edited(module, edits)
    space = dict(vars(module))
    exec(compile(text, str(module.__file__), "exec"), space)
    changed = {}
    for old in list(vars(module).values()):
        if isinstance(old, FunctionType) and old.__module__ == name:
            fresh = space[old.__name__]
            if not same(old.__code__, fresh.__code__):
                changed[old] = rehome(fresh, module, old)
    if not changed:
        raise LookupError(f"{name}: the edit changes no function")
    vars(module).update({new: value for new, value in space.items() if new not in vars(module)})
    setattr(module, TEXT, text)
    return changed


def same(old: Any, new: Any) -> bool:
    """Whether two code objects do the same; where they stand does not matter."""
    return bool(
        old.co_code == new.co_code and old.co_consts == new.co_consts and old.co_names == new.co_names
    )


def rehome(function: FunctionType, module: ModuleType, old: FunctionType) -> FunctionType:
    """The function with the globals and the marks of the one it replaces."""
    made = FunctionType(
        function.__code__, vars(module), old.__name__, function.__defaults__, function.__closure__
    )
    made.__dict__.update(old.__dict__)
    made.__module__, made.__qualname__ = old.__module__, old.__qualname__
    return made


@contextmanager
def applied(edits: Sequence[Edit]) -> Iterator[None]:
    """Edits, in every module of core-mm, the architectures and the suite that knows a function by name."""
    changed: dict[FunctionType, FunctionType] = {}
    for name in dict.fromkeys(edit.module for edit in edits):
        changed |= mutate(name, [edit for edit in edits if edit.module == name])
    undo: list[tuple[ModuleType, str, FunctionType]] = []
    prefixes = ("core_mm", "arches", "mmarch", "tests.mutants")
    for module in [found for name, found in sys.modules.items() if name.startswith(prefixes)]:
        for name, value in list(vars(module).items()):
            if isinstance(value, FunctionType) and value in changed:
                undo.append((module, name, value))
                setattr(module, name, changed[value])
    try:
        yield
    finally:
        for module, name, value in undo:
            setattr(module, name, value)
