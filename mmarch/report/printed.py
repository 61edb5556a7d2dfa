"""What --json prints of everything that is not a result: a model for each schema, from what a command found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Literal, Self

from pydantic import Field

from core_mm.cpufeature import CpuFeature
from core_mm.descriptor import ArchDescriptor, Cpu
from core_mm.feature import Feature
from core_mm.releases import Release
from mmarch.kernel.doctor import Finding
from mmarch.measurement.evidence import evidence
from mmarch.plugins.showing import Listed, Winner
from mmarch.runs.configure import Setup
from mmarch.runs.costs import CostProfile
from mmarch.runs.result import Configuration, FeatureAblation, Model, RestsOn
from mmarch.sanitize.run import Sanitized
from mmarch.sanitize.violation import Where
from mmarch.truth.compare_steps import Difference
from mmarch.truth.exempt import Exemption
from mmarch.truth.on_kernel import Found
from mmarch.truth.validate import DIFFERENT, EQUAL, EXEMPT, Report, Result, Row
from mmarch.workload import Workload

Counts = Mapping[str, int]


class Printed(Model):
    """One object; its `schema` says which."""

    def text(self) -> str:
        """JSON, indented."""
        return self.model_dump_json(indent=2)


class Violation(Model):
    """As `mmarch.sanitize.violation.Violation`; `place` is file and line, "" if no operation is to blame."""

    kind: str
    what: str
    where: Where
    cause: Where
    mm: int
    address: int
    ptep: int
    before: int
    after: int
    missing: str
    meaning: str = ""
    place: str


class Needless(Model):
    """As `mmarch.sanitize.needless.Needless`."""

    call: str
    hook: str
    source: str
    event: str
    count: int


class Broken(Model):
    """As `mmarch.sanitize.audit.Broken`; `place` is file and line of the operation."""

    rule: str
    what: str
    where: Where
    history: tuple[str, ...]
    place: str


class SanitizeDocument(Printed):
    """`run --sanitize`: as `mmarch.sanitize.Sanitized`, and what was run."""

    schema_: Literal["mmarch.sanitize/1"] = Field(default="mmarch.sanitize/1", alias="schema")
    workload: str
    configuration: Configuration
    operations: int
    violations: tuple[Violation, ...]
    found: int
    flushes: Counts
    superfluous: Counts
    known: Counts
    broken: tuple[Broken, ...] = ()
    needless: tuple[Needless, ...] = ()

    @classmethod
    def of(cls, work: Workload, setup: Setup, seen: Sanitized) -> Self:
        """Every violation with its place in the workload."""
        violations = tuple(
            Violation(**asdict(item), place=work.place(item.where.row) if item.where.row >= 0 else "")
            for item in seen.violations
        )
        return cls(
            workload=work.name, configuration=setup.configuration, operations=seen.operations, found=seen.found,
            violations=violations, flushes=seen.flushes, superfluous=seen.superfluous, known=seen.known,
            broken=tuple(Broken(**asdict(item), place=work.place(item.where.row)) for item in seen.broken),
            needless=tuple(Needless(**asdict(item)) for item in seen.needless),
        )  # fmt: skip


class StepVerdict(Model):
    """A measured step that is not equal, with the reason of its exemption, and what differs."""

    step: str
    type: str
    order: int
    kind: str
    verdict: str
    reason: str
    differences: tuple[Difference, ...]

    @classmethod
    def of(cls, result: Result) -> Self:
        """One of a scenario's."""
        step = result.step
        return cls(
            step=step.phase, type=step.type, order=step.order, kind=step.kind, verdict=result.verdict,
            reason=result.reason, differences=tuple(result.differences),
        )  # fmt: skip


class ScenarioVerdict(Model):
    """A scenario measured on one kernel and CPU: how many steps, and those that are not equal."""

    release: str
    cpu: str
    page_size: int
    scenario: str
    steps: int
    equal: int
    different: int
    exempt: int
    not_equal: tuple[StepVerdict, ...]

    @classmethod
    def of(cls, row: Row) -> Self:
        """A row of the table."""
        return cls(
            release=row.release, cpu=row.cpu, page_size=row.page_size, scenario=row.scenario,
            steps=len(row.results), equal=row.count(EQUAL), different=row.count(DIFFERENT), exempt=row.count(EXEMPT),
            not_equal=tuple(StepVerdict.of(result) for result in row.results if result.verdict != EQUAL),
        )  # fmt: skip


