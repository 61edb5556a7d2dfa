"""Functions of which nobody uses what they return: another constant there is the same program.

A function has to return an integer, 0 where it has nothing to say (see core_mm/hookspecs.py).
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable


def unused(sources: Iterable[str]) -> set[str]:
    """Names of functions that these files only call as statements, or to return what another such one returns.

    By name, whoever has it: a hook and all that implement it are one. A function that is not only called, but stored
    or passed on, is used.
    """
    defined, used = set[str](), set[str]()
    tails: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        _visit(ast.parse(source), "", defined, used, tails)
    while more := {name for name in tails if name not in used and tails[name] & used}:
        used |= more
    return defined - used


def _visit(
    node: ast.AST, function: str, defined: set[str], used: set[str], tails: dict[str, set[str]]
) -> None:
    if isinstance(node, ast.FunctionDef):
        defined.add(node.name)
        function = node.name
    elif isinstance(node, ast.Expr | ast.Return) and isinstance(node.value, ast.Call):
        if isinstance(node, ast.Return) and function and (name := _name(node.value.func)):
            tails[name].add(function)
        parts = [*node.value.args, *node.value.keywords, *_inside(node.value.func)]
        for part in parts:
            _visit(part, function, defined, used, tails)
        return
    elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
        used.add(_name(node))
    for inner in ast.iter_child_nodes(node):
        _visit(inner, function, defined, used, tails)


def _name(node: ast.expr) -> str:
    """The last part of a name, "" of anything else."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _inside(node: ast.expr) -> list[ast.expr]:
    """What a called expression is made of, but for the function's own name."""
    return [] if isinstance(node, ast.Name) else [node.value] if isinstance(node, ast.Attribute) else [node]
