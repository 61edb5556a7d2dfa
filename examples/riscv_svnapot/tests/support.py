"""Entries as the privileged architecture writes them (Sv48, Svnapot): unsigned, bit by bit."""

from __future__ import annotations

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
SPECIAL = 1 << 8
N = 1 << 63
RW_USER = V | R | W | U | A
PAGE = 4096
BLOCK = 16 * PAGE


def unsigned(value: int) -> int:
    """As 64 bits."""
    return value % (1 << 64)


def signed(value: int) -> int:
    """As the machine keeps it."""
    return value - (1 << 64) if value >> 63 else value


def leaf(pfn: int, bits: int) -> int:
    """An ordinary leaf: PPN from bit 10."""
    return pfn << 10 | bits


def napot(pfn: int, bits: int) -> int:
    """The entry of the 64 KiB block that begins at `pfn`: N, and ppn[3:0] = 1000."""
    assert pfn % 16 == 0
    return N | (pfn + 8) << 10 | bits
