"""The same operations on the running kernel and on the twin, in turn, and how the two compare.

    python benchmarks/against_native.py [--rounds N] [--sizes 64,1024] [--json FILE] [--markdown FILE]

Needs a C compiler. Folio order 4 needs root and a kernel with mTHP, since only sysfs can enable it; where
that is missing the rows are left out and the reason is printed. Ratios are native / twin: above 1 the
twin is faster. Times are per 4 KiB page, or per iteration of the small loops. The limit is one pass that
reads and writes all that the twin keeps of as many pages.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from core_mm import uapi
from mmarch.engine.machine import Machine
from mmarch.runs.assemble import Request, assemble
from mmarch.runs.configure import Choices, configure
from mmarch.workload import Workload

HERE = Path(__file__).parent
SYSFS = Path("/sys/kernel/mm/transparent_hugepage")
PAGE, HUGE = 4096, 2 << 20
BASE = 1 << 40
RW = uapi.PROT_READ | uapi.PROT_WRITE
ANON = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
LOOPS = 20000
TWINS = (("arm64", "7.3"), ("arm64", "6.12"), ("generic", "7.3"))
PROMISED = "arm64 7.3"

Times = dict[str, float]
Found = dict[str, dict[str, list[float]]]


def build(folder: Path) -> Path:
    """Compile the yardstick."""
    program = folder / "native"
    subprocess.run(["cc", "-O2", "-o", program, HERE / "native.c"], check=True)
    return program


def native(program: Path, *arguments: str) -> Times:
    """One pass on the running kernel."""
    run = subprocess.run([program, *arguments], check=True, capture_output=True, text=True)
    return {name: float(value) for name, value in (line.split() for line in run.stdout.splitlines())}


@contextmanager
def enabled_order(order: int) -> Iterator[str]:
    """Enable one folio size for MADV_HUGEPAGE in sysfs; yields why not, or nothing."""
    if order == 0:
        yield ""
        return
    files = sorted(SYSFS.glob("hugepages-*kB/enabled"))
    wanted = SYSFS / f"hugepages-{4 << order}kB" / "enabled"
    if wanted not in files:
        yield f"this kernel has no {4 << order} KiB folios"
        return
    before = {file: file.read_text().split("[")[1].split("]")[0] for file in files}
    try:
        for file in files:
            file.write_text("madvise" if file == wanted else "never")
        yield ""
    except OSError as error:
        yield f"folio sizes cannot be enabled: {error}"
    finally:
        for file, value in before.items():
            try:
                file.write_text(value)
            except OSError:
                continue


class Twin:
    """A booted machine on which the pass of native.c runs."""

    def __init__(self, arch: str, release: str, order: int, length: int) -> None:
        memory = max(4 * length, 1 << 30)
        setup = configure(
            Choices(arch=arch, release=release, folio_orders=str(order), memory=str(memory), granule="4k")
        )
        rows = 4 * LOOPS if length == 0 else 2 * length // HUGE + 16
        ops = np.zeros((rows, uapi.COLUMNS), np.int64)
        ops[:, 1] = 3  # the highest task
        empty = Workload("benchmark", ops, np.zeros(rows, np.int32))
        request = Request(engine="linked", madvise=True)
        self.machine: Machine = assemble(setup, empty, request, lambda text: print(text, file=sys.stderr))
        self.order, self.length, self.pages = order, length, length // PAGE
        self.do((uapi.OP_SPAWN, 1))

    def do(self, *rows: tuple[int, ...]) -> float:
        """Run operations, all of which must succeed; nanoseconds."""
        ops = self.machine.memory.arrays["ops"]
        for i, row in enumerate(rows):
            padded = [*row, *[0] * (uapi.COLUMNS - len(row))]
            ops[i * uapi.COLUMNS : (i + 1) * uapi.COLUMNS] = padded
        begin = time.perf_counter_ns()
        self.machine.call("run_operations", 0, len(rows))
        elapsed = time.perf_counter_ns() - begin
        failed = self.machine.memory.arrays["results"][: len(rows)] < 0
        if failed.any():
            raise SystemExit(f"operation {rows[int(failed.argmax())]} failed in the twin")
        return float(elapsed)

    def fresh(self) -> None:
        """Reserve and map."""
        none = uapi.MAP_NORESERVE | ANON
        advice = uapi.MADV_HUGEPAGE if self.order else uapi.MADV_NOHUGEPAGE
        self.do(
            (uapi.OP_MMAP, 1, BASE - HUGE, self.length + 2 * HUGE, uapi.PROT_NONE, none, -1),
            (uapi.OP_MMAP, 1, BASE, self.length, RW, ANON, -1),
            (uapi.OP_MADVISE, 1, BASE, self.length, advice),
        )

    def touch(self) -> float:
        """Write to every page."""
        return self.do((uapi.OP_TOUCH, 1, BASE, self.pages, uapi.ACCESS_WRITE))

    def populated(self) -> None:
        """Mapped and written; huge pages by PTEs."""
        self.fresh()
        self.touch()
        self.map_by_ptes()

    def map_by_ptes(self) -> None:
        """Split huge pages as the native program does."""
        if self.order != 9:
            return
        rows = []
        for address in range(BASE, BASE + self.length, HUGE):
            rows += [
                (uapi.OP_MPROTECT, 1, address, PAGE, uapi.PROT_READ),
                (uapi.OP_MPROTECT, 1, address, PAGE, RW),
            ]
        self.do(*rows)

    def unmap(self) -> None:
        """Everything."""
        self.do((uapi.OP_MUNMAP, 1, BASE - HUGE, self.length + 2 * HUGE))

    def run(self) -> Times:
        """The pass of native.c; nanoseconds a page."""
        times = {}
        self.fresh()
        times["touch"] = self.touch()
        self.map_by_ptes()
        times["munmap"] = self.do((uapi.OP_MUNMAP, 1, BASE, self.length))
        self.unmap()
        self.populated()
        times["dontneed"] = self.do((uapi.OP_MADVISE, 1, BASE, self.length, uapi.MADV_DONTNEED))
        self.unmap()
        self.populated()
        times["mprotect_ro"] = self.do((uapi.OP_MPROTECT, 1, BASE, self.length, uapi.PROT_READ))
        times["mprotect_rw"] = self.do((uapi.OP_MPROTECT, 1, BASE, self.length, RW))
        self.unmap()
        self.populated()
        times["fork"] = self.do((uapi.OP_FORK, 1, 2))
        times["child_exit"] = self.do((uapi.OP_EXIT, 2))
        self.do((uapi.OP_FORK, 1, 2))
        times["cow"] = self.touch()
        self.do((uapi.OP_EXIT, 2))
        self.unmap()
        return {name: value / self.pages for name, value in times.items()}

    def loops(self) -> Times:
        """The small operations of native.c; nanoseconds an iteration."""
        page = (
            (uapi.OP_MMAP, 1, BASE, PAGE, RW, ANON, -1),
            (uapi.OP_TOUCH, 1, BASE, 1, uapi.ACCESS_WRITE),
            (uapi.OP_MUNMAP, 1, BASE, PAGE),
        )
        heap = 1 << 30
        self.do((uapi.OP_EXEC, 1, heap))
        breaks = ((uapi.OP_BRK, 1, heap + 16 * PAGE), (uapi.OP_BRK, 1, heap))
        return {
            "mmap_touch_munmap": self.do(*page * LOOPS) / LOOPS,
            "brk_up_down": self.do(*breaks * LOOPS) / LOOPS,
        }


def measure(program: Path, size: int, order: int, rounds: int) -> tuple[Found, float]:
    """Nanoseconds by who and operation, one value a round, and the limit; the first round is a warm-up."""
    found: Found = defaultdict(lambda: defaultdict(list))
    twins = {f"{arch} {release}": Twin(arch, release, order, size) for arch, release in TWINS}
    for number in range(rounds + 1):
        everyone = {"native": native(program, str(size), str(order)) if size else native(program, "loop", str(LOOPS))}
        for name, twin in twins.items():
            everyone[name] = twin.run() if size else twin.loops()
        for who, times in everyone.items():
            for operation, value in times.items():
                if number:
                    found[who][operation].append(value)
    return found, memory_pass(twins[PROMISED]) if size else 0.0


def memory_pass(twin: Twin) -> float:
    """Nanoseconds a page for one pass that reads and writes all that the twin keeps of a page: the limit."""
    layout = twin.machine.layout.tables["PAGE"]
    kinds = [layout.dtype, *(kind for _, kind in layout.apart.values()), np.dtype(np.int64)]
    words = [np.zeros(twin.pages * kind.itemsize // 8, np.int64) for kind in kinds]
    times = []
    for _ in range(6):
        begin = time.perf_counter_ns()
        for array in words:
            array += 1
        times.append(time.perf_counter_ns() - begin)
    return min(times[1:]) / twin.pages


def figures(found: Found, limit: float) -> list[list[str]]:
    """A heading and a row an operation: medians, native / twin as median (minimum to maximum), and the limit."""
    twins = [who for who in found if who != "native"]
    heading = ["", "native"]
    for who in twins:
        heading += [who, "native / twin"]
    rows = [heading + ([f"{PROMISED} / limit"] if limit else [])]
    for operation, values in found["native"].items():
        cells = [operation.replace("_", " "), f"{statistics.median(values):.0f}"]
        for who in twins:
            times = found[who][operation]
            ratios = [n / t for n, t in zip(values, times, strict=True)]
            cells += [
                f"{statistics.median(times):.1f}",
                f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
            ]
        if limit:
            cells.append(f"{statistics.median(found[PROMISED][operation]) / limit:.0f}")
        rows.append(cells)
    return rows


def show(console: Console, title: str, rows: list[list[str]]) -> None:
    """A table on the terminal."""
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="right" if name else "left")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)


def markdown(title: str, rows: list[list[str]]) -> str:
    """The same for a page of documentation."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "|---|" + "---:|" * (len(rows[0]) - 1)
    return "\n".join([f"**{title}**", "", lines[0], rule, *lines[1:], ""])


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="64,1024", help="MiB, comma-separated")
    parser.add_argument("--orders", default="0,4,9")
    parser.add_argument("--json", type=Path, help="also write every value here")
    parser.add_argument("--markdown", type=Path, help="also write the tables here")
    options = parser.parse_args()
    console = Console(width=170)
    console.print(f"{platform.machine()}, {platform.system()} {platform.release()}, {processor()}")
    console.print("native does, and the twin does not: zero pages, fill real TLBs, walk nested tables")
    everything: dict[str, tuple[Found, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        for order in map(int, options.orders.split(",")):
            with enabled_order(order) as reason:
                if reason:
                    console.print(f"order {order} left out: {reason}")
                    continue
                for size in map(int, options.sizes.split(",")):
                    found, limit = measure(program, size << 20, order, options.rounds)
                    title = f"{size} MiB, order {order}, ns a page; the limit is {limit:.2f}"
                    everything[title] = found, limit
                    show(console, title, figures(found, limit))
        title = "Small operations, ns an iteration"
        everything[title] = measure(program, 0, 0, options.rounds)
        show(console, title, figures(*everything[title]))
    if options.json:
        options.json.write_text(json.dumps({title: found for title, (found, _) in everything.items()}, indent=1))
    if options.markdown:
        tables = [markdown(title, figures(*values)) for title, values in everything.items()]
        options.markdown.write_text("\n".join(tables))


def processor() -> str:
    """The CPU's name, if the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown CPU"
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")


if __name__ == "__main__":
    main()
