"""Run a workload under the TLB oracle, with a look at core-mm's invariants now and then (`mmarch run --sanitize`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mmarch.engine.log import Log
from mmarch.engine.machine import Machine
from mmarch.errors import InputError, PluginError
from mmarch.runs.assemble import Note, Request, assemble, machine_config
from mmarch.runs.configure import Setup
from mmarch.sanitize.audit import EVERY, Audit, Broken, blamed, first_broken
from mmarch.sanitize.invariants import Finding
from mmarch.sanitize.needless import Needless, needless
from mmarch.sanitize.oracle import Oracle
from mmarch.sanitize.violation import Violation
from mmarch.workload import Workload

LOG_ROWS = 1 << 22
CHUNK_ROWS = LOG_ROWS // 16  # of log after which the next operations wait for the oracle


@dataclass(frozen=True)
class Sanitized:
    """What the oracle says of a run.

    violations   the first hundred, in order
    found        how many there were
    flushes      TLB invalidations by event; of a scenario those of its steps, as `mmarch run` counts them
    superfluous  those of them that concerned no translation that differs from the tables
    needless     the same by call, hook and source
    known        how often each known hazard of the architecture showed
    broken       invariants of core-mm that did not hold after the first operation that broke one; no other ran
    """

    operations: int
    violations: tuple[Violation, ...]
    found: int
    flushes: Mapping[str, int]
    superfluous: Mapping[str, int]
    known: Mapping[str, int]
    broken: tuple[Broken, ...] = ()
    needless: tuple[Needless, ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether anything is."""
        return bool(self.found or self.broken)


def sanitize(
    workload: Workload,
    setup: Setup,
    request: Request = Request(),
    note: Note = lambda _: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    every: int = EVERY,
) -> Sanitized:
    """Run `workload`, judge every flush and every missing one, and look at core-mm after every `every` operations.

    PluginError if the architecture declares no tlb_model; InputError if one operation does more than the log holds.
    """
    if setup.arch.descriptor.tlb_model is None:
        raise PluginError(
            "MM010", f"arch {setup.arch.descriptor.name!r} declares no tlb_model, which --sanitize needs"
        )
    request = replace(request, log_rows=LOG_ROWS, by_hook=True)
    machine = assemble(setup, workload, request, note)
    machine.memory.set("cfg", "log_ptes", 1)
    measured = workload.measured()
    oracle = Oracle(machine_config(setup, request), counted=lambda row: bool(measured[row]))
    total = len(workload.ops)
    row, audit, findings = 0, Audit(machine, every), list[Finding]()
    while row < total and not findings:
        row, findings = run_some(machine, oracle, audit, row, total, workload)
        progress(row, total)
    oracle.finish()
    return report(
        oracle, row, _broken(audit, findings, row, lambda: assemble(setup, workload, request, _silent))
    )


def look(
    workload: Workload,
    setup: Setup,
    request: Request = Request(),
    note: Note = lambda _: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    every: int = EVERY,
) -> Sanitized:
    """Run `workload` and look at the invariants of core-mm alone, after every `every` operations and at the end."""
    audit = Audit(assemble(setup, workload, request, note), every, contents=False)
    total = len(workload.ops)
    row, findings = 0, list[Finding]()
    while row < total and not findings:
        row, findings = audit.run(row, total)
        progress(row, total)
    again = replace(request, log_rows=LOG_ROWS)
    broken = _broken(audit, findings, row, lambda: assemble(setup, workload, again, _silent))
    return Sanitized(row, (), 0, {}, {}, {}, broken)


def _broken(
    audit: Audit, findings: list[Finding], row: int, fresh: Callable[[], Machine]
) -> tuple[Broken, ...]:
    """What is wrong since which operation, if anything was found before `row`."""
    if not findings:
        return ()
    exact = first_broken(fresh, audit.clean, row, audit.contents)
    return exact or blamed(findings, audit.machine, row - 1)


def _silent(line: str) -> None:
    """What assembling said was said before."""


def report(oracle: Oracle, operations: int, broken: tuple[Broken, ...] = ()) -> Sanitized:
    """What `oracle` has found so far."""
    return Sanitized(
        operations,
        tuple(oracle.violations),
        oracle.found,
        dict(oracle.flushes),
        dict(oracle.superfluous),
        dict(oracle.known),
        broken,
        needless(oracle.config, oracle.needless),
    )


def run_some(
    machine: Machine, oracle: Oracle, audit: Audit, row: int, total: int, workload: Workload
) -> tuple[int, list[Finding]]:
    """Run operations until the log is worth reading, or core-mm has done something wrong; the next row."""
    findings: list[Finding] = []
    while row < total and not findings and machine.memory.get("mach", "log_len") < CHUNK_ROWS:
        row, findings = audit.run(row, total, 1)
    drain(machine, oracle, f"operation {row - 1} of {workload.name}")
    audit.emptied()
    return row, findings


def drain(machine: Machine, oracle: Oracle, what: str) -> None:
    """Give the log to the oracle and empty it."""
    length = machine.memory.get("mach", "log_len")
    capacity = machine.memory.get("cfg", "log_capacity")
    if length > capacity:
        raise InputError(
            f"{what} causes {length} events; the log has room for {capacity}: use a smaller workload"
        )
    log = Log.of(machine.memory, length)
    for first in range(0, length, 1 << 16):
        oracle.feed(log.rows(first, first + (1 << 16)))
    machine.memory.set("mach", "log_len", 0)
