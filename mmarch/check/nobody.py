"""Rows of core-mm's tables that stand for nothing: number 0, which is its null pointer, and what lies before or behind.

The kernel would oops where this code reads a row of zeros, or, interpreted, the last rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

from mmarch.check.outcome import CheckFailed
from mmarch.engine.machine import Machine

FRAMES = "core_mm.page_alloc"  # to which frame 0 is one like others
TABLES = ("PAGE", "VMA", "MM", "ANON_VMA", "AVC", "INODE", "BATCH", "GATHER", "PTDESC")
ARRAYS = ("ptes", "swap_map", "swap_cache")


class Guarded:
    """A column, or an array, of which only what comes after `first` may be used."""

    __slots__ = ("_cells", "_first", "_name")

    def __init__(self, cells: Any, first: int, name: str) -> None:
        self._cells, self._first, self._name = cells, first, name

    def __getitem__(self, at: int) -> int:
        if at < self._first:
            self._refuse("reads", at)
        return self._cells[at]  # type: ignore[no-any-return]

    def __setitem__(self, at: int, value: int) -> None:
        if at < self._first:
            self._refuse("writes to", at)
        self._cells[at] = value

    def __len__(self) -> int:
        return len(self._cells)

    def _refuse(self, does: str, at: int) -> None:
        code = sys._getframe(2).f_code
        raise CheckFailed(f"{code.co_name} {does} {self._name}[{at}], which is nothing: a null pointer in the kernel")


@contextmanager
def guarded(machine: Machine) -> Iterator[None]:
    """An interpreted machine while its code may use no such row."""
    views, modules = machine._binder.views, machine._binder.modules
    kept = {name: dict(vars(views[name])) for name in TABLES if name in views}
    vars(modules[FRAMES])["PAGE"] = SimpleNamespace(**kept["PAGE"])
    for name, columns in kept.items():
        vars(views[name]).update({c: Guarded(cells, 1, f"{name}.{c}") for c, cells in columns.items()})
    plain = {name: views[name] for name in ARRAYS if name in views}
    first = {"ptes": machine.memory.get("cfg", "ptrs_per_pte")}
    guards = {name: Guarded(cells, first.get(name, 1), name) for name, cells in plain.items()}
    _give(modules.values(), guards)
    try:
        yield
    finally:
        _give(modules.values(), plain)
        vars(modules[FRAMES])["PAGE"] = views["PAGE"]
        for name, columns in kept.items():
            vars(views[name]).update(columns)


def _give(modules: Iterable[ModuleType], named: dict[str, Any]) -> None:
    """Let modules know arrays by these objects."""
    for module in modules:
        for name in named.keys() & vars(module).keys():
            vars(module)[name] = named[name]
