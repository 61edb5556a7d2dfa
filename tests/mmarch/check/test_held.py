"""The check that a machine's TLB holds translations and drops them when it is told to, on TLBs that do otherwise."""

from __future__ import annotations

import pytest

from mmarch.check.outcome import CheckFailed
from mmarch.check.tiers.smoke import tlb
from tests.mmarch.sanitize.test_invariants import context, in_fork
from tests.mutants.mutant import Edit, applied

WRONG = {
    "after no flush": Edit("arches.arm64.tlb_cache", "held & ~FLAGS ==", "held | ~FLAGS =="),
    "after flush_tlb_page": Edit(
        "arches.arm64.tlb_cache",
        "    end = addr + (pages << cfg.page_shift)\n",
        "    end = addr - (pages << cfg.page_shift)\n",
    ),
    "after flush_tlb_all": Edit("arches.arm64.tlbflush", "        tlb_drop_all()\n", "        pass\n"),
    "a write is let through": Edit("arches.arm64.tlb_cache", "    if writable:\n", "    if True:\n"),
}


def told(edit: Edit) -> str:
    """What the check says."""
    with applied((edit,)):
        try:
            return str(tlb(context()))
        except CheckFailed as failed:
            return str(failed)


@pytest.mark.parametrize("words", WRONG)
def test_a_tlb_that_does_otherwise(words: str) -> None:
    """It holds nothing, keeps what a flush drops, or lets writes through that the entry forbids."""
    said = in_fork(told, WRONG[words])
    assert said.startswith(words), said
