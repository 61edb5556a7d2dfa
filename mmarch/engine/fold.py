"""Folding of constant expressions, exactly as Python computes them."""

from __future__ import annotations

import ast
from typing import Any

MAX_SHIFT = 128  # what is wider cannot fit 64 bits, and a plugin must not fill memory with it


def eval_unary(op: ast.unaryop, value: int) -> int:
    """Fold a unary operation on constants."""
    return {ast.USub: -value, ast.Invert: ~value, ast.UAdd: value, ast.Not: int(not value)}[type(op)]


def eval_binary(op: ast.operator, left: int, right: int) -> int | None:
    """Fold a binary operation on constants; None where that is not possible."""
    operations: dict[type, Any] = {
        ast.Add: int.__add__, ast.Sub: int.__sub__, ast.Mult: int.__mul__, ast.BitAnd: int.__and__,
        ast.BitOr: int.__or__, ast.BitXor: int.__xor__, ast.LShift: int.__lshift__,
        ast.RShift: int.__rshift__, ast.FloorDiv: int.__floordiv__, ast.Mod: int.__mod__,
    }  # fmt: skip
    function = operations.get(type(op))
    if isinstance(op, ast.LShift | ast.RShift) and not 0 <= right < MAX_SHIFT:
        return None
    if isinstance(op, ast.FloorDiv | ast.Mod) and right == 0:
        return None
    return None if function is None else int(function(left, right))
