"""From the names and files of `--with` to features and series that go together: MM020 to MM023."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

from core_mm import vmstat
from core_mm.decl import Array, Scalars, Table
from core_mm.descriptor import ArchDescriptor
from core_mm.feature import Feature
from core_mm.hookspecs import HOOKS
from core_mm.releases import RELEASES
from mmarch.engine.changes import Changes
from mmarch.engine.hookimpls import where
from mmarch.engine.machine import declared_modules
from mmarch.errors import PluginError
from mmarch.plugins import features
from mmarch.plugins.problem import Problem
from mmarch.plugins.series.finding import find_series, is_path
from mmarch.plugins.series.loading import LoadedSeries, load_series
from mmarch.suggest import did_you_mean


@dataclass(frozen=True)
class Chosen:
    """What `--with` adds: names of features and series, and the series; `known` are all features there are."""

    known: dict[str, Feature]
    names: frozenset[str]
    series: tuple[LoadedSeries, ...] = ()

    @property
    def changes(self) -> Changes:
        """Of all series together."""
        return Changes.together(one.changes for one in self.series)

    @property
    def digests(self) -> dict[str, str]:
        """Of the sources of each series."""
        return {one.name: one.digest for one in self.series}

    @property
    def declared(self) -> dict[str, str]:
        """What the series mean to change of what core-mm can observe, and why."""
        return {what: why for one in self.series for what, why in one.descriptor.changes.items()}

    @property
    def remarks(self) -> list[str]:
        """Warnings to show."""
        return [text for one in self.series for text in one.remarks()]


def choose(arch: ArchDescriptor, given: Sequence[str]) -> Chosen:
    """Load what is a series; InputError for a name that is nothing, PluginError for what does not fit."""
    known = features.table(arch)
    if not given:
        return Chosen(known, frozenset())
    installed = find_series()
    for name in known.keys() & installed:
        raise PluginError(
            "MM022", _clash(name, f"the feature ({known[name].summary})", installed[name][0].origin)
        )
    loaded = {one.digest: one for one in map(load_series, (n for n in given if is_path(n) or n in installed))}
    series = tuple(loaded.values())
    if problem := next(_problems(arch, known, series), None):
        raise PluginError(problem.code, problem.text)
    plain = [name for name in given if not is_path(name) and name not in installed]
    names = features.added({**known, **dict.fromkeys(installed)}, plain)  # type: ignore[dict-item]
    own = {one.name: one.feature for one in series}
    return Chosen({**known, **own}, names | own.keys(), series)


def applicable(series: Sequence[LoadedSeries], usual: Sequence[str]) -> list[str]:
    """Of the usual releases those that all of them are for; the newest one that they are for if none is usual."""
    both = [name for name in RELEASES if all(name in (one.descriptor.releases or RELEASES) for one in series)]
    return [name for name in usual if name in both] or both[-1:] or list(usual)


def fits(series: Sequence[LoadedSeries], release: str) -> None:
    """MM021 for one that was not made for this release."""
    for one in series:
        if one.descriptor.releases and release not in one.descriptor.releases:
            made = " and ".join(map(features.shown, one.descriptor.releases))
            raise PluginError(
                "MM021",
                f"series {one.name} ({one.place}) applies to {made}, not to {features.shown(release)}; "
                f"choose release {one.descriptor.releases[-1]}",
            )


def _problems(
    arch: ArchDescriptor, known: features.Table, series: Sequence[LoadedSeries]
) -> Iterator[Problem]:
    for one in series:
        yield from _name(one, known)
        yield from _requirements(one, arch, {*known, *(other.name for other in series)})
        yield from _events(one, arch)
        yield from _memory(one, arch)
    for first, second in itertools.combinations(series, 2):
        yield from _together(first, second)
    yield from _room(arch, series)


def _clash(name: str, first: str, second: str) -> str:
    return (
        f"{name!r} is {first} and the series of {second}; features, hooks and series share one namespace: "
        "rename the series"
    )


def _name(one: LoadedSeries, known: features.Table) -> Iterator[Problem]:
    """Of the series and of its hooks, against what there is."""
    for name in (one.name, *one.changes.hooks):
        if name in known:
            yield Problem("MM022", _clash(name, f"a feature ({known[name].summary})", one.place))
    if one.name in HOOKS:
        yield Problem("MM022", _clash(one.name, "a hook", one.place))
    for other in find_series().get(one.name, ()):
        if one.origin == "file" and load_series(one.name).digest != one.digest:
            yield Problem(
                "MM022",
                f"series {one.name!r} is in {one.place} and installed ({other.origin}), and they differ; "
                "rename one of them, or uninstall the other",
            )


def declared(modules: Sequence[ModuleType]) -> dict[str, object]:
    """What the modules declare of a machine's memory, by the names that it lies under."""
    found: dict[str, object] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Array):
                found[value.name] = value
            elif (
                isinstance(value, type)
                and issubclass(value, Table | Scalars)
                and value.__module__ == module.__name__
            ):
                found[value.__name__] = value
    return found


