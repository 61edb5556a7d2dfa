"""The twin against measurements: which steps are equal, different, exempt.

`validate` runs every scenario that was measured and compares it step by step; `Report` aggregates.
Errors: mmarch.errors.InputError (files, unknown scenarios); a scenario in which the twin itself fails
counts as different in all its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import mmarch
from mmarch.errors import InputError, MmarchError, PluginError, concerning
from mmarch.measurement import Measurement, Phase, Ptes, load
from mmarch.measurement.notation import Frame, Leaf, Observed, first_address
from mmarch.scenario import Document, Lowered, Scenario, lower, setting_all
from mmarch.scenario import load as load_scenarios
from mmarch.scenario.emit import pmd_size
from mmarch.suggest import unknown
from mmarch.truth import exempt
from mmarch.workload import Workload

from .compare_steps import Difference, compare_phase, compare_ptes

EQUAL, DIFFERENT, EXEMPT = "equal", "different", "exempt"
FIRST_ADDRESS = 0x200000000


class Runner(Protocol):
    """The twin: runs a workload with folios of 2^order pages enabled; one Observed for each of its steps."""

    def run(
        self, workload: Workload, release: str, cpu: str, page_size: int, order: int
    ) -> Sequence[Observed]:
        """Execute on a fresh machine."""
        ...


@dataclass(frozen=True)
class Result:
    """One measured step; `reason` is that of its exemption."""

    step: Phase | Ptes
    verdict: str
    differences: tuple[Difference, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """A scenario of a measurement, at all its orders and kinds."""

    release: str
    cpu: str
    page_size: int
    scenario: str
    results: tuple[Result, ...]

    def count(self, verdict: str) -> int:
        """Steps with that verdict."""
        return sum(1 for result in self.results if result.verdict == verdict)


@dataclass(frozen=True)
class Report:
    """All rows, in the order of the measurements.

    unused   exemptions that matched a step that is equal
    with_    features that the twin had beyond those of the releases, and series
    series   those series, each with a digest of its sources
    without  features and hooks that it did without
    """

    rows: tuple[Row, ...]
    unused: tuple[exempt.Exemption, ...] = ()
    with_: tuple[str, ...] = ()
    series: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def count(self, verdict: str) -> int:
        """Steps with that verdict."""
        return sum(row.count(verdict) for row in self.rows)


@dataclass(frozen=True)
class Bundle:
    """The files that `mmarch validate` uses by default."""

    measurements: tuple[Path, ...]
    scenarios: tuple[Path, ...]
    exemptions: Path


def bundled() -> Bundle:
    """The measurements and scenarios that come with mmarch: of the wheel, or of the source tree."""
    package = Path(mmarch.__file__).parent
    inside, source = package / "data", package.parent
    installed = (inside / "measured").is_dir()
    measurements = inside / "measured" if installed else source / "tests" / "measured"
    scenarios = inside / "scenarios" if installed else source / "examples" / "scenarios"
    if not measurements.is_dir() or not scenarios.is_dir():
        raise InputError(f"no measurements in {inside} or {measurements}; name files with --measured")
    return Bundle(
        tuple(sorted(measurements.glob("**/*.json.gz"))),
        (*sorted(scenarios.glob("*.scn")), *sorted(measurements.glob("**/*.txt"))),
        measurements / "exempt.toml",
    )


def chosen(files: Sequence[Path], cpu: str, release: str) -> tuple[Path, ...]:
    """Of measurements those of a CPU, also with features added or taken off, and of a release; "" stands for any."""
    kept = tuple(files)
    if cpu:
        with concerning("cpu"):
            kept = _of("measured CPU", cpu, {path: _cpus(load(path)) for path in kept})
    if release:
        with concerning("release"):
            kept = _of("measured release", release, {path: {load(path).release} for path in kept})
    return kept


def _cpus(measurement: Measurement) -> set[str]:
    name = measurement.meta.cpu
    return {name, name.partition("+")[0]}


def _of(what: str, name: str, found: Mapping[Path, set[str]]) -> tuple[Path, ...]:
    """The files that have the name; InputError if none has."""
    if name not in (known := set[str]().union(*found.values())):
        raise unknown(what, name, sorted(known))
    return tuple(path for path, names in found.items() if name in names)


def validate(
    measurements: Sequence[Path],
    scenarios: Sequence[Path],
    runner: Runner,
    exemptions: Sequence[exempt.Exemption] = (),
    evidence: Sequence[Path] = (),
    parameters: Mapping[str, int | str] = MappingProxyType({}),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Compare the twin with the measurement files; `scenarios` are searched in the order given.

    `progress` is told how many measured scenarios were compared, of how many.
    Exemptions may call on the measurements in `evidence` besides those compared.
    """
    loaded = [load(path) for path in measurements]
    documents = setting_all([load_scenarios(path) for path in scenarios], parameters)
    rows: list[Row] = []
    judge = _Judge(exemptions, (*measurements, *(path for path in evidence if path not in measurements)))
    total, done = sum(1 for measurement in loaded for _ in measurement.groups()), count(1)
    for measurement in loaded:
        rows += _rows(measurement, documents, runner, judge, lambda: progress(next(done), total))
    return Report(tuple(rows), tuple(judge.unused))


