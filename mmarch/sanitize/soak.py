"""Random operations under the TLB oracle, as many as one likes, in rounds that a seed and a number name."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any

import numpy as np

from core_mm.uapi import COLUMNS, FILE_EXT4, FILE_RAMFS, FILE_REGULAR, FILE_SHMEM, FILE_TMPFS, FILE_TMPFS_HUGE
from mmarch import cpus
from mmarch.engine.direct import DirectMachine, Replace
from mmarch.engine.lower import Options
from mmarch.engine.machine import Config, Machine
from mmarch.runs.assemble import roots
from mmarch.sanitize.audit import Audit, Broken, blamed, first_broken
from mmarch.sanitize.invariants import Finding
from mmarch.sanitize.oracle import Oracle
from mmarch.sanitize.random_rows import FILE_PAGES, FILES, Row, Writer, block_pages
from mmarch.sanitize.run import drain
from mmarch.sanitize.shrinking import shortest
from mmarch.sanitize.violation import Violation

ROUND = 500  # operations of a machine's life
LOG_ROWS = 1 << 20
LOG_READ = 1 << 14  # rows of log after which the next operations wait for the oracle
ASIDS = 1 << 16
KNOWN_HOLES = frozenset({"pt_reclaim_end"})  # what Linux 7.0 is known to flush wrongly: without it, others show
SHRINKING = 60  # seconds
EVERY = 20  # operations between two looks at core-mm
MB = 1 << 20
DISK_KINDS = FILE_REGULAR, FILE_REGULAR, FILE_EXT4, FILE_RAMFS
SHARED_KINDS = FILE_SHMEM, FILE_TMPFS, FILE_TMPFS_HUGE, FILE_TMPFS_HUGE
TIGHT_PAGES, TIGHT_SLOTS = (1200, 2000, 4000), (64, 300, 1000)  # of every third machine


@dataclass(frozen=True)
class Round:
    """What one machine does; `config` says CPU, granule and folios, `first_asid` whether ASIDs will soon run out.

    kinds  of its files, in turn
    """

    number: int
    config: Config
    rows: tuple[Row, ...]
    first_asid: int
    kinds: tuple[int, int] = FILE_REGULAR, FILE_SHMEM

    @property
    def name(self) -> str:
        """For people."""
        config = self.config
        return f"round {self.number}, cpu {config.cpu}, granule {config.granule}"


@dataclass
class Soaked:
    """What came of all rounds so far.

    failed  operations that returned an error, as a random one may
    events  rows of log that the oracle read
    """

    operations: int = 0
    failed: int = 0
    events: int = 0
    flushes: int = 0
    superfluous: int = 0
    known: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        known = f", {sum(self.known.values()):,} times a known hazard" if self.known else ""
        return (
            f"{self.operations:,} operations ({self.failed:,} returned an error), {self.events:,} events, "
            f"{self.flushes:,} flushes, {self.superfluous:,} superfluous{known}"
        )


def rounds(
    base: Config, operations: int, seed: int, writer: type[Writer] = Writer, each: int = ROUND
) -> Iterator[Round]:
    """On machines in turn, until there are enough operations."""
    for number, (done, config) in enumerate(zip(range(0, operations, each), machines(base), strict=False)):
        yield one_round(config, seed, number, min(each, operations - done), writer)


def machines(base: Config, first: int = 0) -> Iterator[Config]:
    """Every CPU, from number `first` of the list on, and granule in turn, unless `base` names one; without end."""
    arch = base.arch
    models = [base.cpu] if base.cpu else cpus.covering(arch)
    granules = [base.granule] if base.granule else [arch.default_granule, *sorted(arch.granules)]
    for number in itertools.count():
        yield replace(base, cpu=models[(first + number) % len(models)], granule=granules[number % len(granules)])


def one_round(config: Config, seed: int, number: int, count: int, writer: type[Writer] = Writer) -> Round:
    """The round that `seed` and `number` name."""
    rng = random.Random(f"{seed} {number}")
    geometry = config.arch.granules[config.granule]
    order = block_pages(geometry).bit_length() - 1
    usual = 1 << order | 1 << 2
    huge = 1 << geometry.pte_bits
    orders = rng.choice((usual, usual, 0, 1 << order + 1, huge, usual | huge))
    config = replace(
        config, anon_orders=orders, shmem_orders=rng.choice((0, orders)), memory=512 * MB, swap_bytes=64 * MB,
        log_rows=LOG_ROWS, overrides={"log_ptes": 1, "anon_always": orders}, without=config.without | KNOWN_HOLES,
    )  # fmt: skip
    if number % 3 == 1:
        config = tight(config, seed, number, geometry.page_shift)
    rows = writer.of(rng, geometry).write(count)
    first_asid = rng.choice((0, 0, ASIDS - rng.randrange(2, 40)))
    return Round(number, config, rows, first_asid, (rng.choice(DISK_KINDS), rng.choice(SHARED_KINDS)))


def tight(config: Config, seed: int, number: int, page_shift: int) -> Config:
    """Little memory, little swap, fragmentation, and pages of slots that a gather does not get: calls fail half-way."""
    rng = random.Random(f"tight {seed} {number}")
    overrides = {
        **config.overrides, "fragmentation": rng.choice((0, 30, 60)), "fail_nowait": rng.choice((0, 1, 40)),
        "fail_dup_swap": rng.choice((0, 0, 300)),
    }  # fmt: skip
    memory, swap = rng.choice(TIGHT_PAGES), rng.choice(TIGHT_SLOTS)
    return replace(config, memory=memory << page_shift, swap_bytes=swap << page_shift, overrides=overrides)


def machine(
    made: Round,
    engine: str,
    more_roots: Sequence[FunctionType] = (),
    instead: Mapping[Callable[..., Any], Replace] | None = None,
) -> Machine:
    """Booted, with files and shared memory; "direct" is interpreted without pluggy, which counts no calls of hooks.

    instead  of functions of core-mm, of a direct machine
    """
    size = FILE_PAGES << made.config.arch.granules[made.config.granule].page_shift
    rows = np.array(made.rows, np.int64).reshape(-1, COLUMNS)
    callable_roots, pages = [*roots(), *more_roots], 2 * FILES * FILE_PAGES + 8
    started = (
        DirectMachine(made.config, instead, rows, files=FILES, file_pages=pages, roots=callable_roots)
        if engine == "direct"
        else Machine(
            made.config, engine, callable_roots, operations=rows, files=FILES, file_pages=pages,
            options=Options(attribute=True),
        )
    )  # fmt: skip
    inodes = started.memory.tables["INODE"]
    for row in range(1, FILES + 1):
        inodes["size"][row], inodes["kind"][row], inodes["nlink"][row] = size, made.kinds[(row - 1) % 2], 1
        inodes["first"][row], inodes["pages"][row] = (row - 1) * 2 * FILE_PAGES, 2 * FILE_PAGES
    started.memory.set("mach", "next_inode", FILES + 1)
    started.memory.set("mach", "next_file_page", 2 * FILES * FILE_PAGES)
    started.call("boot")
    if made.first_asid:
        started.memory.set("mach", "next_asid", made.first_asid)
    return started


def run_round(made: Round, soaked: Soaked, engine: str, every: int = EVERY) -> Violation | Broken | None:
    """What is wrong first in a round, or None; adds to `soaked`. Looks at core-mm after every `every` operations."""
    running, oracle = machine(made, engine), Oracle(made.config)
    audit = Audit(running, every)
    row, total = 0, len(made.rows)
    while row < total and not oracle.violations:
        while row < total and running.memory.get("mach", "log_len") < LOG_READ:
            row, findings = audit.run(row, total)
            if findings:
                return blame(made, engine, audit, findings, row)
        soaked.events += running.memory.get("mach", "log_len")
        drain(running, oracle, f"operation {row - 1} of {made.name}")
        audit.emptied()
    oracle.finish()
    soaked.operations += row
    soaked.failed += int((running.memory.arrays["results"][:row] < 0).sum())
    soaked.flushes += sum(oracle.flushes.values())
    soaked.superfluous += sum(oracle.superfluous.values())
    soaked.known.update(oracle.known)
    return oracle.violations[0] if oracle.violations else None


def blame(made: Round, engine: str, audit: Audit, findings: Sequence[Finding], row: int) -> Broken:
    """The first thing that is wrong, after the operation that it is wrong since."""
    exact = first_broken(lambda: machine(made, engine), audit.clean, row)
    return (exact or blamed(findings, audit.machine, row - 1))[0]


def shrink(made: Round, found: Violation | Broken, engine: str) -> tuple[Round, Violation | Broken]:
    """The shortest part of a failing round that is found in a minute and still fails."""

    def failing(rows: Sequence[Row]) -> tuple[Violation | Broken, int] | None:
        seen = run_round(replace(made, rows=tuple(rows)), Soaked(), engine, 1)
        return (seen, seen.where.row + 1) if seen else None

    found, rows = shortest(made.rows, (found, found.where.row + 1), failing, SHRINKING)
    return replace(made, rows=rows), found
