"""What stands behind a release and its features: kernels that were compared, or research alone."""

from __future__ import annotations

from functools import cache

from core_mm.feature import Feature
from core_mm.releases import has
from mmarch.measurement import evidence
from mmarch.plugins import features
from mmarch.runs.configure import Setup
from mmarch.runs.result import Dated, RestsOn


def rests_on(setup: Setup) -> RestsOn:
    """Of the configuration's release; features that were added or left out count for nothing here."""
    return of_release(setup.configuration.release, tuple(features.table(setup.arch.descriptor).values()))


@cache
def of_release(release: str, known: tuple[Feature, ...]) -> RestsOn:
    """Of a release, as far as these features go."""
    return RestsOn(
        arch=evidence.ARCH, kernels=evidence.kernels(release), research=evidence.research(known, release)
    )


def dated(item: Feature, older: str, newer: str) -> Dated | None:
    """Where a feature came or went between two releases; None of a series, which no release has."""
    if has(older, item) == has(newer, item):
        return None
    before, after = evidence.border(item, older, newer)
    release = item.since if has(newer, item) else item.until
    return Dated(release=release, before=before, after=after, source=item.source)
