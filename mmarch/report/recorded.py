"""What `trace show --json` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal, Self

from pydantic import Field

from mmarch.report.printed import Counts, Printed
from mmarch.runs.result import Model
from mmarch.trace.summary import kinds_of, span_of, tasks_of
from mmarch.workload import Workload


class RecordedTask(Model):
    """As `mmarch.trace.summary.Task`; `pid` 0 if the trace does not say."""

    index: int
    pid: int
    operations: int
    mappings: int
    mapped: int
    touched: int
    faults: int


class TraceDocument(Printed):
    """`trace show`: what a recording holds.

    page_size   bytes, 0 if not recorded
    span        seconds of the first and the last event, of the trace's clock
    operations  rows by kind
    files       how many
    ignored     events that were left out, by reason
    facts       what the recording says of itself
    """

    schema_: Literal["mmarch.trace/1"] = Field(default="mmarch.trace/1", alias="schema")
    name: str
    page_size: int
    span: tuple[float, float]
    operations: Counts
    tasks: tuple[RecordedTask, ...]
    files: int
    ignored: Counts
    facts: dict[str, str]

    @classmethod
    def of(cls, workload: Workload) -> Self:
        """As it is recorded."""
        return cls(
            name=workload.name, page_size=workload.page_size, span=span_of(workload),
            operations=kinds_of(workload), tasks=tuple(RecordedTask(**asdict(task)) for task in tasks_of(workload)),
            files=len(workload.files), ignored=dict(workload.ignored), facts=dict(workload.provenance),
        )  # fmt: skip
