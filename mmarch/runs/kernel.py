"""A kernel's counts as a result, like those of the two other engines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import mmarch
from core_mm import uapi
from mmarch.errors import InputError
from mmarch.kernel.boot import Machine
from mmarch.kernel.measure import Job, Measured, Ran, measure, operations
from mmarch.kernel.source import Kernel, open_kernel
from mmarch.kernel.tools import qemu, untested
from mmarch.plugins import load_arch
from mmarch.runs.assemble import Note
from mmarch.runs.configure import Choices, Setup, configure
from mmarch.runs.result import Configuration, Failure, Operation, Provenance, Result
from mmarch.runs.workloads import Script, Source
from mmarch.scenario import Scenario, check_beside, lower, variants
from mmarch.sizes import parse_size

UNSEEN = (
    "pte_read",
    "pte_write",
    "pte_xchg",
    "pte_cmpxchg",
    "pmd_read",
    "pmd_write",
    "gather_page",
    "cont_install",
)
GRANULES = {4096: "4k", 16384: "16k", 65536: "64k"}
DEFAULT_CPU = "neoverse-n1"


@dataclass(frozen=True)
class KernelChoice:
    """A kernel to compare with: its CPU as QEMU calls it, folio orders as an option gives them."""

    kernel: Kernel
    machine: Machine
    folio_orders: str = ""

    @property
    def page_shift(self) -> int:
        """log2 of the page size."""
        return self.kernel.image.page_size.bit_length() - 1


def kernel_choice(
    name: str, note: Note, cpu: str = "", granule: str = "", folio_orders: str = ""
) -> KernelChoice:
    """One side of a comparison; InputError for a granule other than the kernel's."""
    opened = open_kernel(name)
    own = GRANULES[opened.image.page_size]
    if granule and granule.lower() != own:
        raise InputError(f"granule={granule}: {name} has pages of {own}, and no other")
    if warning := untested(qemu()):
        note(warning)
    return KernelChoice(opened, Machine(cpu or DEFAULT_CPU), folio_orders)


def jobs_of(source: Source, kernel: Kernel, folio_orders: str = "") -> list[Job]:
    """A scenario, once for each order and kind of backing it is meant for."""
    if not isinstance(source, Script):
        raise InputError("a trace cannot be measured on a kernel yet; name a scenario file")
    size = kernel.image.page_size
    order = order_of(source.scenario, kernel, folio_orders) if folio_orders else None
    pairs = variants(source.scenario, size, order)
    if source.backing:
        pairs = [(o, kind) for o, kind in pairs if kind == source.backing]
    return [Job(lower(source.scenario, size, o, kind), o, kind) for o, kind in pairs]


def order_of(scenario: Scenario, kernel: Kernel, folio_orders: str) -> int:
    """The largest enabled order; others are enabled beside it if the scenario says so."""
    orders = setup_of(kernel, folio_orders).configuration.folio_orders
    order = max(orders, default=0)
    check_beside(scenario, order, orders)
    if len(orders) > 1 and not scenario.beside:
        raise InputError(
            f"folio orders {folio_orders!r}: a kernel is measured with one order enabled at a time, "
            f"unless the scenario names others; write below its name: beside {' '.join(map(str, orders[:-1]))}"
        )
    return order


def setup_of(kernel: Kernel, folio_orders: str) -> Setup:
    """What the twin would take for the kernel's page size."""
    return configure(Choices(granule=GRANULES[kernel.image.page_size], folio_orders=folio_orders))


def compare_on(source: Source, choice: KernelChoice) -> Result:
    """The workload of a comparison, with the order that a twin takes for these options."""
    if not isinstance(source, Script):
        raise InputError("a trace cannot be measured on a kernel yet; name a scenario file")
    order = order_of(source.scenario, choice.kernel, choice.folio_orders)
    variants(source.scenario, choice.kernel.image.page_size, order)
    kind = source.backing or source.scenario.kinds[0]
    job = Job(lower(source.scenario, choice.kernel.image.page_size, order, kind), order, kind)
    measured = measure(choice.kernel, choice.machine, [job])
    return result_of(measured, measured.ran[0], choice.machine)


def result_of(measured: Measured, ran: Ran, machine: Machine) -> Result:
    """The counts of one scenario."""
    workload, meta = ran.job.lowered.workload, measured.meta
    descriptor = load_arch("arm64").descriptor
    totals: Counter[str] = Counter()
    for events in ran.events.values():
        totals.update(events)
    return Result(
        page_size=meta.page_size,
        configuration=Configuration(
            arch="arm64", release=meta.kernel, cpu=meta.cpu, granule=GRANULES[meta.page_size],
            folio_orders=ran.job.orders, memory=parse_size(machine.memory, "memory"),
        ),
        engine="kernel",
        versions={"mmarch": mmarch.__version__, "qemu": meta.qemu},
        workload=Provenance(
            name=workload.name, source=workload.source, operations=len(workload.ops), facts=workload.provenance
        ),
        groups={name: _group(descriptor.group(name), totals, prefix) for name, prefix in _PREFIXES.items()},
        totals=dict(totals),
        operations={
            name: Operation(count=count, events=dict(ran.events.get(name, {})))
            for name, count in operations(ran).items()
        },
        failures=_failures(ran),
        unseen=UNSEEN,
    )  # fmt: skip


_PREFIXES: dict[Literal["tlbi", "barrier"], str] = {"tlbi": "tlbi_", "barrier": "dsb_"}


def _group(known: tuple[str, ...], totals: Counter[str], prefix: str) -> tuple[str, ...]:
    """What the twin knows, and what this kernel used besides."""
    return tuple(dict.fromkeys([*known, *sorted(name for name in totals if name.startswith(prefix))]))


def _failures(ran: Ran) -> tuple[Failure, ...]:
    if ran.failed is None:
        return ()
    workload = ran.job.lowered.workload
    name = uapi.OP_NAMES[int(workload.ops[ran.failed.row, 0])]
    return (
        Failure(
            operation=name, error=ran.failed.error, line=workload.line(ran.failed.row), row=ran.failed.row
        ),
    )