class ValidateDocument(Printed):
    """`validate`: the twin against measurements, `with` and `without` features and hooks, digests of series."""

    schema_: Literal["mmarch.validate/1"] = Field(default="mmarch.validate/1", alias="schema")
    with_: tuple[str, ...] = Field(validation_alias="with", serialization_alias="with")
    series: Mapping[str, str] = Field(default_factory=dict)
    without: tuple[str, ...]
    totals: Counts
    rows: tuple[ScenarioVerdict, ...]
    unused_exemptions: tuple[Exemption, ...]

    @classmethod
    def of(cls, report: Report) -> Self:
        """The whole report."""
        return cls(
            with_=tuple(report.with_), series=report.series, without=tuple(report.without),
            totals={verdict: report.count(verdict) for verdict in (EQUAL, DIFFERENT, EXEMPT)},
            rows=tuple(map(ScenarioVerdict.of, report.rows)), unused_exemptions=tuple(report.unused),
        )  # fmt: skip


class RandomDocument(Printed):
    """`validate --random`: programs that differ on a kernel, as scenarios, and the least that is left of one.

    once     how many differed in one boot of two
    lacking  how many others were left out, by what they need and the kernel does not have
    least    its scenario, and the report on it
    """

    schema_: Literal["mmarch.validate-random/1"] = Field(default="mmarch.validate-random/1", alias="schema")
    kernel: str
    seed: int
    programs: int
    different: tuple[str, ...]
    once: int
    lacking: dict[str, int] = Field(default_factory=dict)
    least: str = ""
    report: ValidateDocument | None = None

    @classmethod
    def of(cls, found: Found, kernel: str, seed: int) -> Self:
        """All that a search found."""
        least = found.smallest
        return cls(
            kernel=kernel, seed=seed, programs=found.programs, once=found.once,
            lacking=dict(found.lacking), different=tuple(one.text for one in found.different),
            least=least.text if least else "", report=ValidateDocument.of(least.report) if least else None,
        )  # fmt: skip


class TrendDocument(Printed):
    """`release trend`: each release after the one before it."""

    schema_: Literal["mmarch.trend/1"] = Field(default="mmarch.trend/1", alias="schema")
    steps: tuple[FeatureAblation, ...]

    def text(self) -> str:
        """Without what is not there, as each step by itself."""
        return self.model_dump_json(indent=2, exclude_none=True)


class CostsListDocument(Printed):
    """`costs list`: what each profile of an architecture is."""

    schema_: Literal["mmarch.costs-list/1"] = Field(default="mmarch.costs-list/1", alias="schema")
    profiles: Mapping[str, str]


class CostsDocument(CostProfile):
    """`costs show`: a profile."""

    schema_: Literal["mmarch.costs/1"] = Field(default="mmarch.costs/1", alias="schema")

    def text(self) -> str:
        """JSON, indented."""
        return self.model_dump_json(indent=2, by_alias=True)


class ListedArch(Model):
    """An installed architecture; `status` is "ok", "duplicate", or the code of what is wrong with it."""

    name: str
    version: str
    api: int | None
    status: str
    hooks: int | None
    distribution: str
    object: str
    problem: str

    @classmethod
    def of(cls, item: Listed) -> Self:
        """A row of the table."""
        found = item.found
        return cls(
            name=found.name, version=found.version, api=item.api, status=item.status, hooks=item.hooks,
            distribution=found.distribution, object=found.entry.value, problem=item.problem,
        )  # fmt: skip


class ArchListDocument(Printed):
    """`arch list`."""

    schema_: Literal["mmarch.arch-list/1"] = Field(default="mmarch.arch-list/1", alias="schema")
    archs: tuple[ListedArch, ...]


