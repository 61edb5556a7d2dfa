"""Functions without side effects: what tools/mutation_probe.py may evaluate twice."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterable
from functools import cache
from types import FunctionType

from mmarch.check.loading import load_named
from mmarch.engine.hookimpls import implementations
from mmarch.engine.program import NotLinkable, Routine, is_hookspec

ARCHS = ("arm64", "generic")
PLAIN = {min, max, abs, int, len, bool}
VALUES = ("pte_", "pmd_", "swp_", "pfn_", "mk_")  # hooks about values; what calls others is watched by checks


def pure_names(paths: Iterable[str]) -> dict[str, list[str]]:
    """File -> the functions without side effects that it knows by name."""
    found = {}
    for path in paths:
        module = importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        functions = {name: value for name, value in vars(module).items() if isinstance(value, FunctionType)}
        found[path] = sorted(name for name, value in functions.items() if pure(value))
    return found


_known: dict[FunctionType, bool] = {}


def pure(function: FunctionType) -> bool:
    """Whether it stores nothing, surely ends, and calls only such functions; a hook, whatever implements it."""
    if function not in _known:
        _known[function] = False  # for who comes back to it
        _known[function] = _pure(function)
    return _known[function]


def _pure(function: FunctionType) -> bool:
    if is_hookspec(function):
        own = [known[function.__name__] for known in hooks() if function.__name__ in known]
        return bool(own) and function.__name__.startswith(VALUES) and all(map(pure, own))
    try:
        routine = Routine(function)
        body = ast.Module(routine.node.body, [])
    except NotLinkable:
        return False
    return all(harmless(node, routine) for node in ast.walk(body))


def harmless(node: ast.AST, routine: Routine) -> bool:
    """Whether a node has no effect but its value."""
    if isinstance(node, ast.While | ast.For | ast.AugAssign | ast.Raise | ast.Global):
        return False
    if isinstance(node, ast.Subscript | ast.Attribute):
        return isinstance(node.ctx, ast.Load)
    if not isinstance(node, ast.Call):
        return True
    try:
        target = routine.resolve(node.func)
    except LookupError:
        return False
    return pure(target) if isinstance(target, FunctionType) else target in PLAIN


@cache
def hooks() -> list[dict[str, FunctionType]]:
    """Implementations of each architecture."""
    return [implementations(load_named(name).descriptor) for name in ARCHS]
