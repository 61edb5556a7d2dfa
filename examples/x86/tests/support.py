"""Entries as Intel's manual writes them (SDM volume 3, table 4-20), and Linux's software bits."""

from __future__ import annotations

P, RW, US, PWT, PCD, A, D, PSE, G = (1 << bit for bit in range(9))
SPECIAL = 1 << 9
SAVED_DIRTY = 1 << 58
NX = 1 << 63
USER_RW = P | RW | US | A | NX
USER_RO = P | US | A | NX
PROT_NONE = A | G
PAGE = 4096


def unsigned(value: int) -> int:
    """As 64 bits."""
    return value % (1 << 64)


def signed(value: int) -> int:
    """As the machine keeps it."""
    return value - (1 << 64) if value >> 63 else value


def leaf(pfn: int, bits: int) -> int:
    """A present leaf: the frame from bit 12."""
    return signed(pfn << 12 | bits)


def absent(pfn: int, bits: int) -> int:
    """An entry that is not present: bits 51:12 inverted, against L1TF."""
    return signed((~pfn & (1 << 40) - 1) << 12 | bits)
