"""What the recording kernel counted beside what the twin counts, for docs/explanation/traces.md.

    python -m tools.trace_counts [--check]

NAME.counts.csv beside a trace is what `python -m tools.kernel_counts --recorded` wrote of the same run: a line a task,
in the order of their pids, as tasks of a trace have the numbers of their births.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core_mm import uapi
from mmarch.engine.machine import Machine
from mmarch.runs.assemble import Request, assemble
from mmarch.runs.configure import Choices, configure
from mmarch.trace.ftrace import load_ftrace
from mmarch.trace.ftrace_text import lines
from mmarch.workload import Workload
from tools.generated import write_or_check

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "traces" / "programs"
DOCS = ROOT / "docs" / "explanation" / "traces.md"
SUFFIX = ".ftrace.txt.gz"
KINDS = ("anon", "file", "shmem")
RELEASE = "7.3"  # nearest to the recording kernel, 6.18
PAGE = 4096
FAULT = re.compile(r" +<\.\.\.>-(\d+) +\[\d+\] (\S+) .*: page_fault_\w+: address=\S+ ip=(\w+)")
# Copied with page faults off, and tried again after the page has faulted: what write() takes (mm/filemap.c), and the
# state that a signal saves on the stack, which D shows: bottom halves are off as well (arch/x86/kernel/fpu/signal.c).
DISABLED = re.compile(r"\S+ copy_folio_from_iter_atomic|D\S* copy_fpstate_to_sigframe")
FAULTS = (
    "trace",
    "tasks",
    "kernel",
    "before the program",
    "execve",
    "not handled",
    "in the trace",
    "twin",
    "",
)
PEAKS = ("trace", "process", "kernel", "twin, files read before", "twin, files not read yet")


class Recorded(NamedTuple):
    """Of one task: faults in the trace, those of them with faults disabled, and images it ran."""

    faults: int
    disabled: int
    execs: int


@dataclass(frozen=True)
class Program:
    """A recorded program; lists are by task, peaks the most pages of its address space."""

    name: str
    names: list[str]
    kernel: list[int]
    peaks: list[int]
    recorded: list[Recorded]
    twin: int
    warm: list[int]
    cold: list[int]

    def unexplained(self) -> list[int]:
        """Faults that the kernel counted beyond those in the trace and one an execve, by task."""
        pairs = zip(self.kernel, self.recorded, strict=True)
        return [kernel - (one.faults - one.disabled + one.execs) for kernel, one in pairs]


def recorded(path: Path, workload: Workload) -> list[Recorded]:
    """By task."""
    matches = [match for match in map(FAULT.match, lines(path)) if match]
    faults = Counter(int(match[1]) - 1 for match in matches)
    disabled = Counter(int(match[1]) - 1 for match in matches if DISABLED.match(f"{match[2]} {match[3]}"))
    execs = Counter(workload.ops[workload.ops[:, 0] == uapi.OP_EXEC][:, 1].tolist())
    tasks = int((workload.ops[:, 0] == uapi.OP_EXIT).sum())
    return [Recorded(faults[task], disabled[task], execs[task]) for task in range(tasks)]


def warmed(workload: Workload) -> Workload:
    """The same after one more task has read all of its files."""
    ops, at = workload.ops, 1 << 40
    reader = int((ops[:, 0] == uapi.OP_EXIT).sum())
    rows = [(uapi.OP_SPAWN, reader, 0, 0, 0, 0, 0, 0)]
    for number, file in enumerate(workload.files):
        pages = -(-file.size // PAGE)
        if pages:
            rows += [
                (uapi.OP_MMAP, reader, at, pages * PAGE, uapi.PROT_READ, uapi.MAP_SHARED, number, 0),
                (uapi.OP_TOUCH, reader, at, pages, uapi.ACCESS_READ, 0, 0, 0),
                (uapi.OP_MUNMAP, reader, at, pages * PAGE, 0, 0, 0, 0),
            ]
    first = np.array(rows, ops.dtype)
    lines = np.concatenate([np.zeros(len(first), workload.lines.dtype), workload.lines])
    return replace(workload, ops=np.concatenate([first, ops]), lines=lines)


def booted(workload: Workload) -> Machine:
    """A machine with generic page tables of 4K and no large folios, as the recording had none."""
    setup = configure(Choices(arch="generic", release=RELEASE, folio_orders="none"))
    return assemble(setup, workload, Request("linked"), print)


def replayed(workload: Workload) -> tuple[int, list[int]]:
    """Faults, and the peak of each task, sampled after every operation."""
    machine, most, peaks = booted(workload), Counter[int](), Counter[int]()
    mms, tasks = machine.memory.tables["MM"], machine.memory.tables["TASK"]["mm"]
    for row, (op, task, child, *_) in enumerate(workload.ops.tolist()):
        if op == uapi.OP_EXIT:
            peaks[task] = most[int(tasks[task + 1])]
        machine.call("run_operations", row, row + 1)
        for one in (task, child) if op == uapi.OP_FORK else (task,):
            mm = int(tasks[one + 1])
            before = (
                0
                if op in (uapi.OP_EXEC, uapi.OP_SPAWN) or (op == uapi.OP_FORK and one == child)
                else most[mm]
            )
            most[mm] = max(before, sum(int(mms[f"rss_{kind}"][mm]) for kind in KINDS))
    return machine.total("fault"), [peaks[task] for task in range(len(peaks))]


def program(name: str) -> Program:
    """Everything about one."""
    path = FOLDER / f"{name}{SUFFIX}"
    with (FOLDER / f"{name}.counts.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    workload = load_ftrace(path)
    faults, cold = replayed(workload)
    return Program(
        name, [row[0] for row in rows], [int(row[1]) + int(row[2]) for row in rows],
        [int(row[3]) * 1024 // PAGE for row in rows], recorded(path, workload), faults,
        replayed(warmed(workload))[1], cold,
    )  # fmt: skip


def names() -> list[str]:
    """Those recorded with the kernel's counts."""
    return sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))


