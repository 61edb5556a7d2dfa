"""From a SPEC to its points: every value checked before any of them runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from core_mm import vmstat
from core_mm.descriptor import Group
from mmarch.errors import InputError, MmarchError
from mmarch.grid.identity import Identity, identity
from mmarch.grid.points import Point, Work, digest, setup_of
from mmarch.grid.spec import AXES, Spec
from mmarch.grid.works import Listed, works
from mmarch.runs.configure import DEFAULT_ARCH, Choices, Setup
from mmarch.runs.run import event_names
from mmarch.scenario import parse_amount
from mmarch.suggest import unknown

MANY = 50  # values, too many for a message
MOST_POINTS = 5_000_000
CHOSEN = ("arch", "granule", "with", "without", "release", "cpu", "folio-orders", "memory", "seed")
LISTS = ("with", "without")
Values = dict[str, str]  # by axis, as the SPEC has them


@dataclass(frozen=True)
class Plan:
    """All points of a SPEC.

    axes      the values of each axis that the SPEC has, in the order of running
    points    how many there are, filters applied
    left_out  by filters
    digests   of the distinct ones, in the order of running
    samples   a point for each set of plugins
    identity  what the results depend on
    events    every name that a row may count
    groups    of events, as `Result.groups`
    """

    spec: Spec
    works: tuple[Listed, ...]
    axes: Mapping[str, tuple[str, ...]]
    points: int = 0
    left_out: int = 0
    digests: tuple[str, ...] = ()
    samples: tuple[Point, ...] = ()
    identity: Identity = field(default_factory=dict)
    events: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def each(self) -> Iterator[tuple[Values, Point]]:
        """Every point with its values, equal ones too."""
        for listed, values in self._grid():
            if self._kept(values):
                yield values, self._point(listed, values)

    def distinct(self) -> Iterator[Point]:
        """Each point once."""
        seen: set[str] = set()
        for _, point in self.each():
            if point.digest not in seen:
                seen.add(point.digest)
                yield point

    def size(self) -> int:
        """Points before filters."""
        return len(self.works) * math.prod(map(len, self._varied().values()))

    def _varied(self) -> dict[str, tuple[str, ...]]:
        """Axes but those of workloads; seeds last, since they change least."""
        names = [name for name in CHOSEN if name in self.spec.axes]
        found = {name: self.spec.axes[name] for name in names if name != "seed"} | dict(self.spec.set)
        return found | ({"seed": self.spec.axes["seed"]} if "seed" in names else {})

    def _grid(self) -> Iterator[tuple[Listed, Values]]:
        varied = self._varied()
        for listed in self.works:
            work = listed.work
            where = {"workload": work.label, "scenario": work.scenario, "backing": work.backing}
            for values in itertools.product(*varied.values()):
                yield listed, {**where, **dict(zip(varied, values, strict=True))}

    def _kept(self, values: Values) -> bool:
        only = self.spec.only
        return not any(one.matches(values) for one in self.spec.exclude) and (
            not only or any(one.matches(values) for one in only)
        )

    def _point(self, listed: Listed, values: Values) -> Point:
        own = {name: values.get(name, default) if name in self.spec.set else default
               for name, default in listed.parameters.items()}  # fmt: skip
        choices = _choices(values, listed.work.page_size)
        chosen = tuple((name, value) for name, value in own.items() if name in self.spec.set)
        try:
            return Point(digest(listed.work, choices, own), listed.work, choices, chosen)
        except MmarchError as error:
            shown = ", ".join(f"{name} = {value!r}" for name, value in values.items() if name in CHOSEN)
            raise InputError(
                f"{self.spec.path}: a point cannot be: {shown}: {error}\nLeave it out with a table [[exclude]] "
                "that has these values"
            ) from None


def _choices(values: Mapping[str, str], page_size: int = 0) -> Choices:
    lists = {name: tuple(part for part in values.get(name, "").split("+") if part) for name in LISTS}
    return Choices(
        arch=values.get("arch", DEFAULT_ARCH),
        release=values.get("release", ""),
        cpu=values.get("cpu", ""),
        granule=values.get("granule", ""),
        folio_orders=values.get("folio-orders", ""),
        with_=lists["with"],
        without=lists["without"],
        memory=values.get("memory", "16G"),
        seed=int(values.get("seed", "0")),
        page_size=page_size,
    )


def plan(spec: Spec) -> Plan:
    """Checked; InputError with the line of the SPEC for a value that nothing knows, or if there are no points."""
    found = tuple(works(spec))
    _check_parameters(spec, found)
    _check_values(spec)
    empty = Plan(spec, found, {})
    _check_filters(empty)
    if empty.size() > MOST_POINTS:
        raise InputError(
            f"{spec.path}: {empty.size():,} points, at most {MOST_POINTS:,}; make several sweeps of it"
        )
    return _counted(empty)


def _counted(empty: Plan) -> Plan:
    digests: dict[str, None] = {}
    points = 0
    samples: dict[tuple[str, ...], Point] = {}
    for values, point in empty.each():
        points += 1
        digests[point.digest] = None
        key = tuple(values.get(name, "") for name in ("arch", "with", "without", "release"))
        samples.setdefault(key, point)
    spec = empty.spec
    if not points:
        first = next(iter((*spec.only, *spec.exclude)), None)
        at = first.where if first else f"{spec.path}:1"
        raise InputError(f"{at}: the filters leave no point of {empty.size():,}; drop or widen one")
    each = [setup_of(point.choices) for point in samples.values()]
    axes = {**_labels(empty), **empty._varied()}
    return Plan(
        spec, empty.works, axes, points, empty.size() - points, tuple(digests),
        tuple(samples.values()), identity(each), _events(each), _groups(each),
    )  # fmt: skip


def _labels(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {
        "workload": _several(plan, lambda work: work.label),
        "scenario": _several(plan, lambda work: work.scenario),
        "backing": _several(plan, lambda work: work.backing),
    }


def _several(plan: Plan, part: Callable[[Work], str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part(one.work) for one in plan.works))


def _events(setups: Iterable[Setup]) -> tuple[str, ...]:
    """All of their events, each once; calls of hooks are no count of a row."""
    hook_call = vmstat.NAMES[vmstat.HOOK_CALL]
    return tuple(
        dict.fromkeys(name for one in setups for name in event_names(one) if name and name != hook_call)
    )


def _groups(setups: Iterable[Setup]) -> dict[str, tuple[str, ...]]:
    found: dict[Group, dict[str, None]] = {"tlbi": {}, "barrier": {}}
    for one in setups:
        for group, events in found.items():
            events.update(dict.fromkeys(one.arch.descriptor.group(group)))
    return {str(group): tuple(events) for group, events in found.items()}


def _check_parameters(spec: Spec, found: Iterable[Listed]) -> None:
    known = list(dict.fromkeys(name for one in found for name in one.parameters))
    for name, values in spec.set.items():
        if name not in known:
            raise InputError(f"{spec.where(name)}: {unknown('parameter', name, known)}")
        if name in (*AXES, "digest"):
            raise InputError(
                f"{spec.where(name)}: the parameter {name} has the name of an axis; give it another"
            )
        for value in values:
            try:
                parse_amount(name, value)
            except InputError as error:
                raise spec.wrong(name, value, error) from None


def _check_filters(plan: Plan) -> None:
    """A condition that no value meets is a slip of the pen."""
    values = {**_labels(plan), **plan._varied()}
    for one in (*plan.spec.only, *plan.spec.exclude):
        for axis, text in one.idle(values):
            known = [value for value in values[axis] if value]
            where = f"{plan.spec.path}:{one.lines[axis]}"
            see = "" if len(known) < MANY else f"It has {len(known):,}, from {known[0]} to {known[-1]}."
            raise InputError(f"{where}: {unknown(f'value of {axis}', text, known, see)}")


def _check_values(spec: Spec) -> None:
    """Each value of a configuration has to go with one architecture and release of the grid at least."""
    archs, releases = spec.axes.get("arch", (DEFAULT_ARCH,)), spec.axes.get("release", ("",))
    for value in spec.axes.get("seed", ()):
        if not value.isdecimal() or int(value) >= 1 << 63:
            raise spec.wrong("seed", value, "a seed is a whole number, 0 or more")
    for axis in (name for name in CHOSEN if name in spec.axes and name != "seed"):
        for value in spec.axes[axis]:
            surroundings = [
                {"arch": arch, **({"release": release} if release else {}), axis: value}
                for arch, release in itertools.product(archs, releases)
            ]
            _check_value(spec, axis, value, surroundings)


def _check_value(spec: Spec, axis: str, value: str, surroundings: list[Values]) -> None:
    first: MmarchError | None = None
    for values in surroundings:
        try:
            setup_of(_choices(values))
            return
        except MmarchError as error:
            first = first or error
    raise spec.wrong(axis, value, first)
