"""Faults on file mappings (mm/memory.c:do_fault)."""

from __future__ import annotations

from core_mm.vm_fault import VM_FAULT_SIGBUS


def do_fault(vma: int, address: int, pmdp: int, orig: int, valid: int, access: int) -> int:
    """A missing page of a file."""
    return VM_FAULT_SIGBUS


def wp_page_shared(vma: int, address: int, ptep: int, orig: int, folio: int) -> int:
    """A write to a read-only entry of a shared mapping."""
    return VM_FAULT_SIGBUS
