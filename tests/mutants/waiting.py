"""An architecture that stores nothing at once in lazy MMU mode: the last store waits, as those of s390 or Xen may."""

from __future__ import annotations

from core_mm import hookspecs as hook
from core_mm.decl import Scalars
from core_mm.descriptor import ArchDescriptor, Cpu, Geometry
from core_mm.hookspecs import hookimpl
from core_mm.rwonce import READ_ONCE, WRITE_ONCE


class waiting(Scalars):
    """The store that waits."""

    lazy: int  # whether one may
    ptep: int  # where, 0: none
    pte: int


@hookimpl
def set_pte(ptep: int, pte: int) -> int:
    """The one before it is made now."""
    if not waiting.lazy:
        return WRITE_ONCE(ptep, pte)
    hook.arch_flush_lazy_mmu_mode()
    waiting.ptep = ptep
    waiting.pte = pte
    return 0


@hookimpl
def ptep_get(ptep: int) -> int:
    """What waits counts as stored."""
    return waiting.pte if waiting.ptep == ptep else READ_ONCE(ptep)


@hookimpl
def arch_enter_lazy_mmu_mode() -> int:
    """From now on."""
    waiting.lazy = 1
    return 0


@hookimpl
def arch_flush_lazy_mmu_mode() -> int:
    """Make what waits."""
    if waiting.ptep:
        WRITE_ONCE(waiting.ptep, waiting.pte)
    waiting.ptep = 0
    return 0


@hookimpl
def arch_leave_lazy_mmu_mode() -> int:
    """No longer."""
    hook.arch_flush_lazy_mmu_mode()
    waiting.lazy = 0
    return 0


arch = ArchDescriptor(
    name="waiting",
    description="the generic layout, the last store of a lazy MMU section waits",
    modules=("tests.mutants.waiting",),
    granules={"4k": Geometry(page_shift=12, pte_bits=9, levels=4)},
    default_granule="4k",
    cpus={"any": Cpu(description="any", features={})},
    default_cpu="any",
)
