"""What a check is run against: an architecture, a release of core-mm, a seed, and how thorough to be."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from core_mm.descriptor import ArchDescriptor, Geometry
from core_mm.releases import DEFAULT_RELEASE, RELEASES
from mmarch import cpus
from mmarch.check.bench import Bench
from mmarch.engine.changes import Changes
from mmarch.engine.machine import Config

RELEASES_CHECKED = ("6.12", "7.3")
ALSO_IN_FULL = ("7.2", "6.7")  # the other releases of Linux, with which each CPU meets each page size
QUICK = 0.04  # share of the cases that a quick run looks at
TINY = 0.01  # share below which other granules and CPUs are left out
SIDE = 0.03  # share for granules and CPUs other than the default ones
SMALL_TABLE = 512  # entries
FRAMES, SLOTS = 1 << 16, 1 << 12  # of a machine, whatever its page size

_BENCHES: dict[object, Bench] = {}


def forget_benches() -> None:
    """After a failure nobody knows what state they are in."""
    _BENCHES.clear()


@dataclass(frozen=True)
class Context:
    """One run of one check.

    share       of the cases of an exhaustive check, 1.0 for all
    operations  of a check that runs as many random ones as it is told; 0 leaves it to the share
    programs    the same of random programs
    with_       features beyond those of the release, and series
    without     features and hooks to do without
    changes     of those series
    declared    what they mean to change of what core-mm can observe -> why
    followed    what runs is followed line by line, which linked code is not
    every       every page size and CPU has its turn, however small the share: of a full run
    aside       one of many machines that a check which looks at one is tried on: a small part of its work is enough
    """

    arch: ArchDescriptor
    generic: ArchDescriptor
    release: str = DEFAULT_RELEASE
    cpu: str = ""
    granule: str = ""
    seed: int = 0
    share: float = 1.0
    name: str = ""
    requires: frozenset[str] = frozenset()
    operations: int = 0
    programs: int = 0
    with_: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    changes: Changes = field(default_factory=Changes)
    declared: Mapping[str, str] = field(default_factory=dict)
    followed: bool = False
    every: bool = False
    aside: bool = False

    @property
    def capabilities(self) -> frozenset[str]:
        """Of this CPU."""
        return self.arch.capabilities_of(cpus.find(self.arch, self.cpu))

    @property
    def quick(self) -> bool:
        """Whether minutes are too long."""
        return self.share < 0.5

    @property
    def small_tables(self) -> bool:
        """Whether huge pages are not so large that to interpret what is done to them takes too long."""
        return 1 << self.geometry.pte_bits <= SMALL_TABLE

    @property
    def geometry(self) -> Geometry:
        """Of the granule."""
        return self.arch.granules[self.granule or self.arch.default_granule]

    def rng(self, salt: str = "") -> random.Random:
        """Random numbers that depend on the seed, the check and `salt` alone."""
        return random.Random(zlib.crc32(f"{self.seed} {self.name} {salt}".encode()))

    def config(self, **changes: object) -> Config:
        """Of a machine with a log for the oracle."""
        config = Config(
            arch=self.arch, generic=self.generic, release=self.release, cpu=self.cpu, granule=self.granule,
            memory=FRAMES << self.geometry.page_shift, swap_bytes=SLOTS << self.geometry.page_shift,
            log_rows=1 << 18, overrides={"log_ptes": 1},
            with_=frozenset(self.with_), without=frozenset(self.without), changes=self.changes,
        )  # fmt: skip
        return replace(config, **changes)  # type: ignore[arg-type]

    def bench(self, counting: bool = False) -> Bench:
        """A machine with a user address space and a page table to work on."""
        if counting:
            return Bench(self.config(), counting)
        series = tuple(module.__name__ for module in self.changes.modules)
        key = (id(self.arch), self.release, self.cpu, self.granule, self.with_, self.without, series)
        if key not in _BENCHES:
            _BENCHES[key] = Bench(self.config())
        bench = _BENCHES[key]
        bench.reset()
        return bench

    def variants(self) -> Iterator[Context]:
        """This context, then others at a small share of the cases, those that can do what it needs.

        Together they have every granule and every CPU; over the releases of a full run each CPU meets each granule.
        A quick run looks at two of them on its first release.
        """
        able = [variant for variant in self._variants() if self.requires <= variant.capabilities]
        if self.quick and not self.every and len(able) > 2:
            able = [able[0], self.rng("variants").choice(able[1:])][: 1 if self.share < TINY else 2]
        if able and able[0] is not self:
            able[0] = replace(able[0], share=self.share)
        yield from able

    def turns(self) -> Iterator[Context]:
        """This context; then in a full run others aside, on each release some.

        Over the releases of a full run each granule and each CPU has its turn.
        """
        yield self
        releases = RELEASES_CHECKED + ALSO_IN_FULL
        if not self.every or self.release not in releases:
            return
        turn, models = releases.index(self.release), [] if self.cpu else cpus.covering(self.arch)[1:]
        granules = [granule for granule in self.arch.granules if granule != self.arch.default_granule]
        granule = self.granule or (granules[turn % len(granules)] if granules else "")
        for number, cpu in enumerate(models[turn :: len(releases)] or [self.cpu]):
            other = replace(self, cpu=cpu, granule=self.granule if number else granule, aside=True)
            if other.requires <= other.capabilities and other.where != self.where:
                yield replace(other, share=self.share * SIDE)

    def _variants(self) -> Iterator[Context]:
        yield self
        usual = "", self.arch.default_granule
        granules = (
            [self.granule] if self.granule else ["", *(g for g in self.arch.granules if g not in usual)]
        )
        models = [self.cpu] if self.cpu else ["", *cpus.covering(self.arch)[1:]]
        turn = list(RELEASES).index(self.release)
        for number in range(max(len(granules), len(models))):
            cpu = models[number % len(models)]
            granule = granules[(number + turn) % len(granules)]
            if (cpu, granule) != (self.cpu, self.granule):
                yield replace(self, cpu=cpu, granule=granule, share=self.share * SIDE)

    @property
    def where(self) -> str:
        """Granule and CPU, where they are not the default ones; for messages."""
        chosen = [text for text in (self.granule, self.cpu) if text]
        return f" [{', '.join(chosen)}]" if chosen else ""
