"""The same operations on the running kernel and on the twin, in turn, and how the two compare.

    python benchmarks/against_native.py [--rounds N] [--sizes 64,1024] [--json FILE] [--markdown FILE]
    python benchmarks/against_native.py --against VENV [--rounds N] [--sizes 64,1024]

Needs a C compiler. Folio order 4 needs root and a kernel with mTHP, since only sysfs can enable it; where
that is missing the rows are left out and the reason is printed. Ratios are native / twin: above 1 the
twin is faster. Times are per 4 KiB page, or per iteration of the small loops. The limit is one pass that
reads and writes all that the twin keeps of as many pages.

With --against the kernel has no part: the mmarch that is installed in VENV and this one take turns, in a
process each. Ratios are new / old: below 1 this one is faster.
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

sys.path.insert(0, str(Path(__file__).parent))
from turns import Pairs, compared, installations, python_of, slower, take_turns
from twin import LOOPS, Times, Twin

HERE = Path(__file__).parent
SYSFS = Path("/sys/kernel/mm/transparent_hugepage")
TWINS = (("arm64", "7.3"), ("arm64", "6.12"), ("generic", "7.3"))
PROMISED = "arm64 7.3"

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


def measure(program: Path, size: int, order: int, rounds: int) -> tuple[Found, float]:
    """Nanoseconds by who and operation, one value a round, and the limit; the first round is a warm-up."""
    found: Found = defaultdict(lambda: defaultdict(list))
    twins = {f"{arch} {release}": Twin(arch, release, order, size) for arch, release in TWINS}
    for number in range(rounds + 1):
        everyone = {
            "native": native(program, str(size), str(order)) if size else native(program, "loop", str(LOOPS))
        }
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


SMALL = "Small operations, ns an iteration"


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="5, with --against 21")
    parser.add_argument("--sizes", type=integers, default="64,1024", help="MiB, comma-separated")
    parser.add_argument("--orders", type=integers, default="0,4,9")
    parser.add_argument("--json", type=Path, help="also write every value here")
    parser.add_argument("--markdown", type=Path, help="also write the tables here")
    parser.add_argument(
        "--against", type=python_of, metavar="VENV", help="the mmarch installed there takes turns"
    )
    options = parser.parse_args(given)
    if options.rounds is None:
        options.rounds = 21 if options.against else 5
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: there must be one")
    return options


def integers(text: str) -> list[int]:
    """Of a list with commas."""
    return [int(item) for item in text.split(",")]


def against_native(options: argparse.Namespace, console: Console) -> dict[str, tuple[Found, float]]:
    """Every table of the kernel and the twin."""
    console.print("native does, and the twin does not: zero pages, fill real TLBs, walk nested tables")
    everything: dict[str, tuple[Found, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        for order in options.orders:
            with enabled_order(order) as reason:
                if reason:
                    console.print(f"order {order} left out: {reason}")
                    continue
                for size in options.sizes:
                    found, limit = measure(program, size << 20, order, options.rounds)
                    title = f"{size} MiB, order {order}, ns a page; the limit is {limit:.2f}"
                    everything[title] = found, limit
                    show(console, title, figures(found, limit))
        everything[SMALL] = measure(program, 0, 0, options.rounds)
        show(console, SMALL, figures(*everything[SMALL]))
    return everything


def against_old(options: argparse.Namespace, console: Console) -> dict[str, Pairs]:
    """Every table of two installations."""
    old, new = installations(options.against)
    console.print(f"old: {old}\nnew: {new}", soft_wrap=True)
    everything: dict[str, Pairs] = {}
    wanted = [
        (f"{size} MiB, order {order}, ns a page", size << 20, order)
        for order in options.orders
        for size in options.sizes
    ]
    for title, size, order in [*wanted, (SMALL, 0, 0)]:
        everything[title] = take_turns(options.against, TWINS, size, order, options.rounds)
        show(console, title, compared(everything[title]))
    marked = [f"{title}: {row}" for title, found in everything.items() for row in slower(found)]
    console.print("\n".join(["slower than before:", *marked]) if marked else "nothing is slower than before")
    return everything


def main() -> None:
    """Run everything."""
    options = arguments()
    console = Console(width=170)
    console.print(f"{platform.machine()}, {platform.system()} {platform.release()}, {processor()}")
    values: dict[str, object]
    if options.against:
        turns = against_old(options, console)
        values = {**turns}
        tables = {title: compared(found) for title, found in turns.items()}
    else:
        measured = against_native(options, console)
        values = {title: found for title, (found, _) in measured.items()}
        tables = {title: figures(*found) for title, found in measured.items()}
    if options.json:
        options.json.write_text(json.dumps(values, indent=1))
    if options.markdown:
        options.markdown.write_text("\n".join(markdown(title, table) for title, table in tables.items()))


def processor() -> str:
    """The CPU's name, if the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown CPU"
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown CPU"
    )


if __name__ == "__main__":
    main()
