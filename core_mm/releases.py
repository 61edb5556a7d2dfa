"""Releases of Linux as tables of core-mm behaviour; each inherits from another and lists differences.

The names of the values are those of `core_mm.mm_types.cfg`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict, Field


class Release(BaseModel):
    """A release: what differs from `base`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    base: str | None = None
    values: Mapping[str, int] = Field(default_factory=dict)


RELEASES: Mapping[str, Release] = {
    release.name: release
    for release in (
        Release(
            name="6.7",
            description="one PTE at a time in zap and fork; gather slots are pages, full when a batch is",
            values={"release": 607},
        ),
        Release(
            name="contpte-v3",
            base="6.7",
            description="December 2023 series, third version: clear_ptes and tlb_get_guaranteed_space",
            values={"zap_batch": 1, "fork_batch": 1, "gather_reserve": 3},
        ),
        Release(
            name="contpte-v4",
            base="contpte-v3",
            description="fourth version: the architecture's batch hint and tlb_reserve_space",
            values={"gather_reserve": 4, "batch_hint": 1},
        ),
        Release(
            name="6.12",
            base="6.7",
            description="folio batches in zap and fork, (page, nr) pairs in the gather; as of 6.12.107",
            values={"release": 612, "zap_batch": 2, "fork_batch": 2, "gather_pairs": 1, "batch_hint": 1},
        ),
        Release(
            name="7.2",
            base="6.12",
            description="batched mprotect, mremap, rmap and aging; page-table reclaim; as of 7.2.13",
            values={
                "release": 702, "mprotect_batch": 1, "mremap_batch": 1, "young_batch": 1, "pt_reclaim": 1,
                "madvise_one_gather": 1, "reuse_large_anon": 1, "vma_pfn_sticky": 1, "rmap_batch": 1,
                "lazy_mmu_nesting": 1,
            },
        ),
        Release(
            name="7.3",
            base="7.2",
            description="PROT_NONE never folded; MADV_COLD of a huge page without invalidating it; as of 7.3.4",
            values={"release": 703},
        ),
    )
}  # fmt: skip

DEFAULT_RELEASE = "6.12"


@cache
def values(name: str) -> Mapping[str, int]:
    """All values of a release, inherited ones included."""
    release = RELEASES[name]
    inherited = dict(values(release.base)) if release.base else {}
    return {**inherited, **release.values}
