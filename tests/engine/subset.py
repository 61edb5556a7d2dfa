"""Functions in the linkable subset, and beyond it, for test_subset."""

from __future__ import annotations

from core_mm.decl import Array, Table, always_inline, cold, column, noinline

cells = Array("cells", "cells")
TABLE = (7, -3, 11)


class PAIR(Table, rows="pairs"):
    """Columns of each width, one of them apart."""

    wide = column(64)
    half = column(16)
    byte = column(8, apart=True)


def arithmetic(a: int, b: int) -> int:
    """Division rounds down; shifts keep the sign."""
    total = a + 3 * b - (a ^ b) + (a & b) - (a | ~b)
    total += a // 7 + a % 7 + b // 8 + b % 8
    if b:
        total += a // b + a % b
    return total + (a >> 3) + -b


def choices(a: int, b: int) -> int:
    """`and` and `or` yield the operand that decides; comparisons chain."""
    x = a and b
    y = a or b
    z = 5 if 0 <= a < b else 9
    w = not a
    return 1000 * min(x, y, 3) + max(z, y) + w + bool(b) + (a != b) + (not (a < 3 or b > 4))


def loops(a: int, b: int) -> int:
    """Loops by range and by condition, with continue and break; the loop variable outlives the loop."""
    total = 0
    for i in range(a & 15):
        if i == b & 7:
            continue
        for j in range(i, 0, -2):
            total += TABLE[j % 3] * i
            if total > 200:
                break
    n = b & 63
    while True:
        n -= 1
        if n < 0:
            break
        total ^= n
    return total


def pair(a: int, b: int) -> tuple[int, int]:
    """Two results."""
    return a + b, a - b


def forwarded(a: int, b: int) -> tuple[int, int]:
    """Two results of another function."""
    return pair(b, a)


@noinline
def outside(a: int, b: int) -> int:
    """Kept out of line."""
    first, second = forwarded(a, b)
    return 3 * first + second


@cold
def rare(a: int, b: int = 4) -> int:
    """Seldom called."""
    return a - b


@always_inline
def copied(a: int, b: int) -> int:
    """Inlined."""
    return rare(a, b=b) + rare(a)


def calls(a: int, b: int) -> int:
    """Tuples, defaults, keywords, and every kind of inlining."""
    return outside(a, b) + copied(b, a)


def memory(a: int, b: int) -> int:
    """Columns keep their width and sign."""
    cells[3] = a
    cells[4] += b
    PAIR.wide[2] = a
    PAIR.half[2] = b
    PAIR.byte[2] = a
    PAIR.byte[3] -= 1
    return cells[3] + cells[4] + PAIR.wide[2] + PAIR.half[2] + PAIR.byte[2] + PAIR.byte[3] + PAIR.wide[1]


def with_list(a: int, b: int) -> int:
    """No lists."""
    return len([a, b])


def with_try(a: int, b: int) -> int:
    """No exceptions."""
    try:
        return a
    finally:
        pass


def with_string(a: int, b: int) -> int:
    """No strings."""
    return a if str(b) else b


def with_power(a: int, b: int) -> int:
    """Not every operator."""
    return a**b


def with_huge(a: int, b: int) -> int:
    """No constant beyond 64 bits."""
    return a + 0x1_0000_0000_0000_0000


def with_iterable(a: int, b: int) -> int:
    """No loops over anything but a range."""
    for item in TABLE:
        a += item
    return a
