"""Features by name: which there are, which a release has, and which go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core_mm import releases
from core_mm.descriptor import ArchDescriptor
from core_mm.feature import Feature
from core_mm.features import feature as core
from core_mm.hookspecs import HOOKS
from mmarch.errors import InputError, MmarchError, PluginError
from mmarch.suggest import unknown

SEE = "See 'mmarch release show'."
Table = Mapping[str, Feature]


def table(arch: ArchDescriptor) -> dict[str, Feature]:
    """Core-mm's features, then the architecture's."""
    return {**core.table, **(arch.features.table if arch.features else {})}


def added(known: Table, names: Iterable[str]) -> frozenset[str]:
    """What `--with` of `names` adds; InputError for a name that is no feature."""
    for name in names:
        if name in HOOKS:
            raise InputError(
                f"{name!r} is a hook, which is on unless --without withholds it; --with is for features"
            )
        if name not in known:
            raise unknown("feature or series", name, known, SEE)
    return frozenset(names)


def present(known: Table, release: str, with_: frozenset[str], without: frozenset[str]) -> frozenset[str]:
    """The features of a release with changes; InputError if they do not go together."""
    if both := sorted(with_ & without):
        raise InputError(f"{both[0]} is both with and without; give one of --with and --without")
    found = (releases.features(release, known.values()) | with_) - without
    for name in sorted(found, key=list(known).index):
        _check(known[name], found, release, with_, without)
    return found


def _unfit(item: Feature, text: str) -> MmarchError:
    """The error of a feature, or of a series, which no release has."""
    return InputError(text) if item.since else PluginError("MM021", f"series {text}")


def _check(
    item: Feature, found: frozenset[str], release: str, with_: frozenset[str], without: frozenset[str]
) -> None:
    for other in item.requires:
        if other not in found and other in without:
            remedy = f"add --without {item.name}" if item.since else f"leave out --without {other}"
            raise _unfit(item, f"{item.name} requires {other}; {remedy}")
        if other not in found:
            raise _unfit(
                item, f"{item.name} requires {other}, which {shown(release)} lacks; add --with {other}"
            )
    for other in sorted(found.intersection(item.excludes)):
        if item.name in with_ and other in with_:
            raise _unfit(item, f"{item.name} excludes {other}; give one of them")
        given, has = (item.name, other) if item.name in with_ else (other, item.name)
        raise _unfit(item, f"{given} excludes {has}, which {shown(release)} has; add --without {has}")


def shown(release: str) -> str:
    """ "Linux 6.12", "contpte-v3"."""
    return f"Linux {release}" if release[0].isdigit() else release


def with_requirements(known: Table, name: str) -> frozenset[str]:
    """A feature and all that it requires, directly or not."""
    return frozenset({name}.union(*(with_requirements(known, other) for other in known[name].requires)))


def with_dependants(known: Table, name: str) -> frozenset[str]:
    """A feature and all that require it, directly or not."""
    return frozenset(other for other in known if name in with_requirements(known, other))
