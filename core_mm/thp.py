"""Which folio orders a VMA may use (include/linux/huge_mm.h; Linux 6.12)."""

from __future__ import annotations

from core_mm.mm_types import VM_HUGEPAGE, VM_NOHUGEPAGE, VMA, cfg

ORDERS_BELOW_ANON = 3  # orders 0 and 1: no folio, and one too small for what a folio must remember


def thp_vma_allowable_orders(vma: int, orders: int) -> int:
    """Of `orders`, a bit each, those that anonymous memory of this VMA may use."""
    flags = VMA.vm_flags[vma]
    if flags & VM_NOHUGEPAGE:
        return 0
    enabled = cfg.anon_always
    if flags & VM_HUGEPAGE:
        enabled |= cfg.anon_orders
    return orders & enabled & ~ORDERS_BELOW_ANON


def thp_vma_suitable_order(vma: int, address: int, order: int) -> int:
    """Whether the aligned block of this order around `address` lies in the VMA, and aligned in its file."""
    size = cfg.page_size << order
    start = address & -size
    if start < VMA.vm_start[vma] or start + size > VMA.vm_end[vma]:
        return 0
    if not VMA.vm_file[vma]:
        return 1
    return ((VMA.vm_start[vma] >> cfg.page_shift) - VMA.vm_pgoff[vma]) & ((1 << order) - 1) == 0


def thp_vma_suitable_orders(vma: int, address: int, orders: int) -> int:
    """Of `orders`, those whose block fits; what fits, fits for every lower order too."""
    order = highest_order(orders)
    while orders and not thp_vma_suitable_order(vma, address, order):
        orders &= ~(1 << order)
        order = highest_order(orders)
    return orders


def highest_order(orders: int) -> int:
    """The largest order in the mask, 0 if there is none."""
    order = 0
    while orders >> (order + 1):
        order += 1
    return order