def faults_of(one: Program) -> list[str]:
    """A row of the first table; the last cell is the twin's share of what is in the trace."""
    before, *_ = one.unexplained()
    execs, disabled = sum(x.execs for x in one.recorded), sum(x.disabled for x in one.recorded)
    there = sum(x.faults for x in one.recorded)
    numbers = [len(one.kernel), sum(one.kernel), before, execs, disabled, there, one.twin]
    return [one.name, *(f"{number:,}" for number in numbers), f"{one.twin / there:.1%}"]


def peaks_of(one: Program) -> list[str]:
    """A row of the second table, in KiB: the process that had most."""
    largest = max(range(len(one.peaks)), key=one.peaks.__getitem__)
    return [
        one.name, one.names[largest],
        *(f"{peaks[largest] * PAGE >> 10:,}" for peaks in (one.peaks, one.warm, one.cold)),
    ]  # fmt: skip


def table(heads: tuple[str, ...], rows: list[list[str]], texts: int) -> str:
    """In Markdown, numbers to the right."""
    rule = ["---" if number < texts else "---:" for number in range(len(heads))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, rule, *rows))


def page(text: str, programs: list[Program]) -> str:
    """The page with its tables anew."""
    tables = {
        "faults": table(FAULTS, [faults_of(one) for one in programs], 1),
        "peaks": table(PEAKS, [peaks_of(one) for one in programs], 2),
    }
    for name, inside in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        text = text[: text.index(begin) + len(begin)] + inside + text[text.index(end) :]
    return text


def main() -> int:
    """Write the page, or compare it."""
    found = [program(name) for name in names()]
    return write_or_check([(DOCS, page(DOCS.read_text(encoding="utf-8"), found))], sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
