"""Logarithms (include/linux/log2.h)."""

from __future__ import annotations


def ilog2(value: int) -> int:
    """log2, rounded down."""
    result = 0
    while value >> (result + 1):
        result += 1
    return result
