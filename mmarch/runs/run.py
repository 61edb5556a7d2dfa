"""Run a workload on an architecture and say what happened."""

from __future__ import annotations

import errno
import itertools
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray

import mmarch
from core_mm import mm_types, uapi, vmstat
from mmarch import cpus
from mmarch.engine.machine import Machine
from mmarch.errors import InputError
from mmarch.plugins.series import LoadedSeries
from mmarch.plugins.withhold import optional_hooks
from mmarch.runs import segfault, sigbus
from mmarch.runs.assemble import Note, Request, assemble
from mmarch.runs.configure import Setup
from mmarch.runs.rests_on import rests_on
from mmarch.runs.result import (
    Applied,
    Counts,
    Failure,
    Operation,
    Provenance,
    Result,
    Sample,
    Stepped,
    Warn,
    difference,
)
from mmarch.runs.sampling import moments, sample
from mmarch.runs.steps import Steps
from mmarch.sizes import show_size
from mmarch.spill import ROWS, pieces, release
from mmarch.workload import Workload

Progress = Callable[[int, int], None]  # operations done, operations in all
# Where ENOMEM means that pages ran out; elsewhere it may be the limit of mappings.
TAKES_PAGES = (uapi.OP_TOUCH, uapi.OP_FORK, uapi.OP_VFORK, uapi.OP_EXEC, uapi.OP_PWRITE, uapi.OP_FALLOCATE)
ON_FILES = (uapi.OP_FTRUNCATE, uapi.OP_PWRITE, uapi.OP_UNLINK, uapi.OP_FALLOCATE)
CHUNK = 4096  # operations between two looks at Ctrl-C


def run(
    workload: Workload,
    setup: Setup,
    request: Request = Request(),
    note: Note = lambda _: None,
    progress: Progress = lambda done, total: None,
) -> Result:
    """Counts of `workload` on a fresh machine.

    InputError if simulated memory runs out or a scenario's operation fails; PluginError (MM011) if a hook
    breaks its contract. Failed operations of a trace are in the result.
    """
    machine = assemble(setup, workload, request, note)
    seen = _execute(machine, workload, setup, request, progress)
    return _result(machine, workload, setup, request, seen)


def run_with_saving(
    workload: Workload,
    setup: Setup,
    request: Request = Request(),
    note: Note = lambda _: None,
    progress: Progress = lambda done, total: None,
) -> Result:
    """`run`, and what the architecture's clear_ptes saved against the generic loop, if it has one."""
    batch = {"clear_ptes", "clear_full_ptes"} & set(optional_hooks(setup.arch))
    if not batch - set(setup.configuration.without):
        return run(workload, setup, request, note, progress)
    result = run(workload, setup, request, note, lambda done, total: progress(done, 2 * total))
    slower = run(
        workload, setup.withholding(("clear_ptes", "clear_full_ptes")), replace(request, sampled=False), note,
        lambda done, total: progress(total + done, 2 * total),
    )  # fmt: skip
    by_operation = {name: difference(slower, result, name) for name in result.operations}
    saved = {
        "saved": difference(slower, result),
        "saved_by_operation": {n: d for n, d in by_operation.items() if d},
    }
    return result.model_copy(update=saved)


@dataclass
class _Seen:
    """What was looked at on the way."""

    samples: Sequence[Sample] = ()
    steps: Sequence[Stepped] = ()


def _execute(
    machine: Machine, workload: Workload, setup: Setup, request: Request, progress: Progress
) -> _Seen:
    """Run all of it; coverage at moments on the way and the steps of a scenario, if that is asked for."""
    rows, counters = len(workload.ops), _counters(machine, request)
    looks = moments(rows) if request.sampled else []
    steps = Steps(machine, workload, setup, _shown(setup)) if request.sampled and workload.steps else None
    samples = []
    for first, last, counts in _chunks(workload, {*looks, *(steps.stops() if steps else ())}):
        touched = np.arange(len(counters)) if request.by_call else np.unique(workload.ops[first:last, 0])
        before = None if counts else counters[touched].copy()
        machine.call("run_operations", first, last)
        _check(machine, workload, setup, first, last)
        if before is not None:
            changed = np.nonzero(counters[touched] != before)
            counters[(touched[changed[0]], *changed[1:])] = before[changed]
        if steps:
            steps.see(last)
        if last in looks:
            samples.append(sample(machine, setup, last - 1))
        if last % ROWS < CHUNK:
            release(workload.ops)
        progress(last, rows)
    return _Seen(samples, steps.found if steps else ())


