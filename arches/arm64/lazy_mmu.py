"""Barriers of kernel entries, put off in lazy MMU mode (arch/arm64/include/asm/pgtable.h; Linux 6.12, 7.3).

Of a user entry that becomes valid TLB maintenance has the barriers, so that nothing waits at the end of core-mm's
sections. Those of upper tables, which the twin sets without an architecture, are not counted.
"""

from __future__ import annotations

from arches.arm64.events import ISHST
from arches.arm64.features import arch_feature
from arches.arm64.pgtable_hwdef import PTE_USER, PTE_UXN, PTE_VALID
from arches.arm64.tlbflush import dsb, isb
from core_mm.decl import Scalars, always_inline, cold
from core_mm.hookspecs import hookimpl
from core_mm.lazy_mmu import is_lazy_mmu_mode_active


class thread_flags(Scalars):
    """Flags of the task that runs."""

    lazy_mmu_pending: int  # TIF_LAZY_MMU_PENDING: barriers wait


def emit_pte_barriers() -> int:
    """The table walker sees what was stored, and this CPU does not run on with what it found before."""
    dsb(ISHST)
    return isb()


def queue_pte_barriers() -> int:
    """Now, or at the end of the section under way."""
    if not is_lazy_mmu_mode_active():
        return emit_pte_barriers()
    thread_flags.lazy_mmu_pending = 1
    return 0


@always_inline
def __set_pte_complete(pte: int, nr: int) -> int:
    """After `nr` entries from `pte` on were set."""
    if pte & (PTE_VALID | PTE_USER | PTE_UXN) == PTE_VALID | PTE_UXN:
        return complete_kernel_ptes(nr)
    return 0


@cold
def complete_kernel_ptes(nr: int) -> int:
    """After every entry, or once for the batch, and in lazy MMU mode once for all of a section."""
    if arch_feature.kernel_pte_barriers_batched:
        return queue_pte_barriers()
    for _ in range(nr):
        emit_pte_barriers()
    return 0


@hookimpl
def arch_flush_lazy_mmu_mode() -> int:
    if thread_flags.lazy_mmu_pending:
        thread_flags.lazy_mmu_pending = 0
        emit_pte_barriers()
    return 0


@hookimpl
def arch_leave_lazy_mmu_mode() -> int:
    return arch_flush_lazy_mmu_mode()
