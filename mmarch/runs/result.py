"""What a run found: a versioned, frozen model, the same for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

if TYPE_CHECKING:
    from polars import DataFrame

Counts = Mapping[str, int]  # event -> count; an event that did not happen is left out


class Model(BaseModel):
    """Frozen, and strict about its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


class Configuration(Model):
    """What a run fixes. `folio_orders` are the orders of anonymous folios, `memory` is in bytes.

    with     features beyond those of the release
    without  hooks that the architecture does without, and features that the release does
    """

    arch: str
    release: str
    cpu: str
    granule: str
    folio_orders: tuple[int, ...]
    with_: tuple[str, ...] = Field(default=(), validation_alias="with", serialization_alias="with")
    without: tuple[str, ...] = ()
    memory: int
    seed: int = 0

    def record(self) -> dict[str, Any]:
        """A column for each field; what has several values is joined with +, as on a command line."""
        fields = self.model_dump(by_alias=True)
        return {name: "+".join(map(str, v)) if isinstance(v, tuple) else v for name, v in fields.items()}


class Applied(Model):
    """A patch series that was on: its subject and link, where it came from, and a digest of its sources.

    origin  "file", or the distribution with its version
    """

    title: str
    link: str = ""
    origin: str
    digest: str


class RestsOn(Model):
    """What stands behind the release of a run.

    arch      of the kernels
    kernels   that the twin was compared with, each with its machines: CPUs, with the page size where it is not 4K
    research  features that the release has or lacks by research alone: no measurement shows which
    """

    arch: str
    kernels: Mapping[str, tuple[str, ...]]
    research: tuple[str, ...] = ()


class Provenance(Model):
    """The workload: its name, its file, how many operations, what was left out and what it says of itself.

    operations  that were counted
    unmeasured  operations of a scenario outside of its steps (`setup:`, `end`), which ran and are not counted
    """

    name: str
    source: str
    operations: int
    unmeasured: int = 0
    ignored: Counts = Field(default_factory=dict)
    facts: Mapping[str, str] = Field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, str]:
        """Values of a scenario's parameters, in pages."""
        mark = "parameter "
        return {name.removeprefix(mark): v for name, v in self.facts.items() if name.startswith(mark)}

    @property
    def title(self) -> str:
        """The name, with the parameters."""
        values = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.name} ({values})" if values else self.name

    @property
    def qualified(self) -> str:
        """The title, and what was taken for granted where the trace does not say it, for the head of a table."""
        from mmarch.workload import qualified  # with numpy, which `arch list` does without

        return qualified(self.title, self.facts)


class Operation(Model):
    """One kind of operation: how often it ran, and the events it caused."""

    count: int
    events: Counts


class Failure(Model):
    """Operations that failed alike: where the first one is, which error, how many."""

    operation: str
    error: str
    line: int
    row: int
    count: int = 1


class Warn(Model):
    """WARN_ON()s of core-mm: how many, the first one's name and value."""

    count: int
    first: str
    value: int


class Sample(Model):
    """How much of the memory of all address spaces large folios covered after an operation.

    bytes  by key of the kernel's tools/mm/thpmaps, what is 0 left out: `anon-rss` and `file-rss`, which percentages are
           of; `anon-thp-pte-aligned-64kB`, mapped by folios of that size, aligned; `-unaligned-`; `-partial`, folios
           mapped in part; `anon-thp-pmd-aligned-2048kB`; `anon-cont-pte-aligned-64kB`, what could be folded into
           contiguous blocks, and `anon-cont-pte-folded-64kB`, what is
    """

    operation: int
    bytes: Counts

    def share(self, *kinds: str) -> float:
        """Of anonymous memory, how much stands under keys that begin with one of `anon-KIND`; 0 if there is none."""
        found = sum(
            size for key, size in self.bytes.items() if key.startswith(tuple(f"anon-{k}" for k in kinds))
        )
        return found / self.bytes.get("anon-rss", 1)


class Range(Model):
    """Entries in a row that say the same, bytes [start, end); `level` is PTE, PMD, …, `text` as ptdump has it."""

    start: int
    end: int
    level: str
    text: str


