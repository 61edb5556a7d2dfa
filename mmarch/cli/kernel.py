"""`measure`, `kernel`, `doctor`: a real kernel as an engine."""

from __future__ import annotations

import json as to_json
from typing import TYPE_CHECKING, Annotated

import typer

from mmarch.cli import complete
from mmarch.cli import options as o
from mmarch.cli.output import Talk, answer, telling
from mmarch.errors import EXIT_FINDINGS
from mmarch.writing import check

if TYPE_CHECKING:
    from mmarch.kernel.boot import Machine
    from mmarch.kernel.measure import Measured

app = typer.Typer(no_args_is_help=True, help="Kernels to measure: Debian's, in the user's cache.")

KernelName = Annotated[
    str,
    typer.Option(
        "--kernel",
        metavar="KERNEL",
        help="An arm64 Image, or debian:VERSION, debian:VERSION-16k.",
        autocompletion=complete.kernel,
    ),
]
Symbols = Annotated[
    str,
    typer.Option(metavar="FILE", help="System.map or vmlinux.", show_default="what the kernel itself says"),
]
Modules = Annotated[str, typer.Option(metavar="FOLDER", help="Its modules, such as /lib/modules/VERSION.")]
QemuCpu = Annotated[str, typer.Option("--cpu", help="A CPU as QEMU calls it.")]
Smp = Annotated[
    int,
    typer.Option(
        "--smp", metavar="N", min=1, max=8, help="CPUs of the machine; threads run on the last one."
    ),
]
Timeout = Annotated[float, typer.Option(min=1, max=86400, metavar="SECONDS", help="For one boot.")]


def measure(
    workloads: Annotated[list[str], typer.Argument(metavar="WORKLOAD…", help="Scenario files.")],
    kernel: KernelName,
    cpu: QemuCpu = "neoverse-n1",
    folio_orders: o.FolioOrders = "",
    symbols: Symbols = "",
    modules: Modules = "",
    scenario: o.Scenario = "",
    backing: o.Backing = "",
    set_: o.Set = None,
    timeout: Timeout = 300,
    smp: Smp = 1,
    json: o.Json = False,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="FILE", help="Write the measurement, for 'mmarch validate'."),
    ] = "",
    quiet: o.Quiet = False,
) -> None:
    """Run scenarios on a real kernel under QEMU, and count what it does to the TLB."""
    from mmarch import api
    from mmarch.measurement import dump
    from mmarch.scenario import parse_settings

    talk = Talk(quiet)
    if output not in ("", "-"):
        check(output)
    with talk.progress(f"measuring on {kernel}") as progress:
        measured, machine = api.measure(
            workloads, kernel, cpu=cpu, folio_orders=folio_orders, symbols=symbols, modules=modules,
            scenario=scenario, backing=backing, parameters=parse_settings(set_ or ()), timeout=timeout,
            smp=smp, note=talk.note, progress=progress,
        )  # fmt: skip
    for ran in measured.ran:
        if ran.disturbed:
            talk.problem(
                f"khugepaged collapsed pages meanwhile in {ran.job.lowered.workload.name}; measure it again"
            )
    results = api.measured_results(measured, machine)
    if output and output != "-":
        write(measured, output)
    if json:
        documents = [result.model_dump(mode="json", by_alias=True, exclude_none=True) for result in results]
        answer(to_json.dumps(documents if len(documents) > 1 else documents[0], indent=2))
    elif output == "-":
        answer(dump(measured.measurement()))
    else:
        answer("\n".join(_text(measured, machine)))
    if failed := [(ran.job.lowered.workload, ran.failed) for ran in measured.ran if ran.failed]:
        for workload, failure in failed:
            talk.problem(f"{workload.place(failure.row)}: {failure.error}; what follows was not executed")
        raise typer.Exit(EXIT_FINDINGS)


def write(measured: Measured, output: str) -> None:
    """The measurement file; gzipped if its name ends in .gz."""
    import gzip

    from mmarch.measurement import dump
    from mmarch.writing import writing

    data = dump(measured.measurement()).encode()
    with telling(output), writing(output) as file:
        file.write(gzip.compress(data, mtime=0) if output.endswith(".gz") else data)


def _text(measured: Measured, machine: Machine) -> list[str]:
    from mmarch.kernel.symbols import COUNTED
    from mmarch.measurement import Phase, Ptes
    from mmarch.report.measure import about, render
    from mmarch.runs.kernel import result_of

    lines: list[str] = []
    for ran in measured.ran:
        steps: tuple[Phase | Ptes, ...] = measured.steps_of(ran)
        calls = [(name, ran.calls.get(name, 0)) for name in COUNTED]
        lines += [*render(result_of(measured, ran, machine), steps, calls), ""]
    return [*lines, *about(measured.meta)]


@app.command("list")
def list_(
    available: Annotated[
        bool, typer.Option("--available", help="Also those that Debian offers now.")
    ] = False,
    json: o.Json = False,
    output: o.Output = "",
) -> None:
    """List the kernels in the cache."""
    from mmarch import api
    from mmarch.table import table

    with Talk(json).progress("asking Debian"):
        have = api.list_kernels(available=available)
    names = sorted(have, key=lambda name: [int(n) for n in name.split(":")[1].split("-")[0].split(".")])
    if json:
        from mmarch.report.printed import KernelsDocument

        answer(KernelsDocument.of(names, have).text(), output)
        return
    if not names:
        answer("no kernels yet; get one: mmarch kernel get debian:7.3.4", output)
        return
    rows = [[name, "in the cache" if have[name] else "to be had"] for name in names]
    answer("\n".join(table(["kernel", ""], rows)), output)


@app.command("get")
def get(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME…", help="debian:VERSION or debian:VERSION-16k.")
    ],
    quiet: o.Quiet = False,
) -> None:
    """Download kernels of Debian's into the user's cache, with apt, without root."""
    from mmarch import api
    from mmarch.kernel import debian
    from mmarch.kernel.image import read_image

    talk = Talk(quiet)
    for name in names:
        debian.parse(name)
    for name in names:
        with talk.progress(f"getting {name}"):
            folder = api.get_kernel(name)
        image = read_image(folder / "Image")
        talk.note(f"{name}: Linux {image.version}, {image.page_size >> 10} KiB pages")
        answer(f"debian:{folder.name}")


def doctor(json: o.Json = False, output: o.Output = "") -> None:
    """Say what measuring on a kernel needs, what is there, and the line that installs the rest."""
    from mmarch import api
    from mmarch.table import wrap

    found = api.doctor()
    if json:
        from mmarch.report.printed import DoctorDocument

        answer(DoctorDocument.of(found).text(), output)
    else:
        lines = [line for f in found for line in wrap(f"{f.purpose:<15}  {f.mark:<7}  {f.found}", " " * 26)]
        fixes = [line for f in found if f.fix for line in wrap(f"{f.purpose}: {f.fix}", "  ")]
        answer("\n".join([*lines, *([""] if fixes else []), *fixes]), output)
    if not all(f.ok or f.optional for f in found):
        raise typer.Exit(EXIT_FINDINGS)
