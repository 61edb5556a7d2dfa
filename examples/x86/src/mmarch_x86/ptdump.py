"""What the kernel calls the bits of an entry (arch/x86/mm/dump_pagetables.c, printk_prot()).

Accessed, dirty and special are added; the level says what is a large page.
"""

from __future__ import annotations

from core_mm.descriptor import PteName

from mmarch_x86.pgtable_types import (
    PAGE_ACCESSED,
    PAGE_DIRTY,
    PAGE_GLOBAL,
    PAGE_NX,
    PAGE_PCD,
    PAGE_PWT,
    PAGE_RW,
    PAGE_SAVED_DIRTY,
    PAGE_SPECIAL,
    PAGE_USER,
)

PTE_NAMES = tuple(
    PteName(mask=mask, value=mask, set=on, clear=off)
    for mask, on, off in (
        (PAGE_USER, "USR", "   "), (PAGE_RW, "RW", "ro"), (PAGE_PWT, "PWT", "   "), (PAGE_PCD, "PCD", "   "),
        (PAGE_GLOBAL, "GLB", "   "), (PAGE_NX, "NX", "x "), (PAGE_ACCESSED, "A", " "), (PAGE_DIRTY, "D", " "),
        (PAGE_SAVED_DIRTY, "SAVED_DIRTY", ""), (PAGE_SPECIAL, "SPECIAL", ""),
    )
)  # fmt: skip
