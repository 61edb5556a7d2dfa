"""Real kernels: recorded, measured under QEMU, and the twin against them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mmarch.api.answers import Result, shown
from mmarch.api.choosing import Engine, Note, Progress, as_choices, open_workload, silent, unseen

if TYPE_CHECKING:
    from mmarch.kernel.boot import Machine
    from mmarch.kernel.doctor import Finding
    from mmarch.kernel.measure import Measured
    from mmarch.trace.recording import Recording, Saving
    from mmarch.truth.validate import Report as Validation


def record(
    output: Path,
    command: Sequence[str] = (),
    *,
    pid: int = 0,
    seconds: float = 0,
    by: str = "",
    kernel: str = "",
    buffer_kib: int | None = None,
    huge_pages: bool = False,
    arguments: bool = True,
    saving: Saving | None = None,
    note: Note = silent,
) -> Recording:
    """Run a program, or attach to a process, and record what it does to its memory.

    pid        of a process that runs already, instead of a command
    seconds    to record at most; 0: to its end
    by         tracepoints, kprobe, perf or strace; the best that the machine permits if empty
    kernel     an arm64 Image or debian:VERSION, which runs the command, a static arm64 program, under QEMU
    arguments  whether the recording tells the program's
    """
    from mmarch.trace import recorder

    shown = {} if saving is None else {"saving": saving}
    return recorder.record(
        output, command, pid=pid, seconds=seconds, by=by, kernel=kernel, buffer_kib=buffer_kib, huge_pages=huge_pages,
        arguments=arguments, note=note, **shown,
    )  # fmt: skip


def clean_recordings() -> list[str]:
    """Remove what recorders that were killed left in tracefs; its names."""
    from mmarch.trace import recorder

    return recorder.clean()


def validate(
    measured: Sequence[Path] = (),
    scenarios: Sequence[Path] = (),
    *,
    cpu: str = "",
    release: str = "",
    arch: str = "arm64",
    with_: str | Sequence[str] = (),
    without: str | Sequence[str] = (),
    engine: Engine = "linked",
    parameters: Mapping[str, int | str] = MappingProxyType({}),
    note: Note = silent,
    progress: Progress = unseen,
) -> Validation:
    """Compare the twin with measurements of real kernels, those that come with mmarch unless others are named.

    cpu, release    only what was measured on these
    with_, without  of `Choosing`: on top of the releases that were measured
    parameters      values of the scenarios' parameters with which they were measured
    """
    from mmarch.measurement import load
    from mmarch.truth import exempt, validate
    from mmarch.truth.observe import Twin

    bundle = validate.bundled()
    twin = Twin(as_choices({"arch": arch, "with_": with_, "without": without}), engine)
    files = validate.chosen(tuple(measured) or bundle.measurements, cpu, release)
    twin.check(sorted({load(path).release for path in files}))
    for remark in twin.chosen.remarks:
        note(remark)
    found = validate.validate(
        files,
        scenarios or bundle.scenarios,
        twin,
        exempt.load(bundle.exemptions),
        evidence=bundle.measurements,
        parameters=parameters,
        progress=progress,
    )
    return twin.named(found)


def measure(
    workloads: Sequence[str | os.PathLike[str]],
    kernel: str,
    *,
    cpu: str = "neoverse-n1",
    folio_orders: str = "",
    symbols: str = "",
    modules: str = "",
    scenario: str = "",
    backing: str = "",
    parameters: Mapping[str, int | str] = MappingProxyType({}),
    timeout: float = 300,
    smp: int = 1,
    note: Note = silent,
    progress: Progress = unseen,
) -> tuple[Measured, Machine]:
    """Run scenarios on a real kernel under QEMU; `measured_results` makes results of what was measured.

    kernel            an arm64 Image, or debian:VERSION
    symbols, modules  its System.map or vmlinux, and the folder of its modules
    parameters        values of the scenarios' parameters; each scenario has to have them
    timeout           seconds for one boot
    smp               CPUs of the machine; a scenario's processes are on the first, threads on the last
    """
    from mmarch.kernel.boot import Machine
    from mmarch.kernel.measure import measure as run_jobs
    from mmarch.kernel.source import open_kernel
    from mmarch.kernel.tools import qemu, untested
    from mmarch.runs.kernel import jobs_of
    from mmarch.runs.workloads import scenario_names

    opened = open_kernel(kernel, symbols, modules)
    named = [
        (os.fspath(work), one)
        for work in workloads
        for one in ([scenario] if scenario else scenario_names(os.fspath(work)))
    ]
    sources = [
        open_workload(work, scenario=one, backing=backing, parameters=parameters) for work, one in named
    ]
    jobs = [job for source in sources for job in jobs_of(source, opened, folio_orders)]
    if warning := untested(qemu()):
        note(warning)
    machine = Machine(cpu, timeout=timeout, smp=smp)
    return run_jobs(opened, machine, jobs, progress), machine


def measured_results(measured: Measured, machine: Machine) -> list[Result]:
    """A result for each scenario that `measure` ran."""
    from mmarch.runs.kernel import result_of

    return [shown(Result, result_of(measured, ran, machine)) for ran in measured.ran]


def list_kernels(*, available: bool = False) -> dict[str, bool]:
    """Debian's kernels, and whether they are in the cache; with `available` also those to be had."""
    from mmarch.kernel import debian

    have = {entry.name for entry in debian.downloaded()}
    offered = {entry.name for entry in debian.available()} if available else set()
    return {name: name in have for name in have | offered}


def get_kernel(name: str) -> Path:
    """The folder of a Debian kernel, downloaded into the user's cache unless it is there."""
    from mmarch.kernel import debian

    debian.parse(name)
    return debian.find(name) or debian.get(name)


def doctor() -> list[Finding]:
    """What measuring a kernel needs, and what is there of it."""
    from mmarch.kernel.doctor import examine

    return examine()
