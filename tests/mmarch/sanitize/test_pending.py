"""mm->tlb_flush_batched says whether reclaim has left a flush of the address space to others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core_mm import uapi
from mmarch.sanitize import soak
from mmarch.sanitize.soak import Soaked
from tests.mmarch.sanitize.meanings import EXIT, FORK, PAGES, SPAWN, Mistake, madvise, mmap, read, write
from tests.mmarch.sanitize.test_contents import is_caught
from tests.mmarch.sanitize.test_invariants import a_round, context
from tests.mutants.mutant import Edit

OUT, GONE = madvise(uapi.MADV_PAGEOUT), madvise(uapi.MADV_DONTNEED)
MISTAKES = (
    Mistake(
        "reclaim tells nobody that it has left a flush", Edit(
            "core_mm.tlb_batched", "    MM.tlb_flush_batched[mm] = 1\n", ""),
        (SPAWN, mmap(), write(), OUT), ("mm 2: tlb_flush_batched is 0, and reclaim has left a flush",), "pending"),
    Mistake(
        "zap completes the flush and forgets to say so", Edit(
            "core_mm.memory.zap", "        MM.tlb_flush_batched[mm] = 0\n", ""),
        (SPAWN, mmap(), write(), OUT, GONE), ("mm 2: tlb_flush_batched is 1, and no flush of it is left",), "pending"),
    Mistake(
        "zap says that it has completed the flush", Edit(
            "core_mm.memory.zap", "        arch_flush_tlb_batched_pending(mm)\n", ""),
        (SPAWN, mmap(), write(), OUT, GONE), ("mm 2: tlb_flush_batched is 0, and reclaim has left",), "pending"),
)  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_flag_that_lies(mistake: Mistake) -> None:
    """After the operation that leaves it so; without the mistake there is nothing to say."""
    is_caught(mistake)


def test_who_has_the_flag() -> None:
    """A child gets its parent's copy of it; one that never ran has no ASID, and is not judged."""
    swapped = (
        SPAWN,
        mmap(),
        write(),
        OUT,
        FORK,
        read(task=2),
        (uapi.OP_MPROTECT, 2, 0x40000000, PAGES << 12, 1),
    )
    for rows in ((*swapped, EXIT, read(), OUT, FORK, GONE), (*swapped[:5], read(), OUT, EXIT, GONE)):
        assert soak.run_round(a_round(list(rows), context("7.3")), Soaked(), "interpreted", 1) is None


def test_what_an_erratum_repeats_is_of_nobody() -> None:
    """A TLBI that names no ASID completes no flush of the address space whose ASID has all bits set."""
    other = [(op, 2, *rest) for op, _, *rest in (SPAWN, mmap(), write(), OUT)]
    made = a_round([SPAWN, mmap(), write(), OUT, *other, GONE], context("7.3"))
    assert soak.run_round(replace(made, first_asid=0xFFFD), Soaked(), "interpreted", 1) is None
