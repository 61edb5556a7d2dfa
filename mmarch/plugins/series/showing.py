"""What there is to see of series: which are installed, and what one changes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType

from core_mm.series import IMPLEMENTS
from mmarch.errors import PluginError
from mmarch.plugins.finding import Found
from mmarch.plugins.series.digest import text
from mmarch.plugins.series.finding import find_series
from mmarch.plugins.series.loading import LoadedSeries, load_series


@dataclass(frozen=True)
class Listed:
    """One installed series; `status` is "ok", "stale" where core-mm has changed, or the code of what is wrong."""

    found: Found
    status: str
    title: str = ""
    releases: tuple[str, ...] = ()
    problem: str = ""


def list_series() -> list[Listed]:
    """Every installed series; a broken one is listed, never fatal."""
    return [_listed(name, offer) for name, offers in find_series().items() for offer in offers]


def _listed(name: str, offer: Found) -> Listed:
    try:
        one = load_series(name)
    except PluginError as error:
        return Listed(offer, error.code, problem=str(error))
    described = one.descriptor
    problem = "\n".join(f"{stale.name} has changed: 'mmarch series show {name}'" for stale in one.stale)
    return Listed(offer, "stale" if one.stale else "ok", described.title, described.releases, problem)


@dataclass(frozen=True)
class Replaced:
    """A function of core-mm and what a series makes of it; `status` is "ok", "changed" or "no digest"."""

    name: str
    where: str
    status: str
    diff: tuple[str, ...]


def replaced(one: LoadedSeries) -> Iterator[Replaced]:
    """Every replacement, as a diff of what the functions do."""
    stale = {item.name: "changed" if item.had else "no digest" for item in one.stale}
    for old, new in one.changes.replaced.items():
        name = f"{old.__module__}.{old.__name__}"
        place = f"{new.__code__.co_filename}:{new.__code__.co_firstlineno}"
        yield Replaced(name, place, stale.get(name, "ok"), tuple(diff(old, new, name, one.name)))


def implemented(one: LoadedSeries) -> dict[str, tuple[str, ...]]:
    """Architecture -> the hooks that it gets; the defaults of new ones are left out."""
    found = {
        arch: tuple(n for n, f in own.items() if arch != "generic" or hasattr(f, IMPLEMENTS))
        for arch, own in one.changes.implementations.items()
    }
    return {arch: names for arch, names in found.items() if names}


def diff(old: FunctionType, new: FunctionType, name: str, series: str) -> Iterator[str]:
    """A unified diff, in the normal form that digests are made of."""
    before, after = (text(function).splitlines() for function in (old, new))
    yield from difflib.unified_diff(before, after, name, f"{name} with {series}", lineterm="", n=99)
