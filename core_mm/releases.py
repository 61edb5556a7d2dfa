"""Releases of Linux, each a list of features over its predecessor: worked out from what features say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core_mm.feature import Feature


@dataclass(frozen=True)
class Release:
    """A release of Linux, or a series on top of one; `base` is the release it comes after, "" for the first.

    measured  the kernel that it was compared with, "" if none was
    """

    name: str
    description: str
    base: str = ""
    measured: str = ""


RELEASES: Mapping[str, Release] = {
    release.name: release
    for release in (
        Release("6.7", "one PTE at a time in zap and fork; gather slots are pages, full when a batch is"),
        Release(
            "contpte-v3",
            "December 2023 series, third version: clear_ptes and tlb_get_guaranteed_space",
            "6.7",
        ),
        Release(
            "contpte-v4", "fourth version: the architecture's batch hint and tlb_reserve_space", "contpte-v3"
        ),
        Release("6.12", "folio batches in zap and fork, (page, nr) pairs in the gather", "6.7", "6.12.107"),
        Release("6.16", "owners of large folios; ext4 with large folios", "6.12", "6.16.12"),
        Release("6.17", "batched mprotect, mremap and collapse", "6.16", "6.17.13"),
        Release("6.18", "faults map whole folios of files, up to the end of the file", "6.17", "6.18.15"),
        Release("6.19", "faults that permit more flush this CPU alone", "6.18", "6.19.14"),
        Release("7.0", "nesting lazy MMU mode; page-table reclaim; swap-in by the swap cache", "6.19", "7.0.13"),
        Release("7.1", "batched aging; limits of flushes by operations", "7.0", "7.1.13"),
        Release("7.2", "reverse mapping looks first without a lock", "7.1", "7.2.12"),
        Release(
            "7.3", "PROT_NONE never folded; MADV_COLD of a huge page without invalidating it", "7.2", "7.3.4"
        ),
    )
}

DEFAULT_RELEASE = "6.12"


def number(name: str) -> tuple[int, ...]:
    """ "6.12" as (6, 12); ValueError for a name that is no number of Linux."""
    major, minor = name.split(".")
    return int(major), int(minor)


def line(name: str) -> tuple[str, ...]:
    """A release and those that it is based on, the newest first."""
    base = RELEASES[name].base
    return (name, *line(base)) if base else (name,)


def linux(name: str) -> tuple[int, ...]:
    """The number of the release of Linux that `name` is, or that a series is based on."""
    return number(next(release for release in line(name) if release[0].isdigit()))


def reached(name: str, since: str) -> bool:
    """Whether release `name` is at or after `since`, a release of Linux or a series."""
    return since in line(name) if since in RELEASES else linux(name) >= number(since)


def has(name: str, feature: Feature) -> bool:
    """Whether a release has a feature."""
    if feature.until and reached(name, feature.until):
        return False
    if name in feature.backported:
        return True
    return any(reached(name, since) for since in (feature.since, *feature.also) if since)


def features(name: str, table: Iterable[Feature]) -> frozenset[str]:
    """Names of those of `table` that a release has."""
    return frozenset(feature.name for feature in table if has(name, feature))
