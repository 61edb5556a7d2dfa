"""What the kernel's ptdump calls the bits of an entry (arch/riscv/mm/ptdump.c); . is not set."""

from __future__ import annotations

from core_mm.descriptor import PteName

from mmarch_riscv_svnapot.pgtable_bits import (
    NAPOT,
    PAGE_ACCESSED,
    PAGE_DIRTY,
    PAGE_EXEC,
    PAGE_GLOBAL,
    PAGE_PRESENT,
    PAGE_READ,
    PAGE_SPECIAL,
    PAGE_USER,
    PAGE_WRITE,
)

PTE_NAMES = tuple(
    PteName(mask=mask, value=mask, set=name, clear="." * len(name))
    for mask, name in (
        (NAPOT, "N"), (PAGE_SPECIAL, "RSW"), (PAGE_DIRTY, "D"), (PAGE_ACCESSED, "A"), (PAGE_GLOBAL, "G"),
        (PAGE_USER, "U"), (PAGE_EXEC, "X"), (PAGE_WRITE, "W"), (PAGE_READ, "R"), (PAGE_PRESENT, "V"),
    )
)  # fmt: skip
