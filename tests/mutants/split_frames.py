"""An architecture whose entries hold the frame in two parts, as arm64's do of 52-bit addresses with 64K pages."""

from __future__ import annotations

from core_mm.descriptor import ArchDescriptor, Cpu, Geometry
from core_mm.hookspecs import hookimpl
from core_mm.rwonce import WRITE_ONCE

LOW_BITS = 12  # of the frame, from bit 12 on; the rest lies from bit 32 on
LOW = (1 << LOW_BITS) - 1
HIGH_SHIFT = 32
FLAGS = (1 << 12) - 1


@hookimpl
def pte_pfn(pte: int) -> int:
    """The frame, put together."""
    return (pte >> HIGH_SHIFT) << LOW_BITS | (pte >> 12) & LOW


@hookimpl
def pfn_pte(pfn: int, prot: int) -> int:
    """The frame, taken apart."""
    return (pfn >> LOW_BITS) << HIGH_SHIFT | (pfn & LOW) << 12 | prot


@hookimpl
def pte_advance_pfn(pte: int, nr: int) -> int:
    """A carry goes from one part to the other."""
    return pfn_pte(pte_pfn(pte) + nr, pte & FLAGS)


@hookimpl
def set_ptes(mm: int, addr: int, ptep: int, pte: int, nr: int) -> int:
    """Consecutive frames."""
    for i in range(nr):
        WRITE_ONCE(ptep + i, pte)
        pte = pte_advance_pfn(pte, 1)
    return 0


arch = ArchDescriptor(
    name="split_frames",
    description="the generic layout with the frame in two parts",
    modules=("tests.mutants.split_frames",),
    granules={"4k": Geometry(page_shift=12, pte_bits=9, levels=4)},
    default_granule="4k",
    cpus={"any": Cpu(description="any", features={})},
    default_cpu="any",
)
