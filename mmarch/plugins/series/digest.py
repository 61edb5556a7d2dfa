"""A digest of what a function says: of its syntax tree, without its docstring, comments and layout."""

from __future__ import annotations

import ast
import copy
import hashlib
from types import FunctionType

from core_mm.series import REPLACES
from mmarch.engine.program import definition

LENGTH = 12


def normalized(function: FunctionType) -> ast.FunctionDef:
    """The tree without docstring and without the mark that it replaces something."""
    node = copy.deepcopy(definition(function))
    first = node.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        node.body = node.body[1:] or [ast.Pass()]
    if hasattr(function, REPLACES):
        node.decorator_list = [item for item in node.decorator_list if not isinstance(item, ast.Call)]
    return node


def text(function: FunctionType) -> str:
    """The function as its tree has it."""
    return ast.unparse(normalized(function))


def digest(function: FunctionType) -> str:
    """Changes with what the function does, and with nothing else."""
    return hashlib.sha256(text(function).encode()).hexdigest()[:LENGTH]
