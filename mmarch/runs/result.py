"""What a run found: a versioned, frozen model, the same for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Counts = Mapping[str, int]  # event -> count; an event that did not happen is left out


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


class Configuration(_Model):
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


class Provenance(_Model):
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


class Operation(_Model):
    """One kind of operation: how often it ran, and the events it caused."""

    count: int
    events: Counts


class Failure(_Model):
    """Operations that failed alike: where the first one is, which error, how many."""

    operation: str
    error: str
    line: int
    row: int
    count: int = 1


class Warn(_Model):
    """WARN_ON()s of core-mm: how many, the first one's name and value."""

    count: int
    first: str
    value: int


class Result(_Model):
    """Counts of one run, exact and reproducible.

    cpu_features  of the configuration's CPU, complete
    groups  what kind of event a name is: "tlbi" (TLB invalidations), "barrier" (waits for them)
    hooks   events by the outermost hook that caused them, "" for core-mm itself; only on request
    saved   what the architecture's clear_ptes saved against the generic loop; only if it has one
    saved_by_operation  the same, for each operation that differs
    unseen  events that this engine does not show: null in JSON, neither 0 nor left out
    """

    schema_: Literal["mmarch.result/1"] = Field(default="mmarch.result/1", alias="schema")
    configuration: Configuration
    cpu_features: Counts = Field(default_factory=dict)
    engine: Literal["interpreted", "linked", "kernel"]
    versions: Mapping[str, str]
    workload: Provenance
    groups: Mapping[str, tuple[str, ...]]
    totals: Counts
    operations: Mapping[str, Operation]
    hooks: Mapping[str, Counts] | None = None
    saved: Counts | None = None
    saved_by_operation: Mapping[str, Counts] | None = None
    failures: tuple[Failure, ...] = ()
    warnings: Warn | None = None
    unseen: tuple[str, ...] = Field(default=(), exclude=True)

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


def total(counts: Counts, groups: Mapping[str, tuple[str, ...]], *events: str) -> int:
    """Sum of events; a group's name stands for its events."""
    names = [name for event in events for name in groups.get(event, (event,))]
    return sum(counts.get(name, 0) for name in names)


class Comparison(_Model):
    """Several runs of the same workload."""

    schema_: Literal["mmarch.compare/1"] = Field(default="mmarch.compare/1", alias="schema")
    results: tuple[Result, ...]


class Withheld(_Model):
    """One ablation: the hooks that were withheld, and how many more of each event that took."""

    name: str
    hooks: tuple[str, ...]
    extra: Counts


class Ablation(_Model):
    """What each hook of an architecture buys, and which ones it cannot do without."""

    schema_: Literal["mmarch.ablate/1"] = Field(default="mmarch.ablate/1", alias="schema")
    baseline: Result
    withheld: tuple[Withheld, ...]
    required: Mapping[str, str]


class Single(_Model):
    """One feature by itself, and what had to be switched with it.

    on   events that it saves in the older release
    off  events that it saves in the newer one: what it takes to do without
    """

    feature: str
    with_: tuple[str, ...] = Field(default=(), validation_alias="with", serialization_alias="with")
    on: Counts
    off: Counts


class FeatureAblation(_Model):
    """What each feature that two releases differ in buys; `total` is what all of them together save."""

    schema_: Literal["mmarch.ablate-features/1"] = Field(default="mmarch.ablate-features/1", alias="schema")
    older: Result
    newer: Result
    total: Counts
    singles: tuple[Single, ...]
    remainder_on: Counts = Field(default_factory=dict)
    remainder_off: Counts = Field(default_factory=dict)


def difference(more: Result, less: Result, operation: str = "") -> dict[str, int]:
    """Events of `more` minus those of `less`, of all operations or of one kind, without zeros.

    Groups are summed under their names.
    """
    a, b = (r.operations[operation].events if operation else r.totals for r in (more, less))
    names = dict.fromkeys([*more.groups, *a, *b])
    found = {name: total(a, more.groups, name) - total(b, less.groups, name) for name in names}
    return {name: value for name, value in found.items() if value}
