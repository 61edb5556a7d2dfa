"""The manifest of a store: whose points its rows are, and which segments belong to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pydantic_core
from pydantic import Field, ValidationError

from mmarch.errors import InputError
from mmarch.grid.identity import differences, of_results
from mmarch.grid.plan import Plan
from mmarch.grid.segments import Segment, put
from mmarch.runs.result import Model

NAME = "manifest.json"
POINTS = "points.parquet"
SCHEMA = "mmarch.sweep-store/1"
LARGEST = 64 << 20


class Manifest(Model):
    """What a store is.

    spec       the text of the SPEC
    grid       a digest of all points
    workloads  digests of the files, by name
    identity   versions and digests of the code that counted
    axes       columns of points.parquet but the digest
    points, distinct  how many there are, and how many without equal ones
    groups     of events: tlbi, barrier
    counts     columns of the rows that are numbers of events, or of groups of them
    """

    schema_: Literal["mmarch.sweep-store/1"] = Field(default="mmarch.sweep-store/1", alias="schema")
    spec: str
    grid: str
    workloads: Mapping[str, str]
    identity: Mapping[str, str]
    axes: tuple[str, ...]
    points: int
    distinct: int
    groups: Mapping[str, tuple[str, ...]]
    counts: tuple[str, ...]
    segments: tuple[Segment, ...] = ()
    check: str = ""

    @classmethod
    def of(cls, plan: Plan) -> Manifest:
        """Of a store without rows."""
        every = hashlib.sha256("".join(sorted(plan.digests)).encode()).hexdigest()
        return cls(
            spec=plan.spec.text, grid=every, identity=of_results(plan.identity),
            axes=tuple(axis.replace("-", "_") for axis in plan.axes),
            workloads={one.work.label: one.work.content for one in plan.works},
            points=plan.points, distinct=len(plan.digests), groups=plan.groups,
            counts=(*plan.groups, *plan.events),
        )  # fmt: skip

    def with_segments(self, segments: tuple[Segment, ...]) -> Manifest:
        """The same with other segments."""
        return self.model_copy(update={"segments": segments})

    def of_kind(self, kind: str) -> list[Segment]:
        """Its segments of one kind."""
        return [one for one in self.segments if one.kind == kind]

    def count(self, kind: str) -> int:
        """Rows of one kind."""
        return sum(one.rows for one in self.of_kind(kind))


def _checksum(manifest: Manifest) -> str:
    document = manifest.model_dump(mode="json", exclude={"check"})
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def save(folder: Path, manifest: Manifest) -> None:
    """Whole or not at all."""
    checked = manifest.model_copy(update={"check": _checksum(manifest)})
    put(folder / NAME, (checked.model_dump_json(indent=1) + "\n").encode())


def load(folder: Path) -> Manifest:
    """InputError for what is no store, or whose manifest is damaged."""
    path = folder / NAME
    rebuild = f"rebuild it with: mmarch sweep SPEC.toml -o {folder} --rebuild"
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise InputError(
            f"{folder}: no store of a sweep: it has no {NAME}; if it had one, {rebuild}"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from None
    try:
        found = Manifest.model_validate(pydantic_core.from_json(data[:LARGEST]))
    except (ValidationError, ValueError) as error:
        what = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else error
        raise InputError(f"{path}: the manifest is damaged: {what}; {rebuild}") from None
    if found.check != _checksum(found):
        raise InputError(f"{path}: the manifest is damaged: its checksum does not fit; {rebuild}")
    return found


def refuse_other(folder: Path, found: Manifest, plan: Plan) -> None:
    """InputError, which says what differs, if a store is not that of this SPEC, these workloads and this mmarch."""
    ours = Manifest.of(plan)
    if found.grid == ours.grid:
        return
    if other := differences(found.identity, ours.identity):
        why = f"it was counted by {other}"
    elif other := differences(found.workloads, ours.workloads):
        why = "other workloads: " + ", ".join(
            name for name in sorted({*found.workloads, *ours.workloads})
            if found.workloads.get(name) != ours.workloads.get(name)
        )  # fmt: skip
    else:
        why = f"{plan.spec.path} has other points ({_first_difference(found.spec, ours.spec)})"
    raise InputError(f"{folder} is the store of another sweep: {why}; name another STORE, or remove this one")


def _first_difference(theirs: str, ours: str) -> str:
    """The first line of a SPEC that the other has not."""
    before = {line.strip() for line in theirs.splitlines()}
    for number, line in enumerate(ours.splitlines(), 1):
        if line.strip() not in before:
            return f"line {number} is new: {line.strip():.60}"
    return f"it had {len(before)} lines, now {len(set(ours.splitlines()))}"
