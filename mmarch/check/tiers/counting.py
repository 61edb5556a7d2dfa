"""Tier stateful: what is counted is what happened, by the log and by calls; hooks get what they are declared for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import chain
from types import FrameType
from typing import Any

import numpy as np

from core_mm.content import EVENT_BITS, FROM_SWAP, TO_SWAP
from core_mm.uapi import (
    ACCESS_WRITE,
    COLUMNS,
    MADV_COLD,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_PAGEOUT,
    MADV_POPULATE_READ,
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
from core_mm.vmstat import (
    ARCH_EVENT,
    CONT_INSTALL,
    FOLD,
    LOG_CONTENT,
    LOG_CONVERT,
    LOG_DSB,
    LOG_FAULT,
    LOG_ISB,
    LOG_OP,
    LOG_TABLE,
    LOG_TLBI,
    NAMES,
    UNFOLD,
)
from mmarch.check import content_told, conversions, log_told, nobody
from mmarch.check.arguments import Arguments
from mmarch.check.context import Context
from mmarch.check.fresh import Fresh
from mmarch.check.outcome import CheckFailed, Skipped
from mmarch.check.profiling import profiled
from mmarch.check.registry import check
from mmarch.check.system import run_rows, show
from mmarch.check.tiers.tallies import cornered, most, tallies
from mmarch.engine.machine import Machine
from mmarch.sanitize import soak
from mmarch.sanitize.answers import MS_SYNC
from mmarch.sanitize.rare_rows import Rare

OPERATIONS, FEWEST, ASIDE = 600, 150, 50
RW, PRIVATE = 3, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS
INSTRUCTIONS = ("tlbi_", "dsb_", "isb")
# events -> functions of which every call counts for one of them, as docs/reference/events.md has it; ":0" are calls
# that return 0, ":1" those that return something else, "<" says by whom
CALLS: Mapping[str, tuple[str, ...]] = {
    "pte_read": ("READ_ONCE",), "pmd_read": ("PMD_READ_ONCE",), "pte_xchg": ("xchg",),
    "pte_cmpxchg": ("store<cmpxchg",),
    "pte_write": ("store<WRITE_ONCE", "store<xchg", "store<cmpxchg"),
    "pmd_write": ("store<PMD_WRITE_ONCE", "store<PMD_xchg"),
    "folio_add_rmap": (
        "folio_add_new_anon_rmap", "folio_add_anon_rmap_ptes", "folio_add_file_rmap_ptes",
        "folio_dup_file_rmap_ptes", "folio_try_dup_anon_rmap_ptes", "folio_add_file_rmap_pmd",
    ),
    **{
        name: (name,) for name in (
            "folio_remove_rmap_ptes", "folio_mark_dirty", "folio_mark_accessed", "do_anonymous_page", "do_wp_page",
            "tlb_next_batch", "tlb_gather_mmu", "tlb_finish_mmu", "tlb_remove_table",
        )
    },
    "__tlb_remove_folio_pages": ("tlb_remove_folio_pages",),
    "folio_alloc": ("folio_alloc:1",), "folio_free": ("__folio_put",), "folio_split": ("split_pages",),
    "fault_file fault_shmem": ("do_fault",), "fault_swap": ("do_swap_page",),
    "fault_pmd": ("do_set_pmd:0", "map_anon_folio_pmd"), "fault_stack": ("expand_stack:1",),
    "readahead": ("page_cache_ra_order",), "collapse": ("copy_succeeded",),
    "fault_anon": ("folio_add_new_anon_rmap<map_anon_folio",),
    "fault_zero": ("set_ptes<map_zero_page", "set_pmd_at<set_huge_zero_folio"),
    "fault_cow": ("copy_user_page<wp_page_copy", "copy_user_page<do_cow_fault"),
    "fault_reuse": ("ptep_set_access_flags<wp_page_reuse", "pmdp_set_access_flags<do_huge_pmd_wp_page"),
    "fault_access": ("ptep_set_access_flags<handle_present_pte:1", "touch_pmd<handle_huge_pmd_fault"),
    "spurious_fault": ("ptep_set_access_flags<handle_present_pte:0",),
    "fault_around": ("do_fault_around:1",),
    "ptep_clear_flush": (
        "ptep_clear_flush<install_copy", "ptep_clear_flush<unhook_pte", "ptep_clear_flush<mkclean_pte",
    ),
    "split_pmd": (
        "pmdp_invalidate<split_huge_pmd", "pmdp_invalidate<split_huge_pmd_freeze", "drop_file_pmd",
        "split_huge_zero_page_pmd",
    ),
    "gather_slots": ("put_slot",), "gather_page": ("batch_alloc_page<tlb_next_batch:1",),
    "gather_flush": ("tlb_flush<tlb_flush_mmu_tlbonly",),
    "gather_flush_full gather_flush_dirty": ("tlb_flush_rmaps<zap_pte_range",),
    "gather_flush_vma": (
        "tlb_flush<tlb_flush_mmu_tlbonly<tlb_end_vma", "tlb_flush<tlb_flush_mmu_tlbonly<tlb_free_vmas",
    ),
    "gather_flush_finish": ("tlb_flush<tlb_flush_mmu_tlbonly<tlb_flush_mmu<tlb_finish_mmu",),
    "gather_flush_tables": ("tlb_table_flush<tlb_remove_table",),
    # arm64's, of which results leave out what an architecture does not have
    **{
        name: (name,) for name in (
            "contpte_convert", "contpte_try_unfold_partial", "contpte_ptep_get", "contpte_ptep_get_lockless",
        )
    },
    "contpte_set_ptes": ("mm_is_user<set_ptes",),
    "contpte_get_and_clear_full_ptes": ("contpte_try_unfold_partial<clear_ptes",),
    "contpte_clear_full_ptes": ("contpte_try_unfold_partial<clear_full_ptes",),
    "contpte_wrprotect_ptes": ("contpte_try_unfold_partial<wrprotect_ptes",),
    "contpte_clear_young_dirty_ptes": ("widen<clear_young_dirty_ptes",),
    "contpte_ptep_set_access_flags": ("contpte_align_down<ptep_set_access_flags",),
    "contpte_ptep_test_and_clear_young": ("clear_young<ptep_test_and_clear_young",),
    "contpte_test_and_clear_young_ptes": ("widen<test_and_clear_young_ptes",),
    "contpte_ptep_clear_flush_young": ("clear_young<ptep_clear_flush_young",),
    "contpte_clear_flush_young_ptes": ("widen<clear_flush_young_ptes",),
}  # fmt: skip
TABLE_GONE = -1  # level of a row of LOG_TABLE


@check("stateful.counts", source="docs/reference/events.md", turns=True)
def counts_are_true(context: Context) -> str:
    """Of random operations, each event is counted as often as log, entries, calls say; the log tells what is there."""
    if context.arch.tlb_model is None:
        raise Skipped("the descriptor has no tlb_model")
    seen = 0
    for made in chain(rounds(context), tallies(context)):
        machine = soak.machine(made, "interpreted")
        machine.memory.set("cfg", "content", 1)
        for event, number in happened(machine, len(made.rows)).items():
            if (counted := sum(map(machine.total, event.split()))) != number:
                raise CheckFailed(
                    f"{event} is counted {counted} times, and happened {number} times{context.where}",
                    [show(row) for row in made.rows],
                )
            seen += number
        conversion = conversions.compared(machine, context.arch.tlb_model.cont_mask)
        for wrong in chain(conversion, log_told.differences(machine), content_told.differences(machine)):
            raise CheckFailed(f"{wrong}{context.where}", [show(row) for row in made.rows])
    return f"{seen:,} events"


@check("stateful.arguments", source="core_mm/hookspecs.py: parameters", turns=True)
def arguments_are_named(context: Context) -> str:
    """Random operations call hooks with what parameters are named after, and tell of faults and zaps what they owe."""
    return watched(context, lambda machine: Arguments(machine).watched(), with_corners)


@check("stateful.nobody", source="core_mm/mm_types.py: row 0 is nobody's", turns=True)
def nobody_is_asked(context: Context) -> str:
    """Random operations use no row 0 of a table, which stands for a null pointer, and no entry of table 0."""
    return watched(context, nobody.guarded, far)


@check("stateful.fresh", source="mm/page_alloc.c:post_alloc_hook; kernel/fork.c; mm/rmap.c", turns=True)
def fresh_is_empty(context: Context) -> str:
    """Whatever random operations allocate has nothing left of its last life."""
    return watched(context, lambda machine: Fresh(machine).watched())


def far(context: Context) -> Iterator[soak.Round]:
    """Usual and seldom operations, and what can be done to a mapping of which hardly anything has page tables."""
    yield from rounds(context)
    if context.aside:
        return
    made = next(rounds(context))
    geometry = made.config.arch.granules[made.config.granule]
    span = 1 << geometry.page_shift + 2 * geometry.pte_bits  # of a table of PMDs
    page, at, size = 1 << geometry.page_shift, 2 * span, 4 * span
    middle, file, there = at + span, at + 5 * span, at + size
    rows = [
        (OP_SPAWN, 1), (OP_MMAP, 1, at, size, RW, PRIVATE, -1, 0), (OP_TOUCH, 1, at, 1, ACCESS_WRITE),
        (OP_TOUCH, 1, there - page, 1, ACCESS_WRITE), (OP_MMAP, 1, file, 8 * page, RW, MAP_FIXED | MAP_SHARED, 0, 0),
        (OP_TOUCH, 1, file, 4, ACCESS_WRITE), (OP_FORK, 1, 2),
        # what only one of two has tables for is written back, split, reclaimed and populated
        (OP_MSYNC, 1, file, 8 * page, MS_SYNC), (OP_TOUCH, 1, middle, 32, ACCESS_WRITE),
        (OP_MADVISE, 1, middle, page, MADV_FREE), (OP_MADVISE, 1, middle, 32 * page, MADV_PAGEOUT),
        (OP_MADVISE, 2, middle, page, MADV_POPULATE_READ), (OP_MADVISE, 1, at, size, MADV_PAGEOUT),
        (OP_MPROTECT, 1, at, size, 1), (OP_MPROTECT, 1, at, size, RW), (OP_CLEAR_REFS, 1, 1), (OP_LRU_GEN_AGE, 1, 1),
        (OP_SWAPOFF,), (OP_MADVISE, 1, at, size, MADV_COLD), (OP_MADVISE, 1, at, size, MADV_FREE),
        (OP_MREMAP, 1, at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, file + span),
        (OP_MADVISE, 1, file + span, size, MADV_DONTNEED), (OP_MUNMAP, 1, file + span, size), (OP_EXIT, 2),
    ]  # fmt: skip
    yield replace(made, rows=tuple((*row, *[0] * (COLUMNS - len(row))) for row in rows))


def with_corners(context: Context) -> Iterator[soak.Round]:
    """Usual and seldom operations, and short programs that ask for what these hardly ever come upon."""
    yield from rounds(context)
    yield from () if context.aside else cornered(context)


def watched(
    context: Context,
    watch: Callable[[Machine], AbstractContextManager[None]],
    programs: Callable[[Context], Iterator[soak.Round]] | None = None,
) -> str:
    """Random operations on machines that somebody watches, who raises CheckFailed from within what is wrong."""
    done = 0
    for made in (programs or rounds)(context):
        machine = soak.machine(made, "interpreted")
        with watch(machine):
            done += run_rows(machine, made.rows, context.where)
    return f"{done:,} operations"


def rounds(context: Context) -> Iterator[soak.Round]:
    """Usual operations, and ones that programs seldom make, these on a CPU that has much."""
    config = replace(context.config(), granule=context.granule or context.arch.default_granule)
    wanted = ASIDE if context.aside else max(FEWEST, round(OPERATIONS * context.share))
    yield from soak.rounds(config, wanted, context.seed)
    yield from soak.rounds(replace(config, cpu=config.cpu or most(context)), wanted, context.seed, Rare)


def happened(machine: Machine, rows: int) -> dict[str, int]:
    """Event -> how often, of the operations that this runs."""
    with calls() as called:
        failed = machine.call("run_operations", 0, rows)
    if failed != (wrong := int((machine.memory.arrays["results"][:rows] < 0).sum())):
        raise CheckFailed(f"run_operations says that {failed} operations failed, and {wrong} did")
    known = {*NAMES, *machine.config.arch.events}
    found = {
        event: sum(called[name] for name in names)
        for event, names in CALLS.items()
        if known.issuperset(event.split())
    }
    return found | logged(machine)


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """Counts calls of Python functions by name, as CALLS names them, while it is open."""
    wanted: dict[str, list[tuple[str, list[str], str]]] = {}  # function -> name in CALLS, callers, result
    for name in {name for names in CALLS.values() for name in names}:
        chain, _, result = name.partition(":")
        function, *callers = chain.split("<")
        wanted.setdefault(function, []).append((name, callers, result))
    found = Counter[str]()

    def called(frame: FrameType, event: str, result: Any) -> None:
        for name, callers, returned in wanted.get(frame.f_code.co_name, ()):
            done = event == "return" and returned == str(int(bool(result))) if returned else event == "call"
            if done and is_called_by(frame, callers):
                found[name] += 1

    with profiled(called):
        yield found


def is_called_by(frame: FrameType | None, callers: Sequence[str]) -> bool:
    """Whether these functions are on the way to it, the nearest first."""
    for caller in callers:
        frame = frame.f_back if frame else None
        if frame is None or frame.f_code.co_name != caller:
            return False
    return True


def logged(machine: Machine) -> dict[str, int]:
    """Event -> how often, by the rows of the log."""
    log, length = machine.memory.tables["LOG"], machine.memory.get("mach", "log_len")
    kind, a, b, c = (log[name][:length] for name in ("kind", "a", "b", "c"))
    instructions = np.isin(kind, (LOG_TLBI, LOG_DSB, LOG_ISB))
    found = {
        name: int((a[instructions] == ARCH_EVENT + number).sum())
        for number, name in enumerate(machine.config.arch.events) if name.startswith(INSTRUCTIONS)
    }  # fmt: skip
    for number, name in ((FOLD, "fold"), (UNFOLD, "unfold"), (CONT_INSTALL, "cont_install")):
        found[name] = int(c[(kind == LOG_CONVERT) & (a == number)].sum())
    tables, content = kind == LOG_TABLE, a[kind == LOG_CONTENT] & (1 << EVENT_BITS) - 1
    return found | {
        "op": int((kind == LOG_OP).sum()),
        "fault": int((kind == LOG_FAULT).sum()),
        "pte_table_alloc": int((b[tables] != TABLE_GONE).sum()),
        "pte_table_free": int((b[tables] == TABLE_GONE).sum()),
        "swap_out": int((content == TO_SWAP).sum()),
        "swap_in": int((content == FROM_SWAP).sum()),
    }