def compare_all(measurement: Measurement, documents: Sequence[Document], runner: Runner) -> Report:
    """Compare the twin with a measurement that has just been made; nothing is exempt."""
    return Report(tuple(_rows(measurement, documents, runner, _Judge((), ()))))


@dataclass
class _Judge:
    exemptions: Sequence[exempt.Exemption]
    evidence: Sequence[Path]
    unused: list[exempt.Exemption] = field(default_factory=list)

    @cached_property
    def places(self) -> Mapping[exempt.Place, exempt.Exemption]:
        return exempt.by_place(self.exemptions)

    @cached_property
    def measurements(self) -> list[Measurement]:
        return [load(path) for path in self.evidence]

    def result(self, measurement: Measurement, step: Phase | Ptes, found: list[Difference]) -> Result:
        entry = exempt.find(self.places, measurement, step)
        if entry and not found and entry.disagrees != measurement.meta.cpu:
            self.unused.append(entry)
        if not found:
            return Result(step, EQUAL)
        if entry is None:
            return Result(step, DIFFERENT, tuple(found))
        if exempt.holds(entry, step, self.measurements):
            return Result(step, EXEMPT, tuple(found), entry.reason)
        return Result(
            step, DIFFERENT, tuple(found), f"{entry.reason} (no task named, no measurement disagrees)"
        )


@dataclass(frozen=True)
class _Run:
    """A lowered scenario and what the twin observed, or why it could not."""

    lowered: Lowered
    observed: Sequence[Observed]
    error: str = ""


def _rows(
    measurement: Measurement,
    documents: Sequence[Document],
    runner: Runner,
    judge: _Judge,
    compared: Callable[[], None] = lambda: None,
) -> Iterator[Row]:
    results: dict[str, list[Result]] = {}
    runs: dict[tuple[int, int, str], _Run] = {}
    address, last_order = FIRST_ADDRESS, -1
    for (name, order, kind), steps in measurement.groups():
        scenario = find_scenario(documents, name, order, kind, measurement)
        if measurement.one_by_one:
            address = FIRST_ADDRESS
        elif order != last_order:
            address, last_order = _prelude(address, order, measurement.meta.page_size), order
        key = (id(scenario), order, kind)
        if key not in runs:
            runs[key] = _run(scenario, measurement, order, kind, address, runner)
            address = runs[key].lowered.next_address
        results.setdefault(name, []).extend(_compare(measurement, name, steps, runs[key], judge))
        compared()
    meta = measurement.meta
    for name, found in results.items():
        yield Row(measurement.release, meta.cpu, meta.page_size, name, tuple(found))


