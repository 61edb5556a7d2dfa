"""Which plugins are installed, from metadata alone: nothing of them is imported."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from mmarch.errors import PluginError, concerning
from mmarch.suggest import unknown

GROUP = "mmarch.arch"


@dataclass(frozen=True)
class Found:
    """An entry point that offers an architecture or a series."""

    entry: EntryPoint
    distribution: str
    version: str

    @property
    def name(self) -> str:
        """What --arch or --with takes."""
        return self.entry.name

    @property
    def origin(self) -> str:
        """Distribution, version and object, for messages."""
        return f"{self.distribution} {self.version}, {self.entry.value}"


def find_archs() -> dict[str, list[Found]]:
    """Name -> who offers it; more than one is an error once the name is chosen."""
    return find(GROUP)


def find(group: str) -> dict[str, list[Found]]:
    """What is offered in a group of entry points, by name."""
    return {name: list(offers) for name, offers in _find(group, tuple(map(_changed, sys.path))).items()}


def _changed(folder: str) -> tuple[str, int]:
    """A place that holds distributions, and when one came or went."""
    try:
        return os.path.abspath(folder), os.stat(folder or ".").st_mtime_ns
    except OSError:
        return folder, 0


@lru_cache(4)
def _find(group: str, places: tuple[tuple[str, int], ...]) -> dict[str, list[Found]]:
    """As `places` are; reading every distribution's metadata takes milliseconds, and every run asks twice."""
    found: dict[str, list[Found]] = {}
    for entry in sorted(entry_points(group=group), key=lambda e: (e.name, e.value)):
        dist = entry.dist
        item = Found(entry, dist.name if dist else "unknown", dist.version if dist else "?")
        found.setdefault(entry.name, []).append(item)
    return found


def find_arch(name: str) -> Found:
    """The one entry point called `name`; InputError if there is none, MM009 if there are two."""
    found = find_archs()
    if name not in found:
        installed = ", ".join(found) or "none"
        with concerning("arch"):
            raise unknown("arch", name, found, f"Installed: {installed}. See 'mmarch arch list'.")
    offers = found[name]
    if len(offers) > 1:
        both = " and ".join(offer.origin for offer in offers)
        raise PluginError("MM009", f"arch {name!r} is offered by {both}; uninstall one of them")
    return offers[0]
