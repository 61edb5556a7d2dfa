"""What an architecture's TLB maintenance means: data that a TLB oracle reads the event log by.

A log row of a TLB invalidation carries the event, a virtual address in bytes, the number of pages
in the low half and a level hint in the high half of the next column, and the address space's ASID
(`core_mm.vmstat.LOG_TLBI`). The hint is 0 for none, else its low two bits are the level of
the leaf: 3 for a PTE, 2 for a PMD, and the two above may say the page size. An invalidation with
a hint for another level or page size drops nothing, and cached pointers to tables in no case. The
ASID -1 matches no address space.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Tlbi(BaseModel):
    """One kind of invalidation.

    scope  the pages of the row, the ASID of the row, everything; or nothing: what an erratum wants repeated
    walk   whether cached upper-level entries on the way to these pages go as well
    local  on this CPU only, so that other CPUs keep what they have
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Literal["pages", "asid", "all", "none"]
    walk: bool = True
    local: bool = False


class Hazard(BaseModel):
    """A violation that the kernel itself commits and that is kept: counted apart, reported by the suite.

    kind  of `mmarch.sanitize.Violation`
    hook  the outermost hook under way when it shows
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    hook: str
    reason: str


class TlbModel(BaseModel):
    """How invalidations and barriers act.

    tlbi         event name -> what it invalidates
    publish      barriers after which table walkers see earlier stores -> whose: every CPU's or this one's alone
    complete     barriers that wait for earlier invalidations -> whose: everyone's or this CPU's
    page_hints   page shift -> what bits 2 and 3 of a level hint say of the page size; {} if they say nothing
    synchronous  there are no barriers: stores are seen and invalidations done at once
    fault_drops  a page fault drops the translation that it was about, on the CPU that takes it
    asid_mask    bits of an ASID that tell address spaces apart
    cont_mask    bits of an entry that say it belongs to a contiguous block, 0 where there is none
    plain        "module:function" of (raw entry, index in its table): the entry of one page that it stands for;
                 "" if a raw entry of a block says so itself
    relaxed_bbm  features, any of which on the CPU allows a block to change its size without break before make
    hazards      what the kernel is known to do wrong here
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tlbi: Mapping[str, Tlbi]
    publish: Mapping[str, Literal["all", "local"]] = Field(default_factory=dict)
    complete: Mapping[str, Literal["all", "local"]] = Field(default_factory=dict)
    page_hints: Mapping[int, int] = Field(default_factory=dict)
    synchronous: bool = False
    fault_drops: bool = False
    asid_mask: int = 0xFFFF
    cont_mask: int = 0
    plain: str = ""
    relaxed_bbm: tuple[str, ...] = ()
    hazards: tuple[Hazard, ...] = ()
