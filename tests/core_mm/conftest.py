"""A machine with one mm, for tests that call core-mm's functions directly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FunctionType

import pytest

from arches.arm64 import arch as arm64
from arches.generic import arch as generic
from core_mm import uapi
from core_mm.descriptor import ArchDescriptor
from core_mm.fork import dup_mm, mm_alloc, mmput
from core_mm.memory.access import access_range
from core_mm.mmap import do_mmap, do_munmap
from core_mm.page_alloc import free_area_init
from core_mm.pgtable import pmd_off, pte_offset_map
from core_mm.vma_tree import find_vma
from mmarch.engine.machine import Config, Machine

ROOTS: list[FunctionType] = [
    free_area_init, mm_alloc, mmput, dup_mm, do_mmap, do_munmap, access_range, find_vma,
    pmd_off, pte_offset_map,
]  # fmt: skip
BASE = 0x2_0000_0000
PAGE = 4096


class Bench:
    """One machine, the mm it began with, and shorthands for what tests do to it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        for name in machine.memory.layout.scalars["mach"].names:
            if name.startswith("next_") and name != "next_asid":
                machine.memory.set("mach", name, 2 if name == "next_mm" else 1)
        machine.call("free_area_init")
        self.mm = machine.call("mm_alloc")
        self.marks: dict[str, int] = {}

    def map(self, pages: int, at: int = 0, prot: int = 3, flags: int = 0) -> int:
        """An anonymous mapping of `pages` pages, `at` pages above BASE; its address."""
        kind = (flags or uapi.MAP_PRIVATE) | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
        addr = BASE + at * PAGE
        result = self.machine.call("do_mmap", self.mm, addr, pages * PAGE, prot, kind, 0, 0)
        assert result == addr, result
        return addr

    def touch(self, page: int, pages: int = 1, access: int = uapi.ACCESS_WRITE, mm: int = -1) -> int:
        """Access pages; 0 or a negated error."""
        who = self.mm if mm < 0 else mm
        return self.machine.call("access_range", who, BASE + page * PAGE, pages, access)

    def unmap(self, page: int, pages: int) -> None:
        """munmap."""
        assert self.machine.call("do_munmap", self.mm, BASE + page * PAGE, pages * PAGE) == 0

    def fork(self) -> int:
        """The child's mm."""
        return self.machine.call("dup_mm", self.mm)

    def exit(self, mm: int) -> None:
        """The last user of an mm goes."""
        self.machine.call("mmput", mm)

    def pmd(self, page: int, mm: int = -1) -> int:
        """The PMD entry above a page."""
        pmdp = self.machine.call("pmd_off", self.mm if mm < 0 else mm, BASE + page * PAGE)
        return int(self.machine.memory.arrays["ptes"][pmdp]) if pmdp else 0

    def pte(self, page: int, mm: int = -1) -> int:
        """The PTE of a page, 0 where there is no table."""
        pmdp = self.machine.call("pmd_off", self.mm if mm < 0 else mm, BASE + page * PAGE)
        ptep = self.machine.call("pte_offset_map", pmdp, BASE + page * PAGE) if pmdp else 0
        return int(self.machine.memory.arrays["ptes"][ptep]) if ptep else 0

    def since(self, *events: str) -> list[int]:
        """Counts of events since they were last asked for."""
        totals = [self.machine.total(event) for event in events]
        news = [total - self.marks.get(event, 0) for event, total in zip(events, totals, strict=True)]
        self.marks.update(zip(events, totals, strict=True))
        return news

    def frame(self, column: str, pfn: int) -> int:
        """A field of struct page."""
        return int(self.machine.memory.tables["PAGE"][column][pfn])

    def rss(self) -> int:
        """Anonymous pages of the first mm."""
        return int(self.machine.memory.tables["MM"]["rss_anon"][self.mm])

    def scalar(self, name: str) -> int:
        """A field of mach."""
        return self.machine.memory.get("mach", name)


Maker = Callable[..., Bench]


@pytest.fixture(params=["interpreted", "linked"])
def engine(request: pytest.FixtureRequest) -> str:
    """Both engines."""
    return str(request.param)


@pytest.fixture
def bench(engine: str) -> Maker:
    """Makes benches; `order` is the only folio order that anonymous memory uses."""

    def make(
        order: int = 0, release: str = "6.12", arch: ArchDescriptor = arm64, cpu: str = "",
        roots: Sequence[FunctionType] = (), memory: int = 64 << 20, **overrides: int,
    ) -> Bench:  # fmt: skip
        values: Mapping[str, int] = {"anon_always": 1 << order if order else 0, **overrides}
        config = Config(
            arch=arch, generic=generic, release=release, cpu=cpu, memory=memory, overrides=values
        )
        return Bench(Machine(config, engine, [*ROOTS, *roots], files=8, file_pages=1 << 14))

    return make
