"""What measurements of real kernels say of releases and features, as shown.toml has it (tools/feature_evidence.py)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from core_mm.feature import Feature
from core_mm.releases import RELEASES, has, line

ARCH = "arm64"  # of every kernel that was measured


@dataclass(frozen=True)
class Evidence:
    """What was measured, and what that shows.

    machines  for each kernel the CPUs it ran on, with the page size where that is not 4K
    shown     for each feature the releases, nearest to where it came or went, whose measured steps would differ if they
              had it and not, or the other way round
    """

    machines: Mapping[str, tuple[str, ...]]
    shown: Mapping[str, tuple[str, ...]]


@cache
def evidence() -> Evidence:
    """Of the bundled measurements."""
    with Path(__file__).with_name("shown.toml").open("rb") as file:
        tables = tomllib.load(file)
    machines, shown = (
        {name: tuple(values) for name, values in tables[key].items()} for key in ("machines", "shown")
    )
    return Evidence(machines, shown)


def kernels(release: str) -> dict[str, tuple[str, ...]]:
    """The kernels of a release that the twin was compared with, each with its machines."""
    return {
        kernel: machines
        for kernel, machines in evidence().machines.items()
        if kernel.rpartition(".")[0] == release
    }


def is_linux(release: str) -> bool:
    """Whether it is a release, not a series on top of one."""
    return release[0].isdigit()


def stretch(item: Feature, release: str) -> tuple[str, ...]:
    """The releases of Linux around `release` without a change of the feature between them; none if a series has it."""
    base = next(name for name in line(release) if is_linux(name))
    if has(base, item) != has(release, item):
        return ()
    for _, group in groupby(filter(is_linux, RELEASES), key=lambda name: has(name, item)):
        if base in (names := tuple(group)):
            return names
    return ()


def is_shown(item: Feature, release: str) -> bool:
    """Whether a measurement shows that the release has the feature, or that it has it not."""
    return not set(evidence().shown.get(item.name, ())).isdisjoint(stretch(item, release))


def research(known: Iterable[Feature], release: str) -> tuple[str, ...]:
    """Of features that some release of Linux has: those that `release` has or lacks by research alone."""
    return tuple(
        item.name
        for item in known
        if (item.since[:1].isdigit() or has(release, item)) and not is_shown(item, release)
    )


def border(item: Feature, older: str, newer: str) -> tuple[str, str]:
    """The kernels nearest to where the feature came or went whose measurements say so, "" where none does."""
    shown = evidence().shown.get(item.name, ())
    before = [name for name in shown if name in stretch(item, older)]
    after = [name for name in shown if name in stretch(item, newer)]
    return (_kernel(before[-1]) if before else "", _kernel(after[0]) if after else "")


def placed(item: Feature) -> str:
    """Where measurements place a feature, as a sentence."""
    shown = evidence().shown.get(item.name, ())
    seen = [f"{'on' if has(name, item) else 'not on'} {_kernel(name)}" for name in shown]
    return f"measured: {', '.join(seen)}" if seen else "no measurement shows it"


def _kernel(release: str) -> str:
    return RELEASES[release].measured
