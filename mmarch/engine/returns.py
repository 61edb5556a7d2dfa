"""Whether a hook returns a value on every path; linked code would take a missing one for 0."""

from __future__ import annotations

import ast
from functools import cache
from types import FunctionType

from mmarch.engine.program import definition


@cache
def missing_return(function: FunctionType) -> int:
    """The line where `function` may end without a value, 0 if there is none."""
    node = definition(function)
    for child in ast.walk(node):
        if isinstance(child, ast.Return) and _is_none(child.value):
            return child.lineno
    return 0 if _returns(node.body) else node.body[-1].end_lineno or node.lineno


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _returns(body: list[ast.stmt]) -> bool:
    return any(_ends(statement) for statement in body)


def _ends(statement: ast.stmt) -> bool:
    """Whether nothing after `statement` is reached."""
    if isinstance(statement, ast.Return | ast.Raise):
        return True
    if isinstance(statement, ast.If):
        return _returns(statement.body) and _returns(statement.orelse)
    if isinstance(statement, ast.While):
        endless = isinstance(statement.test, ast.Constant) and bool(statement.test.value)
        return endless and not any(isinstance(node, ast.Break) for node in ast.walk(statement))
    return False
