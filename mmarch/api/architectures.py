"""Architectures, their CPUs and cost profiles; whether one is right; releases and their features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmarch.api.choosing import Note, Progress, silent, unseen

if TYPE_CHECKING:
    from core_mm.descriptor import Cpu
    from core_mm.feature import Feature
    from core_mm.releases import Release
    from mmarch.check.results import Report as Conformance
    from mmarch.check.results import Result as Checked
    from mmarch.cpus import Choice
    from mmarch.plugins import LoadedArch
    from mmarch.plugins.showing import Listed, Winner
    from mmarch.runs.costs import Priced
    from mmarch.runs.result import RestsOn


def check(
    arch: str,
    *,
    note: Callable[[Checked], None] = lambda _: None,
    progress: Progress = unseen,
    say: Note = silent,
    **options: Any,
) -> Conformance:
    """Run the conformance suite on an architecture; the keywords are the fields of `mmarch.check.Options`.

    note  is given each result at once
    say   is given what was found so far, before anything is linked
    """
    from mmarch.check.run import Options
    from mmarch.check.run import check as suite

    return suite(arch, Options(**options), note=note, progress=progress, say=say)


def load_arch(name: str) -> LoadedArch:
    """An architecture by its name, checked; PluginError says what is wrong with it."""
    from mmarch import plugins

    return plugins.load_arch(name)


def list_archs() -> list[Listed]:
    """Installed architectures, broken ones too."""
    from mmarch.plugins import showing

    return showing.list_archs()


def show_arch(name: str, *, hooks: bool = False) -> tuple[LoadedArch, list[Winner]]:
    """An architecture, and which implementation wins each hook; with `hooks`, whether it links."""
    from mmarch.plugins.showing import winners

    arch = load_arch(name)
    return arch, winners(arch, arch if name == "generic" else load_arch("generic"), linking=hooks)


def new_arch(name: str, output: Path | None = None) -> tuple[Path, list[Path]]:
    """Write the beginnings of a plugin; the folder and the files in it."""
    from mmarch.plugins import scaffold

    return scaffold.new_arch(name, output)


def list_cpus(arch: str = "arm64") -> dict[str, Cpu]:
    """CPU models of an architecture, their features complete."""
    from mmarch import cpus

    descriptor = load_arch(arch).descriptor
    return {name: cpus.find(descriptor, name) for name in descriptor.cpus}


def show_cpu(name: str, *, arch: str = "arm64") -> Choice:
    """A CPU such as neoverse-n2+kpti, under its one name."""
    from mmarch import cpus

    return cpus.choose(load_arch(arch).descriptor, name)


def list_costs(arch: str = "arm64") -> dict[str, str]:
    """The cost profiles that an architecture ships, with their descriptions."""
    from mmarch.runs.costs import load_costs, profiles

    descriptor = load_arch(arch).descriptor
    return {name: load_costs(name, descriptor).profile.description for name in profiles(descriptor)}


def show_costs(name: str, *, arch: str = "arm64") -> Priced:
    """A cost profile by name, or from a TOML file."""
    from mmarch.runs.costs import load_costs

    return load_costs(name, load_arch(arch).descriptor)


def list_releases() -> dict[str, Release]:
    """Releases of Linux and patch series, oldest first."""
    from core_mm.releases import RELEASES

    return dict(RELEASES)


def show_release(name: str = "", *, arch: str = "arm64") -> list[Feature]:
    """The features that a release has, the one feature of that name, or all of them."""
    from core_mm.releases import RELEASES, has
    from mmarch.report.features import one

    known = _features(arch)
    if name in RELEASES:
        return [item for item in known.values() if has(name, item)]
    return [one(known, name)] if name else list(known.values())


def diff_releases(older: str, newer: str, *, arch: str = "arm64") -> tuple[list[Feature], list[Feature]]:
    """Which features came, and which went."""
    from mmarch.report.features import known_release

    before, after = (show_release(known_release(name), arch=arch) for name in (older, newer))
    return [item for item in after if item not in before], [item for item in before if item not in after]


def rests_on(release: str = "6.12", *, arch: str = "arm64") -> RestsOn:
    """What stands behind a release: kernels that the twin was compared with, and what is research alone."""
    from mmarch.report.features import known_release
    from mmarch.runs.rests_on import of_release

    return of_release(known_release(release), tuple(_features(arch).values()))


def _features(arch: str) -> dict[str, Feature]:
    from mmarch.plugins.features import table

    return table(load_arch(arch).descriptor)