class Dumped(Model):
    """Page tables of `task` where a scenario's `dump` asks for them."""

    name: str
    task: int
    ranges: tuple[Range, ...]


class Stepped(Model):
    """What a step of a scenario caused, and the dumps after it; the name is empty if there are dumps alone."""

    name: str
    events: Counts
    dumps: tuple[Dumped, ...] = ()


class Result(Model):
    """Counts of one run, exact and reproducible.

    page_size  of the configuration's granule, in bytes
    cpu_features  of the configuration's CPU, complete
    series  the patch series among `configuration.with`, by name
    groups  what kind of event a name is: "tlbi" (TLB invalidations), "barrier" (waits for them)
    hooks   events by the outermost hook that caused them, "" for core-mm itself; only on request
    saved   what the architecture's clear_ptes saved against the generic loop; only if it has one
    saved_by_operation  the same, for each operation that differs
    coverage  at moments of the run, in order
    steps   of a scenario, in order
    rests_on  what stands behind the release; null of a kernel's own counts
    unseen  events that this engine does not show: null in JSON, neither 0 nor left out
    """

    schema_: Literal["mmarch.result/1"] = Field(default="mmarch.result/1", alias="schema")
    configuration: Configuration
    page_size: int = Field(default=4096, gt=0)
    cpu_features: Counts = Field(default_factory=dict)
    engine: Literal["interpreted", "linked", "kernel"]
    versions: Mapping[str, str]
    workload: Provenance
    series: Mapping[str, Applied] = Field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]]
    totals: Counts
    operations: Mapping[str, Operation]
    hooks: Mapping[str, Counts] | None = None
    saved: Counts | None = None
    saved_by_operation: Mapping[str, Counts] | None = None
    coverage: tuple[Sample, ...] = ()
    steps: tuple[Stepped, ...] = ()
    failures: tuple[Failure, ...] = ()
    warnings: Warn | None = None
    rests_on: RestsOn | None = None
    unseen: tuple[str, ...] = Field(default=(), exclude=True)

    @property
    def page_shift(self) -> int:
        """Log2 of the page size."""
        return self.page_size.bit_length() - 1

    def total(self, *events: str) -> int:
        """Sum of events, or of a group of them, over all operations."""
        return total(self.totals, self.groups, *events)

    def sees(self, *events: str) -> bool:
        """Whether the engine shows one of the events."""
        return not set(events) <= set(self.unseen)

    @model_serializer(mode="wrap")
    def _with_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        for counts in (document["totals"], *(item["events"] for item in document["operations"].values())):
            counts.update(dict.fromkeys(self.unseen))
        return document

    def records(self) -> Iterator[dict[str, Any]]:
        """A row for each event of each operation, or of each hook if counts are told apart by hook."""
        run = {"workload": self.workload.name, **self.configuration.record(), "engine": self.engine}
        by, causes = ("hook", self.hooks) if self.hooks is not None else ("operation", self._by_operation())
        for cause, counts in causes.items():
            for event, count in counts.items():
                yield {**run, by: cause, "event": event, "count": count}

    def fullest(self) -> Sample | None:
        """The moment with most anonymous memory, the first of several; None if there never was any."""
        full = max(self.coverage, key=lambda one: one.bytes.get("anon-rss", 0), default=None)
        return full if full and full.bytes.get("anon-rss") else None

    def coverage_frame(self) -> DataFrame:
        """Coverage over time as a polars data frame: a row for each key of each moment."""
        rows = ((one.operation, key, size) for one in self.coverage for key, size in one.bytes.items())
        return frame(dict(zip(("operation", "key", "bytes"), row, strict=True)) for row in rows)

    def _by_operation(self) -> dict[str, Counts]:
        return {name: operation.events for name, operation in self.operations.items()}

    def frame(self) -> DataFrame:
        """`records` as a polars data frame."""
        return frame(self.records())


def total(counts: Counts, groups: Mapping[str, tuple[str, ...]], *events: str) -> int:
    """Sum of events; a group's name stands for its events."""
    names = [name for event in events for name in groups.get(event, (event,))]
    return sum(counts.get(name, 0) for name in names)


def frame(records: Iterable[Mapping[str, Any]]) -> DataFrame:
    """Rows that have the same columns, as a polars data frame."""
    import polars

    return polars.DataFrame(list(records), infer_schema_length=None)


