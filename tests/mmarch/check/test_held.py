"""The check that a machine's TLB holds translations and drops them when it is told to, on TLBs that do otherwise."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.smoke import tlb
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

WRONG = {
    "after no flush": Edit("arches.arm64.tlb_cache", "held & ~FLAGS ==", "held | ~FLAGS =="),
    "after flush_tlb_page": Edit(
        "arches.arm64.tlb_cache",
        "    end = addr + (pages << cfg.page_shift)\n",
        "    end = addr - (pages << cfg.page_shift)\n",
    ),
    "after flush_tlb_mm": Edit(
        "arches.arm64.tlb_cache", "drop_matching(asid, 0, 1 << 56, 0)", "drop_matching(asid, 0, 1 << 56, WRITE)"
    ),
    "after flush_tlb_page the": Edit("arches.arm64.tlb_cache", "addr += 1 << ENTRY_SHIFT", "addr += 2 << ENTRY_SHIFT"),
    "after flush_tlb_all": Edit("arches.arm64.tlbflush", "        tlb_drop_all()\n", "        pass\n"),
    "a write is let through": Edit("arches.arm64.tlb_cache", "    if writable:\n", "    if True:\n"),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_tlb_that_does_otherwise(words: str) -> None:
    """It holds nothing, keeps what a flush drops, or lets writes through that the entry forbids."""
    said = told(tlb, WRONG[words], "arm64", release="6.12", granule="64k", cpu="neoverse-n2")
    assert said.startswith(words), said
