"""Run a workload step by step and look: every TLBI and DSB in order, calls, and the leaves it left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core_mm.vmstat import ARCH_EVENT, LOG_DSB, LOG_TLBI, NAMES
from mmarch import cpus
from mmarch.engine.log import taken
from mmarch.engine.machine import Machine
from mmarch.errors import InputError, InternalError
from mmarch.measurement.notation import DESCRIBED, Leaf, Observed, Tlbi
from mmarch.plugins import load_arch
from mmarch.plugins.series import Chosen, choose
from mmarch.plugins.withhold import expand
from mmarch.runs.assemble import Request, assemble
from mmarch.runs.configure import Choices, Setup, configure
from mmarch.runs.run import error_name
from mmarch.truth.inlined import Row, inlined, listed
from mmarch.truth.validate import Report
from mmarch.workload import Dump, Step, Workload

LOG_ROWS = 1 << 20
TLB_ENTRIES = 4096  # of the emulated CPUs that were measured
FORGETS = "kpti"  # QEMU empties its TLB when the ASID changes, which this does at each entry of the kernel
PLAIN = Choices()
GRANULES = {4096: "4k", 16384: "16k", 65536: "64k"}


class Twin:
    """The runner that `mmarch validate` compares with measurements.

    choices  the architecture, and features and series with and without; all else is as it was measured
    chosen   what these add, once they were checked
    """

    def __init__(self, choices: Choices = PLAIN, engine: str = "linked") -> None:
        self.choices, self.engine = choices, engine
        self._setups: dict[Choices, Setup] = {}
        self.chosen = Chosen({}, frozenset())

    def check(self, releases: Iterable[str]) -> None:
        """InputError or PluginError for a wrong name, or features that do not go together in one of the releases."""
        arch = load_arch(self.choices.arch)
        self.chosen = choose(arch.descriptor, self.choices.with_)
        expand(arch, self.choices.without)
        if self.choices.with_ or self.choices.without:
            for release in releases:
                configure(replace(self.choices, release=release))

    def named(self, report: Report) -> Report:
        """The same with what the twin was with and without."""
        return replace(
            report,
            with_=tuple(sorted(self.chosen.names)),
            series=self.chosen.digests,
            without=self.choices.without,
        )

    def run(
        self, workload: Workload, release: str, cpu: str, page_size: int, order: int
    ) -> Sequence[Observed]:
        """One Observed for each step of `workload`, on a fresh machine; one that fails is the last."""
        orders = ",".join(map(str, sorted({order, *workload.beside} - {0}))) or "none"
        choices = replace(
            self.choices, release=release, cpu=cpu, granule=GRANULES[page_size], folio_orders=orders,
            memory="4G",
        )  # fmt: skip
        if choices not in self._setups:
            self._setups[choices] = configure(choices)
        setup = self._setups[choices]
        request = Request(
            engine=self.engine, log_rows=LOG_ROWS, madvise=True, by_hook=True, tlb_entries=entries(setup)
        )
        machine = assemble(setup, workload, request, lambda _: None)
        return list(steps(machine, workload))


def entries(setup: Setup) -> int:
    """Of the TLB that accesses go through; none where it is empty whenever user code begins to run."""
    cpu = cpus.find(setup.arch.descriptor, setup.configuration.cpu)
    return 0 if cpu.features.get(FORGETS) else TLB_ENTRIES


def steps(machine: Machine, workload: Workload) -> Iterator[Observed]:
    """Run everything, yielding what each step did, up to one that fails."""
    done = 0
    for step in workload.steps:
        if done < step.first:
            run_rows(machine, workload, done, step.first)
        operations = workload.ops[step.first : step.last].tolist()
        kinds = sorted({row[0] for row in operations})
        machine.memory.set("mach", "log_len", 0)
        before = counts(machine, kinds)
        failed = failure(machine, step.first, step.last)
        done = step.last
        yield replace(observed(machine, step, counts(machine, kinds) - before, operations), failed=failed)
        if failed:
            return
    run_rows(machine, workload, done, len(workload.ops))


def run_rows(machine: Machine, workload: Workload, first: int, last: int) -> None:
    """Run operations that must all succeed."""
    if error := failure(machine, first, last):
        row = first + int(np.flatnonzero(machine.memory.arrays["results"][first:last] < 0)[0])
        raise InputError(f"{workload.place(row)}: {error}")


def failure(machine: Machine, first: int, last: int) -> str:
    """Run operations; the first error, such as ENOMEM or SIGBUS."""
    if first >= last:
        return ""
    machine.call("run_operations", first, last)
    results = machine.memory.arrays["results"][first:last]
    failed = np.flatnonzero(results < 0)
    return error_name(-int(results[failed[0]])) if len(failed) else ""


def observed(machine: Machine, step: Step, calls: Counter[str], operations: Sequence[Row]) -> Observed:
    """What the log says of the step that has just run, and `calls`, which it added to the counters."""
    rows, names = log_rows(machine), event_names(machine)
    rules = inlined(machine.config.release, operations, machine.memory.get("cfg", "pmd_size"))
    waits = [i for i, name in enumerate(names) if name in ("dsb_ish", "dsb_nsh")]
    barriers = listed(rows, rules, ("", *machine.layout.hooks), waits)
    tlbi = [instruction(names[row[1]].removeprefix("tlbi_"), row[2], row[3]) for row in rows if is_tlbi(row)]
    dsb = Counter(names[row[1]].removeprefix("dsb_") for row in barriers)
    return Observed(
        tlbi=tlbi,
        dsb=dsb,
        calls=dict(calls),
        dumps=[list(leaves(machine, dump)) for dump in step.dumps],
    )


def is_tlbi(row: Row) -> bool:
    """Not those that an erratum repeats; they carry no ASID."""
    return row[0] == LOG_TLBI and row[4] >= 0


def instruction(op: str, addr: int, operand: int) -> Tlbi:
    """A TLBI from its log row; whole-ASID operations have no address."""
    if operand == 0:
        return Tlbi(op)
    return Tlbi(op, addr, operand & 0xFFFFFFFF, operand >> 32)


def log_rows(machine: Machine) -> list[Row]:
    """Rows of the log since it was last emptied."""
    length = machine.memory.get("mach", "log_len")
    if length > machine.memory.get("cfg", "log_capacity"):
        raise InternalError(f"the log holds {LOG_ROWS} rows, {length} were written")
    return [row for row in taken(machine.memory) if row[0] in (LOG_TLBI, LOG_DSB)]


def event_names(machine: Machine) -> tuple[str, ...]:
    """The name of every event number."""
    return (
        *NAMES,
        *[""] * (ARCH_EVENT - len(NAMES)),
        *machine.config.arch.events,
        *machine.config.changes.events,
    )


def counts(machine: Machine, kinds: Sequence[int]) -> Counter[str]:
    """All events so far of operations of these kinds."""
    sums = machine.counts()[kinds].sum(axis=(0, 1)).tolist()
    return Counter({name: n for name, n in zip(event_names(machine), sums, strict=False) if name})


def leaves(machine: Machine, dump: Dump) -> Iterator[Leaf]:
    """Leaf entries of a range, and the empty entries above where there is no table; like neighbours together."""
    memory = machine.memory
    shift, bits = memory.get("cfg", "page_shift"), memory.get("cfg", "pte_bits")
    top, entries = memory.get("cfg", "levels") - 1, 1 << bits
    ptes, mm = memory.arrays["ptes"], int(memory.tables["TASK"]["mm"][dump.task + 1])
    slot_of, leaf = machine.winners["table_slot"], machine.winners["pmd_leaf"]
    root = int(memory.tables["MM"]["pgd"][mm])
    addr, end = dump.addr, dump.addr + dump.length
    while addr < end:
        slot, level, page = root, top, (addr - dump.addr) >> shift
        while level:
            span = 1 << (shift + level * bits)
            entry = int(ptes[slot * entries + (addr // span) % entries])
            while entry == 0 and level > 1 and addr < span:  # the program's own text needs the table below
                level, span = level - 1, span >> bits
            if entry == 0 or (level == 1 and leaf(entry)):
                break
            slot, level = slot_of(entry), level - 1
        if level:
            yield Leaf(page, 3 - level, entry)
            addr = (addr + span) & -span
        else:
            first = (addr >> shift) % entries
            last = min(entries, first + ((end - addr) >> shift))
            yield from alike(ptes[slot * entries + first : slot * entries + last], page)
            addr += (last - first) << shift


def alike(table: NDArray[np.int64], page: int) -> Iterator[Leaf]:
    """Entries of a table of the lowest level, one for each run of those with the same attributes."""
    kept = table & DESCRIBED
    starts = np.flatnonzero(np.diff(kept, prepend=~kept[:1]) | (np.diff(table == 0, prepend=False))).tolist()
    for start, end in zip(starts, (*starts[1:], len(table)), strict=True):
        yield Leaf(page + start, 3, int(table[start]), end - start)
