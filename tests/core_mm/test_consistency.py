"""Random programs: whatever they do, frames, references, mapcounts, RSS and swap agree with the page tables."""

from __future__ import annotations

import random

import pytest

from core_mm import uapi
from core_mm.vmstat import HOOK_CALL
from tests.support.audit import audit
from tests.support.computer import ANON, PAGE, RW, Computer
from tests.support.images import image

SHARED, PRIVATE = uapi.MAP_SHARED | uapi.MAP_FIXED, uapi.MAP_PRIVATE | uapi.MAP_FIXED
KINDS = (uapi.FILE_TMPFS, uapi.FILE_TMPFS_HUGE, uapi.FILE_EXT4, uapi.FILE_RAMFS)
ADVICE = (
    uapi.MADV_DONTNEED, uapi.MADV_FREE, uapi.MADV_COLD, uapi.MADV_PAGEOUT, uapi.MADV_COLLAPSE,
    uapi.MADV_REMOVE, uapi.MADV_NOHUGEPAGE, uapi.MADV_HUGEPAGE, uapi.MADV_POPULATE_WRITE,
)  # fmt: skip
SPAN = 2048  # pages that the program plays in
FILE_PAGES = 1024


class Program:
    """Does random things to one computer; most succeed, some are refused."""

    def __init__(self, computer: Computer, seed: int) -> None:
        self.computer, self.random = computer, random.Random(seed)
        self.tasks, self.spare = [0], [1, 2, 3]
        computer.map(0, SPAN)
        for page in range(512, SPAN, 512):
            self.map(page, 512, 0)

    def extent(self) -> tuple[int, int]:
        """A page and a number of pages, often of a PMD's or a block's size."""
        pages = self.random.choice((1, 1, 5, 16, 16, 64, 200, 512, 700))
        page = self.random.randrange(SPAN)
        if self.random.random() < 0.5:
            page &= -min(512, 1 << (pages.bit_length() - 1))
        return page, min(pages, SPAN - page)

    def step(self) -> None:
        """One random operation."""
        task = self.random.choice(self.tasks)
        page, pages = self.extent()
        choice = self.random.randrange(100)
        if choice < 45:
            access = self.random.choice((uapi.ACCESS_READ, uapi.ACCESS_WRITE))
            self.computer.touch(page, pages, access, task=task)
        elif choice < 65:
            self.computer.advise(page, pages, self.random.choice(ADVICE), task=task)
        elif choice < 73:
            self.map(page, pages, task)
        elif choice < 83:
            self.computer.protect(page, pages, self.random.choice((0, 1, RW, RW, RW, RW)), task=task)
        elif choice < 85:
            self.computer.unmap(page, pages, task=task)
            self.map(page, pages, task)
        else:
            self.rare(choice, page, pages, task)

    def rare(self, choice: int, page: int, pages: int, task: int) -> None:
        """What moves, forks, ends, truncates."""
        do = self.computer.do
        if choice < 89 and task == 0:
            self.computer.move(page, pages, self.random.randrange(SPAN - pages + 1))
            self.map(page, pages, 0)
        elif choice < 92 and self.spare:
            child = self.spare.pop()
            assert do(uapi.OP_FORK, child, task=task) == 0
            self.tasks.append(child)
        elif choice < 95 and task:
            assert do(uapi.OP_EXIT, task=task) == 0
            self.tasks.remove(task)
            self.spare.append(task)
        elif choice < 97:
            file = self.random.randrange(len(KINDS))
            do(uapi.OP_FTRUNCATE, file, self.random.randrange(FILE_PAGES + 1) * PAGE)
            do(uapi.OP_FTRUNCATE, file, FILE_PAGES * PAGE)
        elif choice < 99:
            do(uapi.OP_PWRITE, self.random.randrange(len(KINDS)), (page % 512) * PAGE, 512 * PAGE, 16 * PAGE)
        else:
            do(uapi.OP_DROP_CACHES)
            do(uapi.OP_LRU_GEN_AGE)

    def map(self, page: int, pages: int, task: int) -> None:
        """A mapping over whatever is there."""
        addr = 0x2_0000_0000 + page * PAGE
        if self.random.random() < 0.5:
            flags, file, offset = ANON, -1, 0
            if self.random.random() < 0.3:
                flags = SHARED | uapi.MAP_ANONYMOUS
        else:
            flags, file = self.random.choice((SHARED, PRIVATE)), self.random.randrange(len(KINDS))
            offset = (page if self.random.random() < 0.7 else self.random.randrange(512)) % FILE_PAGES
        self.computer.do(uapi.OP_MMAP, addr, pages * PAGE, RW, flags, file, offset * PAGE, task=task)