def _memory(one: LoadedSeries, arch: ArchDescriptor) -> Iterator[Problem]:
    """Declarations of its own: names that are free, sizes that a machine knows."""
    there = declared(declared_modules([arch]))
    lengths = {_length(value) for value in there.values()}
    for name, value in declared(one.changes.modules).items():
        if there.get(name, value) is not value:
            yield Problem(
                "MM022", f"{one.place}: {name} is declared by core-mm or {arch.name} already; rename it"
            )
        elif _length(value) not in lengths:
            sizes = ", ".join(sorted(filter(None, lengths)))
            yield Problem(
                "MM018", f"{one.place}: {name} has the length {_length(value)!r}; there are {sizes}"
            )


def _length(value: object) -> str:
    """The name of a size; of scalars there is none."""
    return value.length if isinstance(value, Array) else str(getattr(value, "rows", ""))


def _requirements(one: LoadedSeries, arch: ArchDescriptor, known: set[str]) -> Iterator[Problem]:
    for name in one.descriptor.requires:
        if name not in known:
            text = f"series {one.name} requires {name!r}, which is no feature of core-mm or {arch.name}"
            yield Problem("MM021", f"{one.place}: {text}.{did_you_mean(name, known)}")


def _events(one: LoadedSeries, arch: ArchDescriptor) -> Iterator[Problem]:
    for name in one.changes.events:
        if name in vmstat.NAMES or name in arch.events:
            yield Problem(
                "MM022", f"{one.place}: event {name!r} of series {one.name} is there already; rename it"
            )


def _together(first: LoadedSeries, second: LoadedSeries) -> Iterator[Problem]:
    """Two that change one thing, whose order would decide."""
    both = f"series {first.name} ({first.place}) and {second.name} ({second.place})"
    if first.name == second.name:
        yield Problem("MM022", f"{both} have one name; rename one")
    for old in first.changes.replaced.keys() & second.changes.replaced.keys():
        at = f"{where(first.changes.replaced[old])} and {where(second.changes.replaced[old])}"
        yield Problem(
            "MM020",
            f"{both} both replace {old.__module__}.{old.__name__} ({at}); give one, or make one of both",
        )
    for name in sorted(first.changes.hooks.keys() & second.changes.hooks.keys()):
        yield Problem("MM022", f"{both} both declare hook {name}; rename one")
    for arch, own in first.changes.implementations.items():
        for name in sorted(own.keys() & second.changes.of_arch(arch).keys() - first.changes.hooks.keys()):
            yield Problem(
                "MM020", f"{both} both implement hook {name} for {arch}; give one, or make one of both"
            )
    one, other = declared(first.changes.modules), declared(second.changes.modules)
    for name in sorted(one.keys() & other.keys()):
        if one[name] is not other[name]:
            yield Problem("MM022", f"{both} both declare {name}; rename one")


def _room(arch: ArchDescriptor, series: Sequence[LoadedSeries]) -> Iterator[Problem]:
    hooks = sum(len(one.changes.hooks) for one in series)
    events = sum(len(one.changes.events) for one in series)
    for what, number, most in (
        ("hooks", hooks, vmstat.HOOKS - 1 - len(HOOKS)),
        ("events", events, vmstat.EVENTS - vmstat.ARCH_EVENT - len(arch.events)),
    ):
        if number > most:
            names = ", ".join(one.name for one in series)
            yield Problem("MM023", f"series {names} declare {number} {what}; there is room for {most}")
