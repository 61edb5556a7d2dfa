"""Exemptions: measured steps that the twin need not match, each with its evidence.

A TOML file of [[exempt]] tables.  An exemption holds if it names the background task that disturbed
the step, or a measurement of the same kernel, on another CPU or on the same one again, that did something else
in that step.
Errors: mmarch.errors.InputError.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mmarch.errors import InputError
from mmarch.measurement import Measurement, Phase, Ptes

from .compare_steps import is_compared

MAX_BYTES = 1 << 20
Place = tuple[str, str, int, str, int, str, str]  # kernel, CPU, CPUs, scenario, order, kind, step


class Exemption(BaseModel):
    """One step of one measurement; `task` or `disagrees` (the other measurement's CPU) is the evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kernel: str
    cpu: str
    scenario: str
    order: int
    kind: str = "anon"
    step: str
    smp: int = 1
    reason: str
    task: str = ""
    disagrees: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    exempt: list[Exemption] = []


def load(path: Path) -> list[Exemption]:
    """Read the exemptions of the TOML file at `path`."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
        return _File.model_validate(tomllib.loads(data.decode())).exempt
    except OSError as error:
        raise InputError(f"{path}: cannot read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None


def by_place(exemptions: Sequence[Exemption]) -> Mapping[Place, Exemption]:
    """Exemptions by the step that they are for; of two for one the first."""
    return {
        (entry.kernel, entry.cpu, entry.smp, entry.scenario, entry.order, entry.kind, entry.step): entry
        for entry in reversed(exemptions)
    }


def find(
    exemptions: Mapping[Place, Exemption], measurement: Measurement, step: Phase | Ptes
) -> Exemption | None:
    """The exemption of `step`, if there is one."""
    meta = measurement.meta
    return exemptions.get((meta.kernel, meta.cpu, meta.smp, step.scenario, step.order, step.kind, step.phase))


def holds(entry: Exemption, step: Phase | Ptes, measurements: Sequence[Measurement]) -> bool:
    """Whether the entry's evidence is there: a named task, or a measurement that disagrees."""
    if entry.task:
        return True
    others = (m for m in measurements if m.meta.kernel == entry.kernel and m.meta.cpu == entry.disagrees)
    twins = (other for m in others for other in m.steps if _same_place(step, other))
    outcome = _instructions if entry.disagrees == entry.cpu else _outcome
    return any(outcome(step) != outcome(other) for other in twins)


def _same_place(a: Phase | Ptes, b: Phase | Ptes) -> bool:
    return (a.type, a.scenario, a.order, a.kind, a.phase) == (b.type, b.scenario, b.order, b.kind, b.phase)


def _instructions(step: Phase | Ptes) -> object:
    """What one CPU does in a step, its TLB instructions included."""
    if isinstance(step, Ptes):
        return _outcome(step)
    return _outcome(step), step.tlbi_region, step.aside1is, step.dsb_tlb


def _outcome(step: Phase | Ptes) -> object:
    """What does not depend on the CPU's TLB instructions and errata."""
    if isinstance(step, Ptes):
        return step.summary, step.runs if step.runs_complete else None
    local = {domain: n for domain, n in step.dsb_tlb.items() if domain.startswith("nsh")}
    return step.convert, local, {name: n for name, n in step.calls.items() if is_compared(name, ())}
