"""Random programs of a few calls that lead to all that can become of a page: swapped, shared, moved, given up."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from core_mm import uapi
from mmarch import cpus
from mmarch.check.observation import OBSERVED, SEEN
from mmarch.engine.machine import Config, Machine
from mmarch.sanitize import soak
from mmarch.sanitize.random_rows import RW, Row, Writer, block_pages
from mmarch.sanitize.soak import ASIDS, LOG_ROWS, MB, Round

CALLS = 40
ADVICE = (
    uapi.MADV_PAGEOUT, uapi.MADV_PAGEOUT, uapi.MADV_PAGEOUT, uapi.MADV_FREE, uapi.MADV_FREE, uapi.MADV_DONTNEED,
    uapi.MADV_COLD, uapi.MADV_POPULATE_READ, uapi.MADV_POPULATE_WRITE, uapi.MADV_COLLAPSE, uapi.MADV_REMOVE,
    uapi.MADV_WIPEONFORK, uapi.MADV_DONTFORK, uapi.MADV_HUGEPAGE,
)  # fmt: skip
USUAL, FEW = 1 << 17, 700  # frames, of which few run out
SLOTS = (1 << 14, 1 << 14, 300, 40)  # of swap


class Caller(Writer):
    """Writes short programs: much reclaim, children that come and go, and writes that follow."""

    weights: ClassVar[Mapping[str, int]] = {
        "touch": 30, "mmap": 7, "munmap": 5, "mprotect": 7, "madvise": 22, "mremap": 5, "fork": 7, "exit": 5,
        "spawn": 1, "file": 4, "age": 3, "swapoff": 1, "inherit": 5, "thread": 1, "execute": 1, "share": 2, "forget": 1,
        "huge": 2, "cut": 2, "unlink": 1,
    }  # fmt: skip

    def madvise(self) -> None:
        """Mostly what reclaims."""
        task = self._task()
        self._add(uapi.OP_MADVISE, task, *self._bytes(*self._mapped(task)), self.rng.choice(ADVICE))

    def swapoff(self) -> None:
        """Everything comes back."""
        self._add(uapi.OP_SWAPOFF, self._task())

    def inherit(self) -> None:
        """A child comes and goes, part of a block is written to, all of it read-only and given up.

        So there are pages of one folio of which some are exclusive and dirty and others not, and all else is equal.
        """
        task, child = self._task(), self._free()
        start, pages = self._mapped(task, RW)
        pages = min(pages, self.block)
        at, size = self._bytes(start, pages)
        if child:
            self._add(uapi.OP_FORK, task, child)
            self._add(uapi.OP_EXIT, child)
        if self.rng.random() < 0.5:
            self._add(uapi.OP_MADVISE, task, at, size, uapi.MADV_FREE)
        first = self.rng.randrange(pages)
        some = self.rng.randrange(pages - first) + 1
        self._add(uapi.OP_TOUCH, task, *self._bytes(start + first, some)[:1], some, uapi.ACCESS_WRITE)
        self._add(uapi.OP_MPROTECT, task, at, size, uapi.PROT_READ)
        self._note(task, start, pages, uapi.PROT_READ)
        if self.rng.random() < 0.7:
            self._add(uapi.OP_MADVISE, task, at, size, uapi.MADV_PAGEOUT)


@dataclass(frozen=True)
class Program:
    """Calls, and the machine that they run on, whatever the kernel.

    changes  of the configuration: CPU, granule, folios, memory, swap
    """

    number: int
    rows: tuple[Row, ...]
    first_asid: int = 0
    changes: Mapping[str, object] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """For reports."""
        where = [f"{name} {self.changes[name]}" for name in ("cpu", "granule") if self.changes.get(name)]
        return ", ".join([f"program {self.number}", *where])

    def machine(self, config: Config, engine: str) -> Machine:
        """Booted, with a kernel."""
        changed = replace(config, **self.changes)  # type: ignore[arg-type]
        return soak.machine(Round(self.number, changed, self.rows, self.first_asid), engine, OBSERVED)

    def but(self, rows: Sequence[Row]) -> Program:
        """With other calls."""
        return replace(self, rows=tuple(rows))


def programs(config: Config, seed: int, writer: type[Writer] = Caller) -> Iterator[Program]:
    """One after the other, on CPUs and granules in turn unless `config` names one: half of them on the usual ones."""
    models = [config.cpu] if config.cpu else cpus.covering(config.arch)
    granules = [config.granule] if config.granule else sorted(config.arch.granules)
    number = 0
    while True:
        usual = number % 2 == 0
        cpu = config.cpu if usual else models[number // 2 % len(models)]
        granule = config.arch.default_granule if usual else granules[number // 2 % len(granules)]
        yield program(config, seed, number, cpu, config.granule or granule, writer)
        number += 1


def program(
    config: Config, seed: int, number: int, cpu: str, granule: str, writer: type[Writer] = Caller
) -> Program:
    """The one that seed and number name."""
    rng = random.Random(f"{seed} program {number}")
    geometry = config.arch.granules[granule]
    block = block_pages(geometry)
    usual = 1 << block.bit_length() - 1 | 1 << 2
    few = rng.random() < 0.05
    orders = (
        0 if few else rng.choice((usual, usual, usual, 0, 1 << block.bit_length(), 1 << geometry.pte_bits))
    )
    overrides = {"log_ptes": 1, "anon_always": orders}
    if rng.random() < 0.2:
        overrides["fail_nowait"] = rng.randrange(1, 8)
    if rng.random() < 0.15:
        overrides["fail_dup_swap"] = rng.choice((1, 256, 1 << geometry.pte_bits)) + rng.randrange(64)
    changes = {
        "cpu": cpu, "granule": granule, "anon_orders": orders, "shmem_orders": rng.choice((0, orders)),
        "memory": (FEW if few else max(USUAL, 512 * MB >> geometry.page_shift)) << geometry.page_shift,
        "swap_bytes": rng.choice(SLOTS) << geometry.page_shift, "log_rows": LOG_ROWS, "seen": SEEN,
        "overrides": overrides,
    }  # fmt: skip
    rows = writer.of(rng, geometry).write(CALLS)
    return Program(number, rows, rng.choice((0, 0, 0, ASIDS - rng.randrange(2, 40))), changes)