def _prelude(address: int, order: int, page_size: int) -> int:
    """Before an order's first scenario the recording program maps one PMD, and two if folios are enabled."""
    pmd = pmd_size(page_size)
    for length in (pmd, 2 * pmd) if order else (pmd,):
        address = -(-address // pmd) * pmd + length + 4 * pmd
    return address


def find_scenario(
    documents: Sequence[Document], name: str, order: int, kind: str, measurement: Measurement
) -> Scenario:
    """The scenario, or the one with the part, called `name`, meant for this order and kind."""
    for document in documents:
        for scenario in document.scenarios:
            if (
                name in scenario.reported
                and kind in scenario.kinds
                and (scenario.orders is None or order in scenario.orders)
            ):
                return scenario
    files = ", ".join(document.file for document in documents) or "no file"
    raise InputError(
        f"{measurement.path}: scenario {name!r} (order {order}, {kind}) is not in {files}; "
        "name its file with --scenarios"
    )


def _run(
    scenario: Scenario, measurement: Measurement, order: int, kind: str, address: int, runner: Runner
) -> _Run:
    meta = measurement.meta
    lowered = lower(scenario, meta.page_size, order, kind, address)
    try:
        seen = runner.run(lowered.workload, measurement.release, meta.cpu, meta.page_size, order)
    except MmarchError as error:
        if isinstance(error, PluginError) and error.code == "MM024":  # the next one would hang as long
            place = f"scenario {scenario.name}, order {order}, cpu {meta.cpu}, Linux {measurement.release}"
            raise error.on(place) from None
        return _Run(lowered, (), str(error))
    return _Run(lowered, seen)


@dataclass(frozen=True)
class _Slot:
    """What the twin has for one measured step."""

    kind: str
    label: str
    observed: Observed = field(default_factory=Observed)
    leaves: Sequence[Leaf] = ()
    process: bool = False


def _slots(run: _Run, part: str) -> Iterator[_Slot]:
    """Up to a step in which the twin failed."""
    workload = run.lowered.workload
    for step, info, seen in zip(workload.steps, run.lowered.infos, run.observed, strict=False):
        if info.part != part:
            continue
        if step.label:
            yield _Slot("phase", step.label, seen, process=info.process)
        if seen.failed:
            return
        for dump, leaves in zip(step.dumps, seen.dumps, strict=True):
            yield _Slot("ptes", dump.label, leaves=leaves)


def _compare(
    measurement: Measurement, part: str, steps: Sequence[Phase | Ptes], run: _Run, judge: _Judge
) -> Iterator[Result]:
    if run.error:
        for step in steps:
            yield Result(step, DIFFERENT, (Difference("twin", "measured", run.error),))
        return
    slots = list(_slots(run, part))
    frame = _frame(measurement, steps, slots, run)
    position = 0
    for step in steps:
        places = (
            i
            for i in range(position, len(slots))
            if (slots[i].kind, slots[i].label) == (step.type, step.phase)
        )
        at = next(places, None)
        if at is None:
            failed = run.observed[-1].failed if run.observed else ""
            why = f"ended before, with {failed}" if failed else "the scenario has no such step"
            yield judge.result(measurement, step, [Difference("step", step.phase, why)])
            continue
        position = at + 1
        yield judge.result(measurement, step, _step_differences(measurement, step, slots[at], frame))


def _step_differences(
    measurement: Measurement, step: Phase | Ptes, slot: _Slot, frame: Frame
) -> list[Difference]:
    if isinstance(step, Ptes):
        return compare_ptes(step, slot.leaves, frame.page_size)
    return compare_phase(step, slot.observed, frame, slot.process, measurement.traced)


def _frame(
    measurement: Measurement, steps: Sequence[Phase | Ptes], slots: Sequence[_Slot], run: _Run
) -> Frame:
    """Pages count from the PMD of the first flush, or from the region if operations name one."""
    page_size = measurement.meta.page_size
    phases = [step for step in steps if isinstance(step, Phase)]
    if any(" " in run_[0] for phase in phases for run_ in phase.tlbi):
        return Frame(page_size, regions=tuple((r.name, r.addr, r.length) for r in run.lowered.regions))
    flushed = {phase.phase for phase in phases if phase.tlbi_region}
    in_flushed = (t for slot in slots if slot.label in flushed for t in slot.observed.tlbi)
    first = first_address(in_flushed) or FIRST_ADDRESS
    return Frame(page_size, first // pmd_size(page_size) * pmd_size(page_size))
