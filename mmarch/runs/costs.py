"""Cost profiles: nanoseconds for events, each figure with its source. An estimate, kept apart from counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core_mm.descriptor import ArchDescriptor, Group
from core_mm.vmstat import NAMES
from mmarch.errors import InputError, concerning
from mmarch.reading import toml, utf8, valid
from mmarch.runs.result import Counts
from mmarch.suggest import did_you_mean, unknown
from mmarch.verbose import say

ASSUMED = "assumed"
LARGEST = 1 << 20  # bytes of a profile
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Figure(BaseModel):
    """Nanoseconds that one event takes, and who says so: a citation, or "assumed" and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ns: float = Field(ge=0, le=1e9, allow_inf_nan=False)
    source: Text

    @property
    def assumed(self) -> bool:
        """Whether nobody measured it."""
        return self.source.lower().startswith(ASSUMED)


class CostProfile(BaseModel):
    """What events cost on one machine.

    groups  figure of every event of a group ("tlbi", "barrier") that has none of its own
    events  figures by event name
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    description: Text
    groups: Mapping[Group, Figure] = Field(default_factory=dict)
    events: Mapping[str, Figure] = Field(default_factory=dict)


@dataclass(frozen=True)
class Priced:
    """A profile for the events of one architecture."""

    profile: CostProfile
    figures: Mapping[str, Figure]

    def ns(self, counts: Counts) -> float:
        """Estimated nanoseconds of the events that have a figure."""
        return sum(figure.ns * counts.get(event, 0) for event, figure in self.figures.items())

    def unpriced(self, counts: Counts, events: tuple[str, ...]) -> tuple[str, ...]:
        """Which of `events` happened and have no figure."""
        return tuple(event for event in events if counts.get(event) and event not in self.figures)


def profiles(arch: ArchDescriptor) -> dict[str, Traversable]:
    """The cost profiles that an architecture ships."""
    return {name: _resource(place) for name, place in sorted(arch.cost_profiles.items())}


def _resource(place: str) -> Traversable:
    package, _, path = place.partition(":")
    return files(package).joinpath(*path.split("/"))


def load_costs(which: str, arch: ArchDescriptor) -> Priced:
    """A profile by name, or the TOML file at a path; InputError says what is wrong with it."""
    known = profiles(arch)
    if which in known:
        return price(_parse(known[which], which), arch, which)
    if "/" in which or which.endswith(".toml"):
        return price(_parse(Path(which), which), arch, which)
    with concerning("costs"):
        raise unknown("cost profile", which, known, f"Known: {', '.join(known) or 'none'}; or a TOML file.")


def price(profile: CostProfile, arch: ArchDescriptor, where: str) -> Priced:
    """Resolve groups to events; a name that is no event of `arch` is an InputError."""
    known = (*NAMES, *arch.events)
    for name in profile.events:
        if name not in known:
            raise InputError(f"{where}: {arch.name} has no event {name!r}.{did_you_mean(name, known)}")
    grouped = {event: figure for group, figure in profile.groups.items() for event in arch.group(group)}
    return Priced(profile, {**grouped, **profile.events})


def _parse(file: Traversable, where: str) -> CostProfile:
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{where}: cannot read: {error.strerror}") from None
    say(f"read: cost profile {file}")
    if len(data) > LARGEST:
        raise InputError(f"{where}: larger than {LARGEST >> 20} MiB; a cost profile is a short TOML file")
    return valid(CostProfile, toml(utf8(data, where, "a cost profile is a TOML file"), where), where)