class Comparison(Model):
    """Configurations side by side: the results of the first workload on each, then those of the next one.

    names  of the configurations
    """

    schema_: Literal["mmarch.compare/1"] = Field(default="mmarch.compare/1", alias="schema")
    names: tuple[str, ...]
    results: tuple[Result, ...]

    def workloads(self) -> list[tuple[Result, ...]]:
        """For each workload its results, one a configuration."""
        each = len(self.names)
        return [self.results[first : first + each] for first in range(0, len(self.results), each)]

    def records(self) -> Iterator[dict[str, Any]]:
        """Those of each result, under the name of its configuration."""
        for results in self.workloads():
            for name, result in zip(self.names, results, strict=True):
                yield from ({"configuration": name, **record} for record in result.records())

    def frame(self) -> DataFrame:
        """`records` as a polars data frame."""
        return frame(self.records())


class Withheld(Model):
    """One ablation: the hooks that were withheld, and how many more of each event that took."""

    name: str
    hooks: tuple[str, ...]
    extra: Counts


class Ablation(Model):
    """What each hook of an architecture buys, and which ones it cannot do without."""

    schema_: Literal["mmarch.ablate/1"] = Field(default="mmarch.ablate/1", alias="schema")
    baseline: Result
    withheld: tuple[Withheld, ...]
    required: Mapping[str, str]

    def records(self) -> Iterator[dict[str, Any]]:
        """A row for each event that withholding costs or saves, with its count if nothing is withheld."""
        base = self.baseline
        run = {"workload": base.workload.name, **base.configuration.record(), "engine": base.engine}
        for item in self.withheld:
            for event, extra in item.extra.items():
                yield {
                    **run,
                    "withheld": item.name,
                    "event": event,
                    "count": base.total(event),
                    "extra": extra,
                }

    def frame(self) -> DataFrame:
        """`records` as a polars data frame."""
        return frame(self.records())


class Dated(Model):
    """Where a feature came or went.

    release  by research
    before   the last kernel whose measurements show that it was not yet so, "" if none does
    after    the first whose measurements show that it was
    source   of the research
    """

    release: str
    before: str
    after: str
    source: str


class Single(Model):
    """One feature by itself, and what had to be switched with it.

    on   events that it saves in the older release
    off  events that it saves in the newer one: what it takes to do without
    """

    feature: str
    dated: Dated | None = None
    with_: tuple[str, ...] = Field(default=(), validation_alias="with", serialization_alias="with")
    on: Counts
    off: Counts


class FeatureAblation(Model):
    """What each feature that two releases differ in buys; `total` is what all of them together save."""

    schema_: Literal["mmarch.ablate-features/1"] = Field(default="mmarch.ablate-features/1", alias="schema")
    older: Result
    newer: Result
    total: Counts
    singles: tuple[Single, ...]
    remainder_on: Counts = Field(default_factory=dict)
    remainder_off: Counts = Field(default_factory=dict)

    def records(self) -> Iterator[dict[str, Any]]:
        """A row for each feature and event: what it saves by itself in the older release, and in the newer one."""
        releases = {"older": self.older.configuration.release, "newer": self.newer.configuration.release}
        run = {"workload": self.newer.workload.name, **releases}
        for single in self.singles:
            for event in dict.fromkeys([*single.on, *single.off]):
                saved = {"on": single.on.get(event, 0), "off": single.off.get(event, 0)}
                yield {**run, "feature": single.feature, "event": event, **saved}

    def frame(self) -> DataFrame:
        """`records` as a polars data frame."""
        return frame(self.records())


Answer = Result | Comparison | Ablation | FeatureAblation


def difference(more: Result, less: Result, operation: str = "") -> dict[str, int]:
    """Events of `more` minus those of `less`, of all operations or of one kind, without zeros.

    Groups are summed under their names.
    """
    a, b = (r.operations[operation].events if operation else r.totals for r in (more, less))
    names = dict.fromkeys([*more.groups, *a, *b])
    found = {name: total(a, more.groups, name) - total(b, less.groups, name) for name in names}
    return {name: value for name, value in found.items() if value}
