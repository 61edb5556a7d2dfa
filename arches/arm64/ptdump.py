"""What the kernel's ptdump calls the bits of an entry (arch/arm64/mm/ptdump.c), and Linux's own dirty and special.

The level says what is a block.
"""

from __future__ import annotations

from arches.arm64.pgtable_hwdef import (
    PTE_AF, PTE_CONT, PTE_DBM, PTE_DIRTY, PTE_NG, PTE_PXN, PTE_RDONLY, PTE_SHARED, PTE_SPECIAL, PTE_USER,
    PTE_UXN, PTE_VALID,
)  # fmt: skip
from core_mm.descriptor import PteName

PTE_NAMES = tuple(
    PteName(mask=mask, value=mask, set=on, clear=off)
    for mask, on, off in (
        (PTE_VALID, " ", "F"), (PTE_USER, "USR", "   "), (PTE_RDONLY, "ro", "RW"), (PTE_PXN, "NX", "x "),
        (PTE_SHARED, "SHD", "   "), (PTE_AF, "AF", "  "), (PTE_NG, "NG", "  "), (PTE_CONT, "CON", "   "),
        (PTE_UXN, "UXN", "   "), (PTE_DBM, "DBM", "   "),
        (PTE_DIRTY, "DIRTY", "     "), (PTE_SPECIAL, "SPC", ""),
    )
)  # fmt: skip
