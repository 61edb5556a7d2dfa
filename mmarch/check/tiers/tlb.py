"""Tier tlb: whole system calls under the TLB oracle, one script for each way to need a flush."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from core_mm import uapi
from core_mm.uapi import (
    ACCESS_READ,
    ACCESS_WRITE,
    FILE_REGULAR,
    FILE_SHMEM,
    MADV_COLD,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_PAGEOUT,
    MADV_POPULATE_READ,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    MAP_SHARED,
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
    OP_TOUCH,
)
from mmarch.check.context import Context
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.registry import Level, check
from mmarch.check.system import System, outcome, system
from mmarch.sanitize.random_rows import block_pages

AT, ELSEWHERE = 0x10000000, 0x50000000
RW, RO, NONE = 3, 1, 0
ANON = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
Script = Callable[[System, int], None]  # (machine, pages)


def script(
    id: str,
    hooks: tuple[str, ...],
    source: str,
    kinds: tuple[int, ...] = (),
    level: Level = "must",
) -> Callable[[Script], Script]:
    """Register a script that has to run without a violation, at several sizes, over files of twice the size."""

    def register(body: Script) -> Script:
        def run(context: Context) -> None:
            if context.arch.tlb_model is None:
                raise Skipped("the descriptor has no tlb_model")
            for variant in context.variants():
                for pages in sizes(variant):
                    size = 2 * pages << variant.geometry.page_shift
                    machine = system(variant, files=[(kind, size) for kind in kinds])
                    body(machine, pages)
                    machine.judge(variant.where)

        run.__doc__ = body.__doc__
        check(id, hooks=hooks, source=source, level=level)(run)
        return body

    return register


def sizes(context: Context) -> Iterator[int]:
    """Pages: one, a block and its neighbours, a table and more."""
    block = block_pages(context.geometry)
    entries = 1 << context.geometry.pte_bits
    yield 3 * block + 1
    if context.share > 0.01:
        yield 1
        yield block
    if context.share == 1.0:
        yield entries + block + 3


def mapped(s: System, pages: int, access: int = ACCESS_WRITE, at: int = AT, task: int = 1) -> None:
    """An anonymous mapping, every page touched."""
    ok(s, OP_MMAP, task, at, pages * s.page, RW, ANON, -1, 0)
    ok(s, OP_TOUCH, task, at, pages, access)


def ok(s: System, *row: int) -> None:
    """An operation that has to succeed."""
    result = s.do(*row)
    if result < 0:
        raise CheckFailed(f"{s.steps()[-1]} returned {outcome(result)}", s.steps())


@script("tlb.munmap", ("tlb_flush", "clear_full_ptes"), "mm/mmap.c:unmap_region")
def munmap(s: System, pages: int) -> None:
    """After munmap nothing of it is cached; no frame or table is reused too early."""
    mapped(s, pages)
    third = max(1, pages // 3)
    ok(s, OP_MUNMAP, 1, AT + third * s.page, s.page)
    ok(s, OP_MUNMAP, 1, AT, third * s.page)
    ok(s, OP_MUNMAP, 1, AT, pages * s.page)
    mapped(s, pages)


@script(
    "tlb.tables", ("tlb_flush",), "mm/memory.c:free_pgd_range; include/asm-generic/tlb.h:tlb_get_unmap_size"
)
def tables(s: System, pages: int) -> None:
    """A page table that is freed with nothing left in it is in no walk cache afterwards, and its memory is free."""
    span = s.machine.memory.get("cfg", "pmd_size")
    for at in (AT, AT + span):  # aligned to any table of theirs: the second one keeps the upper tables
        mapped(s, 1, at=at)
    ok(s, OP_MADVISE, 1, AT, s.page, MADV_DONTNEED)
    ok(s, OP_MUNMAP, 1, AT, s.page)
    mapped(s, min(pages, span // s.page))
    ok(s, OP_MUNMAP, 1, AT, 2 * span)


@script("tlb.mprotect", ("modify_prot_start_ptes", "pte_needs_flush"), "mm/mprotect.c:change_protection")
def mprotect(s: System, pages: int) -> None:
    """After mprotect no translation permits what the mapping forbids."""
    mapped(s, pages)
    for prot in (RO, RW, NONE, RW, RO):
        ok(s, OP_MPROTECT, 1, AT, pages * s.page, prot)
        if prot:
            ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE if prot == RW else ACCESS_READ)
    ok(s, OP_MPROTECT, 1, AT + (pages // 2) * s.page, s.page, NONE)


@script("tlb.fork", ("wrprotect_ptes", "flush_tlb_mm"), "kernel/fork.c:dup_mmap")
def fork(s: System, pages: int) -> None:
    """After fork neither side can write to what they share."""
    mapped(s, pages)
    ok(s, OP_FORK, 1, 2)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)
    ok(s, OP_TOUCH, 2, AT, pages, ACCESS_READ)
    ok(s, OP_TOUCH, 2, AT, max(1, pages // 2), ACCESS_WRITE)
    ok(s, OP_FORK, 2, 3)
    ok(s, OP_TOUCH, 3, AT, pages, ACCESS_WRITE)
    ok(s, OP_EXIT, 2)
    ok(s, OP_TOUCH, 3, AT, pages, ACCESS_WRITE)


@script("tlb.cow", ("ptep_clear_flush", "ptep_set_access_flags"), "mm/memory.c:wp_page_copy")
def cow(s: System, pages: int) -> None:
    """A page that is copied on write is read from its copy."""
    mapped(s, pages, ACCESS_READ)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)
    ok(s, OP_FORK, 1, 2)
    for page in range(0, pages, 3):
        ok(s, OP_TOUCH, 2, AT + page * s.page, 1, ACCESS_READ)
        ok(s, OP_TOUCH, 2, AT + page * s.page, 1, ACCESS_WRITE)
    ok(s, OP_EXIT, 2)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)


@script("tlb.mremap", ("ptep_get_and_clear", "flush_tlb_range"), "mm/mremap.c:move_page_tables")
def mremap(s: System, pages: int) -> None:
    """After mremap nothing is cached at the old address."""
    mapped(s, pages)
    size = pages * s.page
    ok(s, OP_MREMAP, 1, AT, size, size, 3, ELSEWHERE)
    ok(s, OP_TOUCH, 1, ELSEWHERE, pages, ACCESS_WRITE)
    ok(s, OP_MREMAP, 1, ELSEWHERE, size, size, 3, AT + 3 * s.page)
    ok(s, OP_TOUCH, 1, AT + 3 * s.page, pages, ACCESS_WRITE)


@script("tlb.madvise", ("clear_young_dirty_ptes", "tlb_flush"), "mm/madvise.c:madvise_free_pte_range")
def madvise(s: System, pages: int) -> None:
    """DONTNEED, FREE and COLD leave no translation that hides a write or a freed page."""
    mapped(s, pages)
    size = pages * s.page
    for advice in (MADV_FREE, MADV_COLD, MADV_DONTNEED):
        inner = size - 2 * s.page
        if inner > 0:
            ok(s, OP_MADVISE, 1, AT + s.page, inner, advice)
        ok(s, OP_MADVISE, 1, AT, size, advice)
        ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)


@script("tlb.exit", ("tlb_flush",), "mm/mmap.c:exit_mmap; arch/arm64/mm/context.c")
def exit_and_reuse(s: System, pages: int) -> None:
    """When an mm ends, and when its ASID is used again, nothing of it is cached that matters."""
    mapped(s, pages)  # these two have the first ASIDs
    ok(s, OP_SPAWN, 10)
    mapped(s, pages, task=10)
    ok(s, OP_EXIT, 10)
    s.set("next_asid", (1 << 16) - 4)
    for child in range(2, 9):
        ok(s, OP_SPAWN, child)
        mapped(s, pages, task=child)
        if child % 2:
            ok(s, OP_EXIT, child)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)
    for child in range(2, 9, 2):
        ok(s, OP_TOUCH, child, AT, pages, ACCESS_WRITE)
        ok(s, OP_EXIT, child)


@script(
    "tlb.file",
    ("clear_ptes", "tlb_delay_rmap"),
    "mm/memory.c:zap_present_folio_ptes",
    kinds=(FILE_REGULAR,),
)
def shared_file(s: System, pages: int) -> None:
    """Dirty file pages are unmapped, written back and truncated without a stale writable translation."""
    ok(s, OP_MMAP, 1, AT, pages * s.page, RW, MAP_SHARED | MAP_FIXED, 0, 0)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)
    ok(s, OP_FORK, 1, 2)
    ok(s, OP_TOUCH, 2, AT, pages, ACCESS_WRITE)
    ok(s, OP_MSYNC, 1, AT, pages * s.page, 4)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)
    ok(s, OP_MADVISE, 1, AT, pages * s.page, MADV_DONTNEED)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_READ)
    ok(s, uapi.OP_FTRUNCATE, 1, 0, s.page)
    ok(s, OP_EXIT, 2)
    ok(s, OP_MUNMAP, 1, AT, pages * s.page)


@script("tlb.reclaim", ("arch_tlbbatch_add_pending", "arch_tlbbatch_flush"), "mm/rmap.c:try_to_unmap_one")
def reclaim(s: System, pages: int) -> None:
    """Reclaim may put its flushes off, but no frame is freed and no mprotect returns before they are done."""
    mapped(s, pages)
    ok(s, OP_MADVISE, 1, AT, pages * s.page, MADV_PAGEOUT)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_READ)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)
    ok(s, OP_FORK, 1, 2)
    ok(s, OP_MADVISE, 2, AT, pages * s.page, MADV_PAGEOUT)
    ok(s, OP_MPROTECT, 1, AT, pages * s.page, RO)
    ok(s, OP_MUNMAP, 1, AT, pages * s.page)


@script(
    "tlb.aging",
    ("ptep_clear_flush_young", "test_and_clear_young_ptes"),
    "mm/vmscan.c:lru_gen_age_node; fs/proc/task_mmu.c:clear_refs_write",
)
def aging(s: System, pages: int) -> None:
    """Aging leaves at most translations that hide an access."""
    mapped(s, pages)
    ok(s, OP_MADVISE, 1, AT, s.page, MADV_POPULATE_READ)  # no page waits for its place on a list
    ok(s, OP_CLEAR_REFS, 1, 1)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_READ)
    ok(s, OP_LRU_GEN_AGE, 1)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)


@script("tlb.shmem", ("clear_ptes",), "mm/shmem.c", kinds=(FILE_SHMEM,))
def shmem(s: System, pages: int) -> None:
    """Shared memory unmapped by one process stays mapped in the other, and no frame goes too early."""
    ok(s, OP_MMAP, 1, AT, pages * s.page, RW, MAP_SHARED | MAP_FIXED, 0, 0)
    ok(s, OP_FORK, 1, 2)
    ok(s, OP_TOUCH, 1, AT, pages, ACCESS_WRITE)
    ok(s, OP_TOUCH, 2, AT, pages, ACCESS_READ)
    ok(s, OP_MUNMAP, 1, AT, pages * s.page)
    ok(s, OP_TOUCH, 2, AT, pages, ACCESS_WRITE)
    ok(s, OP_EXIT, 2)
