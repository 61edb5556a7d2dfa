"""Bits of a level 3 descriptor (arch/arm64/include/asm/pgtable-hwdef.h, pgtable-prot.h; Linux 6.12)."""

from __future__ import annotations

PTE_VALID = 1 << 0
PTE_TABLE_BIT = 1 << 1
PTE_TYPE_PAGE = 3
PTE_USER = 1 << 6  # AP[1]
PTE_RDONLY = 1 << 7  # AP[2]
PTE_SHARED = 3 << 8
PTE_AF = 1 << 10
PTE_NG = 1 << 11
PTE_PRESENT_INVALID = PTE_NG  # of an entry that is not valid
PTE_GP = 1 << 50
PTE_DBM = 1 << 51
PTE_WRITE = PTE_DBM
PTE_CONT = 1 << 52
PTE_PXN = 1 << 53
PTE_UXN = 1 << 54
PTE_DIRTY = 1 << 55
PTE_SPECIAL = 1 << 56
PTE_ATTRINDX_MASK = 7 << 2
PTE_PO_IDX_MASK = 7 << 60
PTE_SWBITS_MASK = -(1 << 63) | (15 << 55)  # bits 63, 58..55
PTE_ADDR_LOW = (1 << 50) - 1  # of an address, with what lies within the page

_PAGE_DEFAULT = PTE_TYPE_PAGE | PTE_AF | PTE_SHARED
PAGE_READONLY = _PAGE_DEFAULT | PTE_USER | PTE_RDONLY | PTE_NG | PTE_PXN | PTE_UXN
PAGE_READONLY_EXEC = PAGE_READONLY & ~PTE_UXN
PAGE_SHARED = PAGE_READONLY | PTE_WRITE
PAGE_SHARED_EXEC = PAGE_READONLY_EXEC | PTE_WRITE
PAGE_NONE = (_PAGE_DEFAULT & ~PTE_VALID) | PTE_PRESENT_INVALID | PTE_RDONLY | PTE_PXN | PTE_UXN

# non-present entries: bits 1:0 zero, 2 exclusive, 10:6 type, 11 zero, 61:12 offset
SWP_EXCLUSIVE = 1 << 2
SWP_TYPE_SHIFT, SWP_OFFSET_SHIFT = 6, 12
SWP_TYPE = 1 << SWP_TYPE_SHIFT  # one swap area, of a type that keeps offset 0 apart from none
