"""What results depend on besides a point: which mmarch, and which plugins, down to their sources."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import mmarch
from mmarch.runs.configure import Setup

PYTHON = "Python"
# Of mmarch, the rooms that a count depends on.
ROOMS = ("engine", "grid", "plugins", "runs", "scenario", "trace")
LENGTH = 12
Identity = dict[str, str]


def identity(setups: Iterable[Setup]) -> Identity:
    """Of this process, for sweeps with these architectures and series; a name, and a version or a digest of sources."""
    found = {PYTHON: platform.python_version(), "mmarch": f"{mmarch.__version__} ({_mmarch()})"}
    for setup in setups:
        found.update(_plugins(setup))
    return dict(sorted(found.items()))


def of_results(known: Mapping[str, str]) -> Identity:
    """Without what a count does not depend on."""
    return {name: value for name, value in known.items() if name != PYTHON}


def differences(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """What differs, by name; empty if nothing does."""
    names = sorted({*theirs, *ours})
    return ", ".join(
        f"{name} {theirs.get(name, 'none')}, here {ours.get(name, 'none')}"
        for name in names
        if theirs.get(name) != ours.get(name)
    )


def _plugins(setup: Setup) -> Identity:
    found = {f"series {one.name}": one.digest for one in setup.applied}
    for loaded in (setup.arch, setup.generic):
        entry = loaded.found
        package = entry.entry.module.partition(".")[0]
        name = f"plugin {entry.name}"
        found[name] = f"{entry.distribution} {entry.version} ({_package(package)})"
    return found


@cache
def _mmarch() -> str:
    here = Path(mmarch.__file__).parent
    rooms = [file for room in ROOMS for file in (here / room).rglob("*.py")]
    return _digest(here, [*rooms, *_sources("core_mm")])


@cache
def _package(name: str) -> str:
    files = _sources(name)
    return _digest(files[0].parent if files else Path(), files)


def _sources(package: str) -> list[Path]:
    module = sys.modules.get(package) or find_spec(package)
    paths = getattr(module, "__path__", None) or getattr(module, "submodule_search_locations", None)
    if paths:
        return sorted(file for path in paths for file in Path(path).rglob("*.py"))
    file = getattr(module, "__file__", None)
    return [Path(file)] if file else []


def _digest(root: Path, files: Iterable[Path]) -> str:
    """Of names and contents."""
    text = hashlib.sha256()
    for file in sorted(set(files)):
        name = file.relative_to(root) if file.is_relative_to(root) else Path(file.parent.name) / file.name
        text.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return text.hexdigest()[:LENGTH]
