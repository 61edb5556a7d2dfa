"""Measurements of real kernels: reading and checking the files.

A file holds one JSON object, usually gzipped, with `meta` (kernel, cpu, smp, page_size) and `steps` in
order of execution: phases (TLBIs, DSBs, calls) and dumps of leaf descriptors.
Errors: mmarch.errors.InputError.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmarch.errors import InputError

MAX_BYTES = 256 << 20
MAX_STEPS = 200_000
_RELEASE = re.compile(r"(\d+)\.(\d+)")
_GZIP = b"\x1f\x8b"

Count = Annotated[int, Field(ge=0, le=1 << 40)]
Name = Annotated[str, Field(max_length=256)]
Op = Annotated[str, Field(max_length=96)]
Page = Annotated[int, Field(ge=-(1 << 40), le=1 << 40)]
TlbiRun = tuple[Op, Page | None, Count | None, Count | None, Count, Page]
PteRun = tuple[Count, Literal["L0", "L1", "L2", "L3"], Count, Name]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Meta(_Model):
    """Where a measurement comes from; page_size in bytes.

    config   SHA-256 of the kernel's configuration, if it was known
    qemu     what QEMU says of itself; `command` is how it was started, files by their names alone
    """

    kernel: Name
    cpu: Name
    smp: Count = 1
    page_size: Literal[4096, 16384, 65536]
    config: Name | None = None
    qemu: Name = ""
    command: tuple[Annotated[str, Field(max_length=4096)], ...] = ()


class Step(_Model):
    """What phases and dumps share; `phase` is the label."""

    scenario: Name
    order: Annotated[int, Field(ge=0, le=13)]
    kind: Name
    phase: Name


class Phase(Step):
    """One measured system call or loop of touches.

    tlbi     [op, page, pages, ttl, repeat, step] runs; page is null for whole-ASID operations
    tlbi_listed  false: over 400 instructions; the list is a beginning, the totals are exact
    failed   the error or signal with which the step failed; nothing follows it
    """

    type: Literal["phase"]
    tlbi: Annotated[list[TlbiRun], Field(max_length=100_000)]
    tlbi_listed: bool
    tlbi_region: dict[Op, Count]
    aside1is: Count
    convert: Count
    dsb_tlb: dict[Name, Count]
    calls: dict[Name, Count]
    failed: Name = ""


class Ptes(Step):
    """Leaf descriptors after a phase: [first page, level, entries, attributes] runs.

    runs_complete  false: the runs are a beginning; summary and the page counts are exact
    """

    type: Literal["ptes"]
    pages: Count
    valid_pages: Count
    cont_pages: Count
    summary: dict[Name, Count]
    runs: Annotated[list[PteRun], Field(max_length=100_000)]
    runs_complete: bool


AnyStep = Annotated[Phase | Ptes, Field(discriminator="type")]
Key = tuple[str, int, str]


class File(_Model):
    """A measurement file as it is written."""

    schema_: Literal["mmarch.measurement/1"] = Field(default="mmarch.measurement/1", alias="schema")
    meta: Meta
    steps: Annotated[list[AnyStep], Field(max_length=MAX_STEPS)]


@dataclass(frozen=True)
class Measurement:
    """One kernel on one CPU; `against` is the twin's release, if it is not the kernel's own."""

    path: Path
    meta: Meta
    steps: tuple[Phase | Ptes, ...]
    against: str = ""

    @property
    def release(self) -> str:
        """`6.12` of `6.12.107+deb13-cloud-arm64`, or what it is compared with."""
        if self.against:
            return self.against
        match = _RELEASE.match(self.meta.kernel)
        if not match:
            raise InputError(
                f"{self.path}: meta.kernel is {self.meta.kernel!r}, not a release such as 6.12.107"
            )
        return f"{match.group(1)}.{match.group(2)}"

    @property
    def one_by_one(self) -> bool:
        """Whether each scenario had processes of its own (`mmarch measure`); else one program went through all."""
        return bool(self.meta.qemu)

    @cached_property
    def traced(self) -> frozenset[str]:
        """Functions whose entries occur anywhere in the file."""
        return frozenset(name for step in self.steps if isinstance(step, Phase) for name in step.calls)

    def groups(self) -> Iterator[tuple[Key, tuple[Phase | Ptes, ...]]]:
        """The steps of each (scenario, order, kind), in order of execution."""
        found: dict[Key, list[Phase | Ptes]] = {}
        for step in self.steps:
            found.setdefault((step.scenario, step.order, step.kind), []).append(step)
        return ((key, tuple(steps)) for key, steps in found.items())


def load(path: Path) -> Measurement:
    """Read and check the measurement file at `path`, gzipped or not."""
    try:
        content = File.model_validate_json(_read(path))
    except ValidationError as error:
        raise InputError(f"{path}: not a measurement: {_first(error)}") from None
    return Measurement(path, content.meta, tuple(content.steps))


def dump(measurement: Measurement) -> str:
    """The text of a measurement file."""
    content = File(meta=measurement.meta, steps=list(measurement.steps))
    return content.model_dump_json(by_alias=True, exclude_defaults=False)


def _first(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False)
    where = ".".join(str(part) for part in problems[0]["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where or 'the file'}: {problems[0]['msg']}{more}"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            packed = stream.read(MAX_BYTES + 1)
        data = packed
        if packed[:2] == _GZIP and len(packed) <= MAX_BYTES:
            data = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(MAX_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
    return data


def totals(region: Mapping[str, int]) -> str:
    """`vale1is 512, vae1is 1`, most first."""
    return (
        ", ".join(f"{op} {n}" for op, n in sorted(region.items(), key=lambda kv: (-kv[1], kv[0]))) or "none"
    )
