"""What `map`, `explain`, `run --top` and `run --steps` show, as documents for `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from core_mm.uapi import OP_NAMES
from mmarch.engine.hookimpls import short_where
from mmarch.history import Event, History, Tables, coverage
from mmarch.history.story import Call, Story
from mmarch.history.top import hot
from mmarch.report.map import mapped
from mmarch.report.story import kernel_name, plugin
from mmarch.runs.result import Configuration, Counts, Model, Range


class MappedRanges(Model):
    """A mapping, bytes [start, end), and what is mapped there; `file` is the workload's number of it, or null.

    coverage  bytes by key of the kernel's thpmaps, of the whole mapping
    """

    start: int
    end: int
    permissions: str
    file: int | None
    ranges: tuple[Range, ...]
    coverage: Counts


class Map(Model):
    """`mmarch map`: page tables of a task after an operation; `coverage` of all of its mappings."""

    schema_: Literal["mmarch.map/1"] = Field(default="mmarch.map/1", alias="schema")
    configuration: Configuration
    workload: str
    operation: int
    task: int
    mappings: tuple[MappedRanges, ...]
    coverage: Counts


class Spot(Model):
    """How many TLBIs, unfolds and faults one operation, hook, cause, mapping or task made."""

    name: str
    tlbi: int
    unfold: int
    fault: int


class Top(Model):
    """`mmarch run --top K --by …`: the hottest spots of so many."""

    schema_: Literal["mmarch.top/1"] = Field(default="mmarch.top/1", alias="schema")
    configuration: Configuration
    workload: str
    by: str
    spots: tuple[Spot, ...]
    all: int


class Flush(Model):
    """One TLBI: its event's name, operation, first address in bytes, pages (0: the address space), level hint, ASID.

    `asid` is null where an erratum repeats the one before.
    """

    operation: int
    event: str
    address: int
    pages: int
    level: int
    asid: int | None


class FlushedStep(Model):
    """A step of a scenario, and the TLBIs in it."""

    name: str
    tlbis: tuple[Flush, ...]


class Steps(Model):
    """`mmarch run --steps`: TLBIs with their operands; counts and dumps are in `mmarch run --json`."""

    schema_: Literal["mmarch.steps/1"] = Field(default="mmarch.steps/1", alias="schema")
    configuration: Configuration
    workload: str
    steps: tuple[FlushedStep, ...]


class Told(Model):
    """One line of a story: a call, or what was done; `count` alike ones in a row.

    hook, source, kernel  of a call: whose hook it is, the twin's line, the kernel's function and file
    address, last         of a TLBI: the first and the last one's
    why                   of a TLBI
    """

    text: str
    count: int = 1
    hook: str | None = None
    source: str | None = None
    kernel: str | None = None
    address: int | None = None
    last: int | None = None
    why: str | None = None
    parts: tuple[Told, ...] = ()


class Explained(Model):
    """`mmarch explain`: what one operation did, `place` where it comes from."""

    schema_: Literal["mmarch.explain/1"] = Field(default="mmarch.explain/1", alias="schema")
    configuration: Configuration
    workload: str
    operation: int
    call: str
    task: int
    place: str
    parts: tuple[Told, ...]


def page_tables(history: History, tables: Tables, first: int, last: int) -> Map:
    """Of the mappings that have bytes in [first, last)."""
    mappings = tuple(
        MappedRanges(
            start=mapping.start,
            end=mapping.end,
            permissions=str(mapping).split()[0],
            file=mapping.file if mapping.file >= 0 else None,
            ranges=tuple(found),
            coverage=dict(coverage(tables, mapping)),
        )
        for mapping, found in mapped(tables, first, last)
    )
    return Map(
        configuration=history.setup.configuration, workload=history.workload.name, operation=tables.operation,
        task=tables.task, mappings=mappings, coverage=dict(coverage(tables)),
    )  # fmt: skip


def hottest(history: History, count: int, by: str) -> Top:
    """The `count` hottest."""
    found = hot(history, by)
    spots = [Spot(name=name, tlbi=n[0], unfold=n[1], fault=n[2]) for name, n in found[:count]]
    return Top(
        configuration=history.setup.configuration, workload=history.workload.name, by=by, spots=tuple(spots),
        all=len(found),
    )  # fmt: skip


def flushes(history: History) -> Steps:
    """Of each step that has a name."""
    steps = [
        FlushedStep(
            name=step.label,
            tlbis=tuple(
                _flush(history, e) for e in history.events(step.first, step.last) if e.kind == "tlbi"
            ),
        )
        for step in history.workload.steps
        if step.label
    ]
    return Steps(
        configuration=history.setup.configuration, workload=history.workload.name, steps=tuple(steps)
    )


def _flush(history: History, event: Event) -> Flush:
    return Flush(
        operation=event.operation,
        event=history.event_names[event.a],
        address=event.b,
        pages=event.c & 0xFFFFFFFF,
        level=event.c >> 32 & 3,
        asid=event.asid if event.asid >= 0 else None,
    )


def explained(story: Story) -> Explained:
    """The whole story."""
    op, task = story.workload.ops[story.operation, :2].tolist()
    return Explained(
        configuration=story.setup.configuration, workload=story.workload.name, operation=story.operation,
        call=OP_NAMES[op], task=task, place=story.workload.place(story.operation), parts=_told(story.top.parts),
    )  # fmt: skip


def _told(calls: Sequence[Call]) -> tuple[Told, ...]:
    return tuple(
        Told(
            text=call.text,
            count=call.count,
            hook=plugin(call) if call.hook else None,
            source=short_where(call.function) if call.function else None,
            kernel=kernel_name(call) if call.function else None,
            address=call.address if call.address >= 0 else None,
            last=call.last if call.address >= 0 else None,
            why=call.why or None,
            parts=_told(call.parts),
        )
        for call in calls
    )
