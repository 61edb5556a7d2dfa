"""Scenarios in, a measurement out.

Errors: mmarch.errors.InputError.
"""

from __future__ import annotations

import errno
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core_mm import uapi
from mmarch.kernel.boot import Boot, Machine, boot
from mmarch.kernel.observe import Reader
from mmarch.kernel.program import Program, Segment
from mmarch.kernel.records import RawStep
from mmarch.kernel.source import Kernel
from mmarch.kernel.symbols import BACKGROUND
from mmarch.measurement import Measurement, Meta, Phase, Ptes
from mmarch.measurement.notation import (
    Frame,
    Leaf,
    Observed,
    coded,
    entries,
    in_mapping,
    op_totals,
    page_counts,
    pte_runs,
    summary,
)
from mmarch.scenario import Lowered

SIGNALS = {signal.SIGSEGV: "SIGSEGV", signal.SIGBUS: "SIGBUS", signal.SIGILL: "SIGILL"}
AGAIN = 2  # boots
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """A scenario, lowered for the kernel's page size, with folios of 2^order pages enabled."""

    lowered: Lowered
    order: int
    kind: str

    @property
    def orders(self) -> tuple[int, ...]:
        """All that are enabled at once."""
        return tuple(sorted({self.order, *self.lowered.workload.beside} - {0}))


@dataclass(frozen=True)
class Failed:
    """The operation at which a program ended: its row, its error (`EINVAL`, `SIGBUS`)."""

    row: int
    error: str


@dataclass(frozen=True)
class Ran:
    """What a kernel did in one scenario.

    observed  of each of the workload's steps, in order; those behind a failure are empty
    events    by operation (its name), under the twin's names of events
    calls     entries of functions, in all
    """

    job: Job
    observed: Sequence[Observed]
    events: Mapping[str, Counter[str]]
    calls: Mapping[str, int]
    failed: Failed | None = None

    @property
    def disturbed(self) -> bool:
        """Whether khugepaged collapsed pages although no operation asked for it."""
        ops = self.job.lowered.workload.ops
        asked = (ops[:, 0] == uapi.OP_MADVISE) & (ops[:, 4] == uapi.MADV_COLLAPSE)
        return not asked.any() and any(self.calls.get(name) for name in BACKGROUND)


@dataclass(frozen=True)
class Measured:
    """All scenarios of a boot; `meta` says of which kernel."""

    meta: Meta
    ran: Sequence[Ran]
    seconds: float = 0.0

    def measurement(self, path: Path = Path("measurement")) -> Measurement:
        """In the format of the files."""
        return Measurement(path, self.meta, tuple(step for ran in self.ran for step in self.steps_of(ran)))

    def steps_of(self, ran: Ran) -> tuple[Phase | Ptes, ...]:
        """Those of one scenario."""
        return tuple(_steps(ran, self.meta.page_size))


def measure(
    kernel: Kernel, machine: Machine, jobs: Sequence[Job], progress: Progress = lambda done, total: None
) -> Measured:
    """Run all jobs in one boot; again, in up to two more, those in which khugepaged interfered."""
    arranged = sorted(range(len(jobs)), key=lambda at: jobs[at].orders)  # changing them takes a second
    measured = _measure(kernel, machine, [jobs[number] for number in arranged], progress)
    ran = [one for _, one in sorted(zip(arranged, measured.ran, strict=True), key=lambda pair: pair[0])]
    for _ in range(AGAIN):
        disturbed = [number for number, one in enumerate(ran) if one.disturbed]
        if not disturbed:
            break
        again = _measure(kernel, machine, [jobs[number] for number in disturbed], progress)
        for number, one in zip(disturbed, again.ran, strict=True):
            ran[number] = one
    return replace(measured, ran=ran)


def _measure(kernel: Kernel, machine: Machine, jobs: Sequence[Job], progress: Progress) -> Measured:
    done = boot(kernel, machine, [Program(job.lowered.workload, job.order) for job in jobs], progress)
    reader = Reader.of(done)
    failures = {}
    for row, error in done.recording.failures:
        program, source = done.rows.sources[row]
        failures[program] = Failed(source, error_name(error))
    ran = [
        _ran(job, reader, segments, failures.get(number))
        for number, (job, segments) in enumerate(zip(jobs, _by_program(done, len(jobs)), strict=True))
    ]
    meta = Meta.model_validate(
        {
            "kernel": kernel.image.version, "cpu": kernel.cpu(machine.cpu), "page_size": kernel.image.page_size,
            "smp": machine.smp, "config": kernel.config_digest, "qemu": done.qemu, "command": done.command,
        }
    )  # fmt: skip
    return Measured(meta, ran, done.seconds)