class ArchDocument(Printed):
    """`arch show`: the descriptor, and which implementation of each hook runs."""

    schema_: Literal["mmarch.arch/1"] = Field(default="mmarch.arch/1", alias="schema")
    arch: ArchDescriptor
    hooks: tuple[Winner, ...]


class CpuModel(Model):
    """A model: values of the architecture's CPU features."""

    description: str
    source: str
    features: Counts

    @classmethod
    def of(cls, cpu: Cpu) -> Self:
        """As the descriptor has it."""
        return cls(description=cpu.description, source=cpu.source, features=cpu.features)


class CpuListDocument(Printed):
    """`cpu list`: an architecture's models, and the features to choose."""

    schema_: Literal["mmarch.cpu-list/1"] = Field(default="mmarch.cpu-list/1", alias="schema")
    arch: str
    default: str
    cpus: Mapping[str, CpuModel]
    features: Mapping[str, CpuFeature]


class ValuedFeature(Model):
    """A CPU feature, and its value on one CPU; the fields as in `core_mm.cpufeature.CpuFeature`."""

    name: str
    summary: str
    source: str
    requires: tuple[str, ...]
    capability: str
    most: int
    value: int


class CpuDocument(Printed):
    """`cpu show`: a CPU, every feature with its value."""

    schema_: Literal["mmarch.cpu/1"] = Field(default="mmarch.cpu/1", alias="schema")
    arch: str
    name: str
    description: str
    source: str
    features: tuple[ValuedFeature, ...]

    @classmethod
    def of(cls, arch: ArchDescriptor, name: str, cpu: Cpu) -> Self:
        """In the order of the table of features."""
        return cls(
            arch=arch.name, name=name, description=cpu.description, source=cpu.source,
            features=tuple(
                ValuedFeature(**asdict(feature), value=cpu.features[feature.name])
                for feature in arch.cpu_features.values()
            ),
        )  # fmt: skip


class ReleasesDocument(Printed):
    """`release list`."""

    schema_: Literal["mmarch.releases/1"] = Field(default="mmarch.releases/1", alias="schema")
    releases: tuple[Release, ...]


class FeaturesDocument(Printed):
    """`release show`.

    rests_on  what stands behind the release, null if none is named
    shown     for each feature the releases whose measurements show that they have it, or that they have it not
    """

    schema_: Literal["mmarch.features/1"] = Field(default="mmarch.features/1", alias="schema")
    features: tuple[Feature, ...]
    rests_on: RestsOn | None = None
    shown: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)

    @classmethod
    def of(cls, found: Sequence[Feature], rests_on: RestsOn | None) -> Self:
        """With what measurements say of each."""
        shown = evidence().shown
        return cls(
            features=tuple(found),
            rests_on=rests_on,
            shown={item.name: shown.get(item.name, ()) for item in found},
        )


class ReleaseDiffDocument(Printed):
    """`release diff`."""

    schema_: Literal["mmarch.release-diff/1"] = Field(default="mmarch.release-diff/1", alias="schema")
    came: tuple[Feature, ...]
    went: tuple[Feature, ...]


class ListedKernel(Model):
    """A kernel to measure, and whether it is in the cache."""

    name: str
    cached: bool


class KernelsDocument(Printed):
    """`kernel list`."""

    schema_: Literal["mmarch.kernels/1"] = Field(default="mmarch.kernels/1", alias="schema")
    kernels: tuple[ListedKernel, ...]

    @classmethod
    def of(cls, names: Iterable[str], cached: Mapping[str, bool]) -> Self:
        """In the order of `names`."""
        return cls(kernels=tuple(ListedKernel(name=name, cached=cached[name]) for name in names))


class Tool(Model):
    """Something that measuring needs: what was found or why not, and what installs it."""

    needed_for: str
    ok: bool
    found: str
    install: str


class DoctorDocument(Printed):
    """`doctor`."""

    schema_: Literal["mmarch.doctor/1"] = Field(default="mmarch.doctor/1", alias="schema")
    tools: tuple[Tool, ...]

    @classmethod
    def of(cls, found: Sequence[Finding]) -> Self:
        """In their order."""
        return cls(
            tools=tuple(Tool(needed_for=f.purpose, ok=f.ok, found=f.found, install=f.fix) for f in found)
        )
