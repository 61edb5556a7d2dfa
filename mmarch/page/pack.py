"""Numbers as text: variable-length quantities in base 64, five bits a digit, as source maps have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

DIGITS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
MORE = 32  # another digit follows
WIDEST = 13  # digits of 64 bits


def pack(numbers: ArrayLike) -> str:
    """Each number as its digits, lowest first; the sign is the lowest bit."""
    signed = np.asarray(numbers, np.int64)
    rest = (np.abs(signed) << 1 | (signed < 0)).astype(np.uint64)
    widths = np.ones(len(rest), np.int64)
    for digit in range(1, WIDEST):
        widths += rest >> np.uint64(5 * digit) != 0
    ends = np.cumsum(widths)
    found = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    for digit in range(int(widths.max(initial=0))):
        here = np.flatnonzero(widths > digit)
        value = (rest[here] >> np.uint64(5 * digit)).astype(np.int64) & MORE - 1
        found[ends[here] - widths[here] + digit] = DIGITS[value | MORE * (widths[here] > digit + 1)]
    return found.tobytes().decode("ascii")


def steps(numbers: ArrayLike) -> str:
    """`pack` of the differences of each number from the one before, which are small where numbers grow slowly."""
    return pack(np.diff(np.asarray(numbers, np.int64), prepend=0))


def columns(table: NDArray[np.int64], growing: tuple[int, ...] = ()) -> list[str]:
    """Each column of a table packed, those of `growing` as steps."""
    return [(steps if number in growing else pack)(table[:, number]) for number in range(table.shape[1])]
