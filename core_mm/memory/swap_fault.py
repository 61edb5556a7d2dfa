"""Swap-in (mm/memory.c:do_swap_page)."""

from __future__ import annotations

from core_mm.vm_fault import VM_FAULT_SIGBUS


def do_swap_page(vma: int, address: int, pmdp: int, ptep: int, orig: int, access: int) -> int:
    """Bring a page back."""
    return VM_FAULT_SIGBUS