def computer(engine: str, release: str, mask: int) -> Computer:
    """A machine with four files; `mask` are the folio orders in use, a bit each."""
    files = [(kind, FILE_PAGES * PAGE) for kind in KINDS]
    return Computer(
        engine, release=release, files=files, memory=96 << 20, anon_always=mask, anon_orders=mask, shmem_orders=mask
    )


@pytest.mark.parametrize("release", ["6.7", "6.12", "7.3"])
@pytest.mark.parametrize("mask", [0, 1 << 4, 1 << 9, 1 << 2 | 1 << 4 | 1 << 9])
@pytest.mark.parametrize("seed", range(3))
def test_bookkeeping_agrees_with_the_page_tables(release: str, mask: int, seed: int) -> None:
    """After every twenty operations, and when all is gone, nothing is counted that is not there."""
    made = computer("linked", release, mask)
    program = Program(made, seed)
    for i in range(240):
        program.step()
        if i % 20 == 19:
            assert audit(made.machine) == [], f"after step {i}"
    for task in list(program.tasks):
        assert made.do(uapi.OP_EXIT, task=task) == 0
    made.do(uapi.OP_SPAWN)
    for file in range(len(KINDS)):
        made.do(uapi.OP_UNLINK, file)
    made.do(uapi.OP_EXIT)
    huge_zero = 512 if made.scalar("huge_zero_page") else 0
    assert audit(made.machine) == []
    assert made.scalar("free_pages") == made.free_at_boot - huge_zero


@pytest.mark.parametrize("release", ["6.12", "7.3"])
def test_both_engines_end_in_the_same_memory(release: str) -> None:
    """The same program leaves the same bytes, and the same counts of events, interpreted and linked."""
    images, counts = [], []
    for engine in ("interpreted", "linked"):
        made = computer(engine, release, 1 << 4)
        program = Program(made, 7)
        for _ in range(60):
            program.step()
        counts.append(made.machine.counts().sum(axis=(0, 1)))
        counts[-1][HOOK_CALL] = 0  # counted only where counts are attributed to hooks
        images.append({name: data for name, data in image(made.machine.memory).items() if name != "counters"})
    assert [name for name in images[0] if images[0][name] != images[1][name]] == []
    assert counts[0].tolist() == counts[1].tolist()


def test_the_audit_finds_what_is_wrong() -> None:
    """A mapcount, a reference, an RSS and a lost frame are each noticed."""
    made = computer("linked", "6.12", 1 << 4)
    made.map(0, 64)
    made.touch(0, 64)
    assert audit(made.machine) == []
    memory = made.machine.memory
    folio = made.pte(0) >> 12 & ((1 << 36) - 1)
    for table, column, row in (("PAGE", "mapcount", folio), ("PAGE", "refcount", folio), ("MM", "rss_anon", made.mm())):
        memory.tables[table][column][row] += 1
        assert len(audit(made.machine)) == 1, column
        memory.tables[table][column][row] -= 1
    memory.set("mach", "free_pages", made.scalar("free_pages") - 1)
    assert len(audit(made.machine)) == 1
