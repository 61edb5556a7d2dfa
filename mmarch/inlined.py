"""Barriers that a recording does not list, because the compiler put them elsewhere.

The measurements attribute a DSB to the function whose code contains it and keep those of TLB and PTE
functions. In Debian's builds some flushes are inlined into functions of another name; which ones was
found by comparing TLBI lists, where the flush shows, with DSB counts, where it does not:

* 6.12, MADV_COLD, MADV_FREE and MADV_PAGEOUT: the wait that closes `tlb_flush` (in tlb_end_vma, inlined
  into the walk of mm/madvise.c)
* 6.12, mremap: the wait that closes `flush_tlb_range` (in move_page_tables)
* every release, mremap of a huge page: all of `flush_pmd_tlb_range` (in move_huge_pmd)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from core_mm import uapi
from core_mm.vmstat import LOG_DSB

Row = Sequence[int]  # kind, a, b, c, asid, hook

_WALKED = (uapi.MADV_COLD, uapi.MADV_FREE, uapi.MADV_PAGEOUT)


@dataclass(frozen=True)
class Inlined:
    """A hook whose barriers are not listed during an operation: all of them, or the closing wait."""

    hook: str
    closing_only: bool


def inlined(release: str, operations: Iterable[Row]) -> list[Inlined]:
    """What is not listed in a step that runs `operations` on a kernel of `release`."""
    found = []
    for row in operations:
        op, advice = row[0], row[4]
        if op == uapi.OP_MREMAP:
            found.append(Inlined("flush_pmd_tlb_range", closing_only=False))
        if release == "6.12" and op == uapi.OP_MREMAP:
            found.append(Inlined("flush_tlb_range", closing_only=True))
        if release == "6.12" and op == uapi.OP_MADVISE and advice in _WALKED:
            found.append(Inlined("tlb_flush", closing_only=True))
    return found


def listed(rows: Sequence[Row], rules: Sequence[Inlined], hooks: Sequence[str], waits: Sequence[int]) -> list[Row]:
    """The DSB rows of a log that a recording lists; `hooks` by number, `waits` the DSBs that close a flush."""
    kept: list[Row] = []
    for hook, calls in groupby(rows, key=lambda row: row[5]):
        group = list(calls)
        barriers = [row for row in group if row[0] == LOG_DSB]
        rule = next((r for r in rules if hook and hooks[hook] == r.hook), None)
        if rule is None:
            kept += barriers
        elif rule.closing_only:
            kept += [row for flush in flushes(group, waits) for row in without_closing(flush, waits)]
    return kept


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
        return [row for row in group if row[0] == LOG_DSB]
    end -= 1
    if end >= 2 and group[end - 1][4] == -1 and group[end - 2][1] in waits:
        end -= 2
    return [row for row in group[:end] if row[0] == LOG_DSB]