def _counters(machine: Machine, request: Request) -> NDArray[np.int64]:
    """As [operation][hook][event]; of linked code that does not tell hooks apart the first alone, where all is."""
    apart = machine.engine != "linked" or request.by_hook or request.by_call
    return machine.counts() if apart else machine.counts()[:, :1]


def _chunks(workload: Workload, stops: set[int]) -> Iterator[tuple[int, int, bool]]:
    """Rows [first, last) to run at once, and whether what they do is counted; each of `stops` is a last."""
    measured = workload.measured()
    changes = (np.flatnonzero(np.diff(measured)) + 1).tolist()
    borders = sorted({0, *changes, *stops, len(measured)})
    for start, end in itertools.pairwise(borders):
        for first in range(start, end, CHUNK):
            yield first, min(first + CHUNK, end), bool(measured[start])


def _check(machine: Machine, workload: Workload, setup: Setup, first: int, last: int) -> None:
    """InputError for what makes the rest meaningless."""
    results = machine.memory.arrays["results"][first:last]
    for row in (first + np.flatnonzero(results < 0)).tolist():
        error = -int(machine.memory.arrays["results"][row])
        if error == mm_types.ENOMEM and int(workload.ops[row, 0]) in TAKES_PAGES:
            memory = setup.configuration.memory
            raise InputError(
                f"{workload.place(row)}: out of simulated memory ({show_size(memory)}); "
                f"run with --memory {show_size(2 * memory)}"
            )
        if workload.steps:
            what = describe(workload, row, error, setup.page_size)
            raise InputError(f"{workload.place(row)}: {error_name(error)}: {what}")


def describe(workload: Workload, row: int, error: int, page_size: int) -> str:
    """What failed with `error`, and why if the operations before it say so."""
    explained = {mm_types.SIGSEGV: segfault.explain, mm_types.SIGBUS: sigbus.explain}
    if error in explained and (why := explained[error](workload, row, page_size)):
        return why
    op, task, address = workload.ops[row][:3].tolist()
    if op in ON_FILES and address < len(workload.files):
        kinds = {value: name for name, value in vars(uapi).items() if name.startswith("FILE_")}
        kind = kinds[workload.files[address].kind].removeprefix("FILE_").lower()
        return f"{uapi.OP_NAMES[op]} by task {task} of a file of kind {kind}"
    return f"{uapi.OP_NAMES.get(op, f'operation {op}')} of task {task} at {address:#x}"


def error_name(error: int) -> str:
    """``ENOMEM``, ``SIGSEGV``; `error` is positive."""
    names = {mm_types.SIGSEGV: "SIGSEGV", mm_types.SIGBUS: "SIGBUS", mm_types.EOPNOTSUPP: "EOPNOTSUPP"}
    return names.get(error) or errno.errorcode.get(error, f"error {error}")


def event_names(setup: Setup) -> list[str]:
    """The name of each column of the counters."""
    unused = vmstat.ARCH_EVENT - len(vmstat.NAMES)
    own = (event for series in setup.applied for event in series.changes.events)
    return [*vmstat.NAMES, *[""] * unused, *setup.arch.descriptor.events, *own]


def _shown(setup: Setup) -> dict[int, str]:
    """Events of counts where hooks are not told apart."""
    return {
        number: name for number, name in enumerate(event_names(setup)) if name and number != vmstat.HOOK_CALL
    }


def _counts(names: list[str], values: NDArray[np.int64], calls: bool = False) -> Counts:
    """Events that happened; `calls` of hooks only where hooks are told apart, since one engine always counts them."""
    if not calls:
        values = np.where(np.arange(len(values)) == vmstat.HOOK_CALL, 0, values)
    return {names[i]: int(values[i]) for i in np.flatnonzero(values).tolist()}


