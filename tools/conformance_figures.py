"""Measure the conformance suite and write the figures into docs/conformance/README.md.

`python -m tools.conformance_figures` takes about ten minutes on two cores; nothing else should run meanwhile.
`--soaked FILE` takes the row of the oracle from reports that `mmarch check --format json` wrote earlier.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mmarch.check.context import Context
from mmarch.check.loading import load_named
from mmarch.check.registry import TIERS
from mmarch.check.results import Report
from mmarch.check.run import WORKERS
from mmarch.check.suite import checks
from mmarch.check.tiers.stateful import failure, program
from mmarch.sanitize import soak
from tests.mutants import CATALOGUE
from tests.mutants.process import Runner

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "conformance" / "README.md"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
PROGRAMS, LENGTH = 40, 40
OPERATIONS = 20_000
Row = tuple[str, str]


@dataclass(frozen=True)
class Run:
    """One `mmarch check`: seconds on the wall, seconds of all processes, its report."""

    wall: float
    used: float
    report: Report

    def __str__(self) -> str:
        return f"{self.wall:.0f} s ({self.used:.0f} s of CPU time on {WORKERS} processes)"


def run(*options: str, cache: str = "") -> Run:
    """`mmarch check arm64` in a process, with its own cache of images if one is given."""
    environment = {**os.environ, **({"MMARCH_CACHE_DIR": cache} if cache else {})}
    command = [sys.executable, "-m", "mmarch", "check", "arm64", "--format", "json", "-q", *options]
    before, start = children(), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    wall = time.monotonic() - start
    report = Report.model_validate_json(done.stdout)
    if not report.ok:
        raise SystemExit(f"{' '.join(command)} found {report.failed[0].name}: {report.failed[0].message}")
    return Run(wall, children() - before, report)


def children() -> float:
    """CPU seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def mutants() -> tuple[int, int]:
    """Caught, and all."""
    runner = Runner()
    caught = sum(runner.ask(name)["status"] == "fail" for name in CATALOGUE)
    runner.stop()
    return caught, len(CATALOGUE)


def context() -> Context:
    """arm64 with its defaults."""
    return Context(load_named("arm64").descriptor, load_named("generic").descriptor, name="figures")


def programs_a_second() -> float:
    """Random programs, the machine compared with the model after every call."""
    chosen = context()
    rng, start = chosen.rng(), time.process_time()
    for _ in range(PROGRAMS):
        if failure(chosen, *program(chosen, rng)) is not None:
            raise SystemExit("a random program fails: see mmarch check arm64 --only stateful.random")
    return PROGRAMS / (time.process_time() - start)


def operations_a_second(engine: str, granule: str) -> float:
    """Random operations under the TLB oracle, on the default CPU."""
    base = context().config(cpu=context().arch.default_cpu, granule=granule)
    made = list(soak.rounds(base, OPERATIONS, seed=1))
    soak.machine(made[0], engine)  # links it
    start = time.process_time()
    if any(soak.run_round(one, soak.Soaked(), engine) for one in made):
        raise SystemExit("the oracle finds a violation: see mmarch check arm64 --only tlb.random")
    return OPERATIONS / (time.process_time() - start)


def processor() -> str:
    """Its name without a number that tells one computer from another, and whether it is virtual."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"^model name\s*: (.*)", text, re.M)
    virtual = " virtual" if re.search(r"^flags.*\bhypervisor\b", text, re.M) else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    brand = " ".join(name[1].split()[:2]) if name else platform.machine()
    load = f"{os.getloadavg()[0]:.1f} processes running before"
    return f"{cores}{virtual} cores of {brand}, Python {platform.python_version()}, {load}"


def soaked(files: list[Path]) -> list[Row]:
    """A row for each result of tlb.random in reports."""
    rows = []
    for file in files:
        report = Report.model_validate_json(file.read_text())
        for result in report.results:
            if result.check != "tlb.random" or result.status != "pass":
                raise SystemExit(f"{file}: {result.name} is {result.status}")
            rows.append(
                (f"{report.arch} {result.release}, seed {report.seed}", f"{result.did}; no violation")
            )
    return rows


def rows(quick: Run, cold: Run, full: Run) -> list[Row]:
    """What is measured, and what came of it."""
    caught, all_mutants = mutants()
    tiers = Counter(item.tier for item in checks())
    statuses = ", ".join(f"{number} {status}" for status, number in full.report.counts().items())
    return [
        ("mutants caught / all", f"{caught} / {all_mutants}"),
        ("checks", f"{len(checks())}: " + ", ".join(f"{tier} {tiers[tier]}" for tier in TIERS)),
        ("`mmarch check arm64`", f"{full}: {statuses}"),
        ("`mmarch check arm64 --quick`", f"{quick}; the first time, nothing linked yet, {cold}"),
        (f"random programs of {LENGTH} calls, compared with the model after each",
         f"{programs_a_second():.1f} programs a second and core"),
        ("random operations under the TLB oracle, 4 KiB pages",
         f"{operations_a_second('linked', '4k'):,.0f} a second and core linked, "
         f"{operations_a_second('interpreted', '4k'):,.0f} interpreted"),
    ]  # fmt: skip


def write(where: str, measured: list[Row], long: list[Row]) -> None:
    """Between the marks of the page; rows of the long run stay if there are no new ones."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    kept = re.search(r"^\| operations under the oracle.*(?:\n\|.*)*\n", old, re.M)
    lines = [f"Measured on {where}.", "", "| | |", "|---|---|"]
    lines += [f"| {what} | {figure} |" for what, figure in measured]
    lines.append("")
    if long:
        lines += ["| operations under the oracle | |", "|---|---|", *[f"| {a} | {b} |" for a, b in long]]
    elif kept:
        lines += kept[0].splitlines()
    PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + after, encoding="utf-8")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--soaked", type=Path, nargs="*", default=[], metavar="FILE")
    options = parser.parse_args()
    long, where = soaked(options.soaked), processor()
    with tempfile.TemporaryDirectory() as cache:
        cold = run("--quick", cache=cache)
        quick = run("--quick", cache=cache)
        full = run(cache=cache)
    write(where, rows(quick, cold, full), long)


if __name__ == "__main__":
    main()
