"""Tier load: what the source of an architecture shows before any of it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from types import FunctionType
from typing import cast

from core_mm import mm_types
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed
from mmarch.check.registry import check
from mmarch.engine.hookimpls import implementations, short_where
from mmarch.engine.program import NotLinkable, Program, Routine

HARDWARE = "mmu_access"  # the walker, whose accesses are no kernel's
WRONG: dict[type[ast.expr], str] = {
    ast.List: "a list", ast.Tuple: "a tuple", ast.Dict: "a dict", ast.Set: "a set", ast.ListComp: "a list",
    ast.GeneratorExp: "a generator", ast.Lambda: "a function", ast.JoinedStr: "a string",
}  # fmt: skip


@check("load.results", source="core_mm/hookspecs.py")
def results(context: Context) -> None:
    """Every hook returns an integer, 0 where it has no result."""
    for name, function in implementations(context.arch).items():
        for line, what in wrong_results(Routine(function).node):
            path = short_where(function).rpartition(":")[0]
            raise CheckFailed(
                f"{path}:{line}: {name} returns {what}, not an integer; with no result it returns 0"
            )


def wrong_results(node: ast.FunctionDef) -> Iterator[tuple[int, str]]:
    """Line and kind of what is no integer for certain."""
    returns = [item for item in ast.walk(node) if isinstance(item, ast.Return)]
    if not any(isinstance(item, ast.Raise) for item in ast.walk(node)) and not returns:
        yield node.lineno, "nothing"
    for item in returns:
        if item.value is None:
            yield item.lineno, "nothing"
        elif type(item.value) in WRONG:
            yield item.lineno, WRONG[type(item.value)]
        elif isinstance(item.value, ast.Constant) and not isinstance(item.value.value, int):
            yield item.lineno, repr(item.value.value)


@check("load.stores", source="core_mm/rwonce.py")
def stores(context: Context) -> None:
    """Entries are stored by core_mm.rwonce alone, which counts and logs it; mmu_access, the hardware, stores itself."""
    own = implementations(context.arch)
    packages = {name.partition(".")[0] for name in context.arch.modules}
    for name, function in own.items():
        if name == HARDWARE:
            continue
        for routine in reached(function, implementations(context.generic) | own):
            if routine.function.__module__.partition(".")[0] not in packages:
                continue
            for line in direct_stores(routine):
                path, storing = short_where(routine.function).rpartition(":")[0], routine.function.__name__
                by = f"{storing}, called by {name}," if storing != name else name
                raise CheckFailed(
                    f"{path}:{line}: {by} stores to the table itself; use "
                    "WRITE_ONCE, xchg or cmpxchg of core_mm.rwonce, which count the access and tell the TLB oracle"
                )


def reached(function: FunctionType, winners: Iterable[str]) -> list[Routine]:
    """The function and what it calls, not beyond hooks: these are looked at by themselves."""
    try:
        return list(
            Program([function], {name: cast(FunctionType, _nothing) for name in winners}).routines.values()
        )
    except NotLinkable:  # load.links says so
        return [Routine(function)]


def _nothing() -> int:
    return 0


def direct_stores(routine: Routine) -> Iterator[int]:
    """Lines that store to the array of all entries."""
    for node in ast.walk(routine.node):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            try:
                if routine.resolve(node.value) is mm_types.ptes:
                    yield node.lineno
            except LookupError:
                continue
