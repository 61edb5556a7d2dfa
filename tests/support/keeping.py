"""An architecture that counts what core-mm tells it of pages going to and from swap, and refuses when told to."""

from __future__ import annotations

from core_mm.decl import Scalars
from core_mm.descriptor import ArchDescriptor, Cpu, Geometry
from core_mm.hookspecs import hookimpl


class keeping(Scalars):
    """Calls so far, and what is to be refused."""

    unmapped: int
    prepared: int
    restored: int
    invalidated: int
    areas: int
    refuse_unmap: int
    refuse_prepare: int


@hookimpl
def arch_unmap_one(mm: int, vma: int, addr: int, orig_pte: int) -> int:
    """-ENOMEM, or one more."""
    if keeping.refuse_unmap:
        return -12
    keeping.unmapped += 1
    return 0


@hookimpl
def arch_prepare_to_swap(folio: int) -> int:
    """-ENOMEM, or one more."""
    if keeping.refuse_prepare:
        return -12
    keeping.prepared += 1
    return 0


@hookimpl
def arch_swap_restore(entry: int, folio: int) -> int:
    """One more."""
    keeping.restored += 1
    return 0


@hookimpl
def arch_swap_invalidate_page(type: int, offset: int) -> int:
    """One more."""
    keeping.invalidated += 1
    return 0


@hookimpl
def arch_swap_invalidate_area(type: int) -> int:
    """One more."""
    keeping.areas += 1
    return 0


arch = ArchDescriptor(
    name="keeping",
    description="the generic layout, and something beside the contents of every page",
    modules=("tests.support.keeping",),
    granules={"4k": Geometry(page_shift=12, pte_bits=9, levels=4)},
    default_granule="4k",
    cpus={"any": Cpu(description="any", features={})},
    default_cpu="any",
)