def error_name(error: int) -> str:
    """Of a guest's error number; signals are 1000 and more."""
    if error > 1000:
        return SIGNALS.get(signal.Signals(error - 1000), f"signal {error - 1000}")
    return errno.errorcode.get(error, f"error {error}")


def _by_program(done: Boot, programs: int) -> list[list[tuple[Segment, RawStep]]]:
    found: list[list[tuple[Segment, RawStep]]] = [[] for _ in range(programs)]
    for number, segment in enumerate(done.rows.segments):
        found[segment.program].append((segment, done.recording.steps.get(number, RawStep())))
    return found


def _ran(job: Job, reader: Reader, parts: Sequence[tuple[Segment, RawStep]], failed: Failed | None) -> Ran:
    workload, page_size = job.lowered.workload, reader.boot.guest.page_size
    observed: list[Observed] = []
    events: dict[str, Counter[str]] = {}
    calls: Counter[str] = Counter()
    for segment, raw in parts:
        step = workload.steps[segment.step] if segment.step is not None else None
        seen = reader.observed(raw, step, page_size)
        if step is not None:
            observed.append(seen)
        calls.update(seen.calls)
        if segment.first < segment.last:
            name = uapi.OP_NAMES[int(workload.ops[segment.first, 0])]
            events.setdefault(name, Counter()).update(counted(seen, reader.repeated(raw)))
    return Ran(job, observed, events, calls, failed)


def counted(seen: Observed, repeated: int) -> Counter[str]:
    """The events of a step that the twin counts too; `repeated` are TLBIs for an erratum."""
    found: Counter[str] = Counter(f"tlbi_{one.op}" for one in filter(in_mapping, seen.tlbi))
    found["tlbi_repeat"] += repeated
    found.update({f"dsb_{domain}": count for domain, count in seen.dsb.items()})
    unfolds = seen.calls.get("__contpte_try_unfold", 0)
    found["unfold"] += unfolds
    found["fold"] += max(0, seen.calls.get("contpte_convert", 0) - unfolds)
    found["fault"] += seen.calls.get("do_mem_abort", 0)
    return +found


def _steps(ran: Ran, page_size: int) -> Iterator[Phase | Ptes]:
    """Measured steps in the notation of the files, as far as the program came."""
    job = ran.job
    frame = Frame(page_size, regions=tuple((r.name, r.addr, r.length) for r in job.lowered.regions))
    for step, info, seen in zip(job.lowered.workload.steps, job.lowered.infos, ran.observed, strict=True):
        where: dict[str, str | int] = {"scenario": info.part, "order": job.order, "kind": job.kind}
        failed = ran.failed is not None and step.first <= ran.failed.row < step.last
        if step.label:
            yield _phase(where, step.label, seen, frame, ran.failed.error if ran.failed and failed else "")
        if failed or (ran.failed is not None and ran.failed.row < step.first):
            return
        for dump, leaves in zip(step.dumps, seen.dumps, strict=True):
            yield _ptes(where, dump.label, leaves, dump.length // page_size, page_size)


def _phase(where: Mapping[str, str | int], label: str, seen: Observed, frame: Frame, failed: str) -> Phase:
    return Phase.model_validate(
        {
            **where, "phase": label, "type": "phase", "tlbi": coded(entries(seen.tlbi, frame)), "tlbi_listed": True,
            "tlbi_region": op_totals(seen.tlbi), "aside1is": sum(1 for one in seen.tlbi if one.op.startswith("aside")),
            "convert": seen.calls.get("contpte_convert", 0), "dsb_tlb": dict(seen.dsb),
            "calls": {name: n for name, n in seen.calls.items() if name != "=dump"}, "failed": failed,
        }
    )  # fmt: skip


def _ptes(
    where: Mapping[str, str | int], label: str, leaves: Sequence[Leaf], pages: int, page_size: int
) -> Ptes:
    runs = pte_runs(leaves)
    valid, cont = page_counts(runs, page_size)
    return Ptes.model_validate(
        {
            **where, "phase": label, "type": "ptes", "pages": pages, "valid_pages": valid, "cont_pages": cont,
            "summary": summary(runs), "runs": runs, "runs_complete": True,
        }
    )  # fmt: skip


def operations(ran: Ran) -> dict[str, int]:
    """How often each operation is in the workload."""
    codes, numbers = np.unique(ran.job.lowered.workload.ops[:, 0], return_counts=True)
    return {uapi.OP_NAMES[code]: n for code, n in zip(codes.tolist(), numbers.tolist(), strict=True)}