def _result(machine: Machine, workload: Workload, setup: Setup, request: Request, seen: _Seen) -> Result:
    names, counters, ran = event_names(setup), _counters(machine, request), _ran(workload)
    rows = slice(None) if request.by_call else np.flatnonzero(ran)  # the others are zero, and many
    descriptor = setup.arch.descriptor
    return Result(
        configuration=setup.configuration,
        page_size=setup.page_size,
        cpu_features=cpus.find(descriptor, setup.configuration.cpu).features,
        engine="linked" if machine.engine == "linked" else "interpreted",
        versions=versions(setup),
        workload=Provenance(
            name=workload.name,
            source=workload.source,
            operations=int(workload.measured().sum()),
            unmeasured=int((~workload.measured()).sum()),
            ignored=workload.ignored,
            facts=workload.provenance,
        ),
        series={one.name: _applied(one) for one in setup.applied},
        groups={"tlbi": descriptor.group("tlbi"), "barrier": descriptor.group("barrier")},
        totals=_counts(names, counters[rows].sum(axis=(0, 1))),
        operations=_operations(names, counters, ran),
        hooks=_by_hook(machine, names, counters) if request.by_hook else None,
        coverage=tuple(seen.samples),
        steps=tuple(seen.steps),
        failures=_failures(machine, workload),
        warnings=_warnings(machine),
        rests_on=rests_on(setup),
    )


def _applied(one: LoadedSeries) -> Applied:
    return Applied(title=one.descriptor.title, link=one.descriptor.link, origin=one.origin, digest=one.digest)


def _ran(workload: Workload) -> NDArray[np.int64]:
    """Measured operations of each code."""
    ran = np.zeros(max(uapi.OP_NAMES) + 1, np.int64)
    for ops, measured in pieces(workload.ops, workload.measured()):
        ran += np.bincount(ops[measured, 0], minlength=len(ran))
    return ran


def _operations(
    names: list[str], counters: NDArray[np.int64], ran: NDArray[np.int64]
) -> dict[str, Operation]:
    return {
        name: Operation(count=int(ran[code]), events=_counts(names, counters[code].sum(axis=0)))
        for code, name in uapi.OP_NAMES.items()
        if ran[code]
    }


def _by_hook(machine: Machine, names: list[str], counters: NDArray[np.int64]) -> dict[str, Counts]:
    hooks = ("", *machine.layout.hooks)
    values = counters.sum(axis=0)
    found = {hook: _counts(names, values[number], calls=True) for number, hook in enumerate(hooks)}
    return {hook: counts for hook, counts in found.items() if counts}


def _failures(machine: Machine, workload: Workload) -> tuple[Failure, ...]:
    """Failed operations, alike ones together, each kind with its first place."""
    results = machine.memory.arrays["results"][: len(workload.ops)]
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for row in np.flatnonzero(results < 0).tolist():
        operation = uapi.OP_NAMES.get(int(workload.ops[row, 0]), "unknown")
        error = error_name(-int(results[row]))
        first, count = found.get((operation, error), (row, 0))
        found[operation, error] = first, count + 1
    return tuple(
        Failure(operation=operation, error=error, line=workload.line(row), row=row, count=count)
        for (operation, error), (row, count) in found.items()
    )


def _warnings(machine: Machine) -> Warn | None:
    count = machine.memory.get("mach", "warned")
    if not count:
        return None
    code = machine.memory.get("mach", "warn_code")
    known = {value: name for name, value in vars(vmstat).items() if name.startswith("W_")}
    return Warn(
        count=count,
        first=known.get(code, f"code {code}"),
        value=machine.memory.get("mach", "warn_value"),
    )


def versions(setup: Setup) -> dict[str, str]:
    """Of everything that the counts depend on."""
    found = setup.arch.found
    return {
        "mmarch": mmarch.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "llvmlite": _version("llvmlite"),
        "plugin": f"{found.distribution} {found.version}",
    }


@cache
def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "none"
