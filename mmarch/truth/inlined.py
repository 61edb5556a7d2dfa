"""Barriers that a recording does not list, because the compiler put them elsewhere.

The measurements attribute a DSB to the function whose code contains it and keep those of TLB and PTE
functions. In Debian's builds some flushes are inlined into functions of another name; which ones was
found by comparing TLBI lists, where the flush shows, with DSB counts, where it does not:

* 6.12, MADV_COLD, MADV_FREE and MADV_PAGEOUT: the wait that closes `tlb_flush` (in tlb_end_vma, inlined
  into the walk of mm/madvise.c)
* 6.16 to 7.0, mprotect: all of `tlb_flush` (in tlb_end_vma, inlined into the walk of mm/mprotect.c), but before 7.0
  not what flush_tlb_mm does
* up to 7.0, mremap: the wait that closes `flush_tlb_range` (in move_page_tables)
* truncation of a folio that cannot be split: of `flush_tlb_range` (in try_to_unmap_one) the closing wait, since 7.1
  all of it
* every release, mremap of a huge page: all of `flush_pmd_tlb_range` (in move_huge_pmd); where mremap splits a
  huge page, that flush is pmdp_invalidate's or pmdp_huge_clear_flush's, and is listed
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from core_mm import uapi
from core_mm.releases import linux
from core_mm.vmstat import LOG_DSB, LOG_TLBI

Row = Sequence[int]  # kind, a, b, c, asid, hook

_TRUNCATING = (uapi.OP_FTRUNCATE, uapi.OP_FALLOCATE)
_WALKED = (uapi.MADV_COLD, uapi.MADV_FREE, uapi.MADV_PAGEOUT)


@dataclass(frozen=True)
class Inlined:
    """A hook whose barriers are not listed during an operation: all those of an address range, or the closing wait.

    mm_listed  of a flush of the whole address space the closing wait alone is not listed
    """

    hook: str
    closing_only: bool
    start: int = 0
    end: int = 1 << 64
    mm_listed: bool = False


def inlined(release: str, operations: Iterable[Row], pmd_size: int) -> list[Inlined]:
    """What is not listed in a step that runs `operations` on a kernel of `release`."""
    found = []
    for row in operations:
        op, advice = row[0], row[4]
        if op == uapi.OP_MREMAP:
            found.append(
                Inlined("flush_pmd_tlb_range", False, *moved_whole(row[2], row[3], row[6], pmd_size))
            )
        if linux(release) < (7, 1) and op == uapi.OP_MREMAP:
            found.append(Inlined("flush_tlb_range", closing_only=True))
        if (6, 16) <= linux(release) < (7, 1) and op == uapi.OP_MPROTECT:
            found.append(Inlined("tlb_flush", closing_only=False, mm_listed=linux(release) < (7, 0)))
        if release == "6.12" and op == uapi.OP_MADVISE and advice in _WALKED:
            found.append(Inlined("tlb_flush", closing_only=True))
        if op in _TRUNCATING or (op == uapi.OP_MADVISE and advice == uapi.MADV_REMOVE):
            found.append(Inlined("flush_tlb_range", closing_only=linux(release) < (7, 1)))
    return found


def moved_whole(old: int, length: int, new: int, pmd_size: int) -> tuple[int, int]:
    """The addresses [start, end) whose huge pages a move takes along as they are (mm/mremap.c:move_page_tables)."""
    if (old ^ new) & (pmd_size - 1):
        return 0, 0
    return -(-old // pmd_size) * pmd_size, (old + length) // pmd_size * pmd_size


def listed(
    rows: Sequence[Row], rules: Sequence[Inlined], hooks: Sequence[str], waits: Sequence[int]
) -> list[Row]:
    """The DSB rows of a log that a recording lists; `hooks` by number, `waits` the DSBs that close a flush."""
    kept: list[Row] = []
    for hook, calls in groupby(rows, key=lambda row: row[5]):
        group = list(calls)
        barriers = [row for row in group if is_dsb(row)]
        rule = next((r for r in rules if hook and hooks[hook] == r.hook), None)
        if rule is None:
            kept += barriers
        elif rule.closing_only:
            kept += [row for flush in flushes(group, waits) for row in without_closing(flush, waits)]
        else:
            kept += [row for flush in flushes(group, waits) for row in _besides(flush, rule, waits)]
    return kept


def _besides(flush: Sequence[Row], rule: Inlined, waits: Sequence[int]) -> list[Row]:
    """The barriers of a flush that are listed although the rule has those of its addresses not be."""
    if not within(flush, rule):
        return [row for row in flush if is_dsb(row)]
    return without_closing(flush, waits) if rule.mm_listed and _of_mm(flush) else []


def _of_mm(flush: Sequence[Row]) -> bool:
    """Whether a whole address space is flushed: its TLBI has no operand (an erratum's has ASID -1)."""
    return any(row[0] == LOG_TLBI and row[3] == 0 and row[4] >= 0 for row in flush)


def is_dsb(row: Row) -> bool:
    """Whether a log row is a barrier."""
    return row[0] == LOG_DSB


def within(flush: Sequence[Row], rule: Inlined) -> bool:
    """Whether the addresses of a flush lie in the rule's range (an erratum's TLBI has ASID -1)."""
    return all(rule.start <= row[2] < rule.end for row in flush if row[0] == LOG_TLBI and row[4] >= 0)


def flushes(group: Sequence[Row], waits: Sequence[int]) -> list[list[Row]]:
    """The single flushes in a row of them: each begins with the barrier that publishes entries."""
    found: list[list[Row]] = [[]]
    for row in group:
        if row[0] == LOG_DSB and row[1] not in waits and found[-1]:
            found.append([])
        found[-1].append(row)
    return found


def without_closing(group: Sequence[Row], waits: Sequence[int]) -> list[Row]:
    """Drop the wait at the end: one DSB, or two around an erratum's TLBI (logged with ASID -1)."""
    end = len(group)
    while end and (group[end - 1][0] != LOG_DSB or group[end - 1][1] not in waits):
        end -= 1
    if not end:
        return [row for row in group if is_dsb(row)]
    end -= 1
    if end >= 2 and group[end - 1][4] == -1 and group[end - 2][1] in waits:
        end -= 2
    return [row for row in group[:end] if is_dsb(row)]
