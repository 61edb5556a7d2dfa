"""Tier tlb: every system call on huge pages, whole and in part, alone and shared, under every oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from core_mm import uapi
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    COLUMNS,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    OP_CLEAR_REFS,
    OP_EXIT,
    OP_FORK,
    OP_LRU_GEN_AGE,
    OP_MADVISE,
    OP_MMAP,
    OP_MPROTECT,
    OP_MREMAP,
    OP_MSYNC,
    OP_MUNMAP,
    OP_SPAWN,
    OP_SWAPOFF,
    OP_TOUCH,
)
from mmarch.check.context import Context
from mmarch.check.outcome import Skipped
from mmarch.check.registry import check
from mmarch.check.tiers.scenarios import passes
from mmarch.sanitize import soak
from mmarch.sanitize.random_rows import Row

R, RW = 1, 3
KINDS = {"private": MAP_PRIVATE | MAP_ANONYMOUS, "shared": MAP_SHARED | MAP_ANONYMOUS}
BEFORE = ("written", "read", "read, then written", "written and forked")
RANGES = ("whole", "half", "page")
CALLS = (
    "mprotect", "mprotect twice", "munmap", "mremap", "mremap askew", "age", "clear_refs", "msync", "swapoff",
    "dontneed", "free", "cold", "pageout", "collapse", "remove", "exit",
)  # fmt: skip
ADVICE = {
    "dontneed": uapi.MADV_DONTNEED, "free": uapi.MADV_FREE, "cold": uapi.MADV_COLD, "pageout": uapi.MADV_PAGEOUT,
    "collapse": uapi.MADV_COLLAPSE, "remove": uapi.MADV_REMOVE,
}  # fmt: skip
FEWEST = 4
Program = tuple[str, str, str, str]  # kind, what was done before, call, range


@check(
    "tlb.huge", hooks=("pmd_mkhuge", "flush_pmd_tlb_range"), source="mm/huge_memory.c", long=True, turns=True
)
def huge_pages(context: Context) -> str:
    """What system calls do to huge pages leaves nothing stale, the books in order and every page as written."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    programs = list(product(KINDS, BEFORE, CALLS, RANGES))
    chosen = context.rng("huge").sample(programs, max(FEWEST, round(len(programs) * context.share)))
    for program in chosen:
        passes(prepared(context, program), ", ".join(program), context.where)
    return f"{len(chosen)} programs"


def prepared(context: Context, program: Program) -> soak.Round:
    """Memory for sixteen huge pages, which is what every folio is if it can be."""
    granule = context.granule or context.arch.default_granule
    geometry = context.arch.granules[granule]
    orders, page = 1 << geometry.pte_bits, 1 << geometry.page_shift
    config = replace(
        context.config(), granule=granule, anon_orders=orders, shmem_orders=orders,
        memory=16 * page << geometry.pte_bits, overrides={"log_ptes": 1, "anon_always": orders},
    )  # fmt: skip
    rows = [(*row, *[0] * (COLUMNS - len(row))) for row in written(program, page, 1 << geometry.pte_bits)]
    return soak.Round(0, config, tuple(rows), 0)


def written(program: Program, page: int, entries: int) -> Iterator[Row]:
    """The program, on two huge pages; some pages of each are accessed."""
    kind, before, call, part = program
    size, at = 2 * entries * page, 64 * entries * page
    yield OP_SPAWN, 1
    yield OP_MMAP, 1, at, size, RW, KINDS[kind] | MAP_FIXED, -1, 0
    if before != "written" and before != "written and forked":
        yield from accesses(1, at, page, entries, ACCESS_READ)
    if before != "read":
        yield from accesses(1, at, page, entries, ACCESS_WRITE)
    if before == "written and forked":
        yield OP_FORK, 1, 2
    pages = {"whole": entries, "half": entries // 2, "page": 1}[part]
    yield from called(call, at, pages * page, page, entries)
    live = [1] if before != "written and forked" else [2] if call == "exit" else [1, 2]
    if call == "exit" and live == [1]:
        return
    for task in live:
        yield from accesses(task, at, page, entries, ACCESS_READ)
        yield from accesses(task, at, page, entries, ACCESS_WRITE)
    yield OP_MUNMAP, live[-1], at + page, size - 2 * page
    yield OP_EXIT, live[-1]


def called(call: str, at: int, size: int, page: int, entries: int) -> Iterator[Row]:
    """One call on the first pages of the first huge page, and what puts accesses right again."""
    to, fixed = at + 16 * entries * page, MREMAP_MAYMOVE | MREMAP_FIXED
    if call in ADVICE:
        yield OP_MADVISE, 1, at, max(size, entries * page if call == "collapse" else 0), ADVICE[call]
    elif call == "munmap":
        yield OP_MUNMAP, 1, at, size
    elif call.startswith("mprotect"):
        yield OP_MPROTECT, 1, at, size, R
        if call == "mprotect twice":
            yield OP_MPROTECT, 1, at, size, RW
    elif call.startswith("mremap"):
        there = to + (page if call == "mremap askew" else 0)
        yield OP_MREMAP, 1, at, size, size, fixed, there
        yield OP_TOUCH, 1, there, 1, ACCESS_READ
    elif call == "clear_refs":
        yield OP_CLEAR_REFS, 1, 1
    elif call == "msync":
        yield OP_MSYNC, 1, at, size, 4
    else:
        yield {"age": OP_LRU_GEN_AGE, "swapoff": OP_SWAPOFF, "exit": OP_EXIT}[call], 1


def accesses(task: int, at: int, page: int, entries: int, access: int) -> Iterator[Row]:
    """The first, middle and last pages of both; where nothing is mapped, a signal."""
    for number in (0, entries // 2 - 1, entries - 1, 2 * entries - 2):
        yield OP_TOUCH, task, at + number * page, 2, access
