"""The checks of counts, of the log and of a booted machine, on a core-mm that counts, tells or boots otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from mmarch.check.tiers.counting import counts_are_true
from mmarch.check.tiers.pfnmap import pfnmap
from mmarch.check.tiers.tallies import watching_counts_nothing
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

ARM64: dict[str, Any] = {"arch": "arm64", "release": "7.3", "share": 0.04}
SELDOM = {
    "fault_access": Edit(
        "core_mm.memory.fault", "        count(FAULT_ACCESS, 1)\n", "        count(FAULT_ACCESS, 2)\n"
    ),
    "swap_out": Edit("core_mm.shmem", "    count(SWAP_OUT, 1)\n", "    count(1, SWAP_OUT)\n"),
    "gather_flush_tables": Edit(
        "core_mm.mmu_gather",
        "        count(GATHER_FLUSH_TABLES, 1)\n",
        "        count(GATHER_FLUSH_TABLES, 2)\n",
    ),
    "contpte_wrprotect_ptes": Edit(
        "arches.arm64.contpte", "        count(WRPROTECT, 1)\n", "        count(WRPROTECT, 2)\n"
    ),
}


@pytest.mark.parametrize("event", SELDOM)
def test_a_seldom_count_that_lies(event: str) -> None:
    """What few programs come upon is counted right, too, in a quick run."""
    said = told(counts_are_true, SELDOM[event], **ARM64)
    assert " is counted " in said, said


WRONG = {
    "operations failed": Edit("core_mm.syscalls", "    failed = 0\n", "    failed = 1\n"),
    "a table is logged in frame": Edit(
        "core_mm.pgtable", "note(LOG_TABLE, slot, -1, page, 0)", "note(LOG_TABLE, page, -1, slot, 0)"
    ),
    "is logged with level and mm": Edit(
        "core_mm.pgtable", "note(LOG_TABLE, slot, level, mm, 0)", "note(LOG_TABLE, slot, level, mm + 1, 0)"
    ),
}


@pytest.mark.parametrize("words", WRONG)
def test_results_and_rows_of_the_log(words: str) -> None:
    """How many operations failed, which table went and which one is whose."""
    assert words.split()[0] in told(counts_are_true, WRONG[words], **ARM64)


def test_what_only_a_machine_without_a_log_counts() -> None:
    """A loop that comes down to an addition adds what the instructions would."""
    edit = Edit(
        "arches.arm64.tlbflush", "        count(op, 2 if cpu.kpti else 1)\n", "        count(op, 1)\n"
    )
    said = told(watching_counts_nothing, edit, **ARM64)
    assert said.startswith("tlbi_v"), said
    assert "times with a log" in said


def test_a_flush_of_bare_frames_that_counts_twice() -> None:
    """No program has such a mapping: the check that makes one looks."""
    call = "def tlb_free_vmas(tlb: int) -> int:\n"
    edit = Edit("core_mm.mmu_gather", call, call + "    count(GATHER_FLUSH_VMA, 1)\n")
    assert "gather_flush_vma is counted 2 times" in told(pfnmap, edit, **ARM64)


BOOTS = {
    "next_table": ("mach.next_table = max(mach.next_table, 1)", "mach.next_table = max(mach.next_table, 2)"),
    "nobody": ("mach.next_gather = max(mach.next_gather, 1)", "mach.next_gather = max(mach.next_gather, 0)"),
    "next_mm": ("mach.next_mm = 2", "mach.next_mm = 3"),
    "init_mm": ("MM.mm_users[1] = 1", "MM.mm_users[1] = 2"),
}


@pytest.mark.parametrize("what", BOOTS)
def test_a_boot_that_leaves_rows_out(what: str) -> None:
    """Rows 0 are nobody's, and the next ones are the first that somebody gets."""
    said = told(watching_counts_nothing, Edit("core_mm.syscalls", *BOOTS[what]), **ARM64)
    assert said.startswith("boot returns 0, and leaves "), said
