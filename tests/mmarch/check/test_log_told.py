"""The log of random operations tells what memory has, and the check what it tells otherwise."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.counting import counts_are_true
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

PLACE = "vma | VMA.vm_mm[vma] << 24 | VMA.vm_file[vma] << 44"
WRONG = {
    "mapping": Edit("core_mm.vma_tree", PLACE, "vma | VMA.vm_mm[vma] << 24"),
    "a fault of mm 2": Edit(
        "core_mm.fork", "note(LOG_TASK, task - 1, mm, 0, 0)", "note(LOG_TASK, task, mm, 0, 0)"
    ),
    "folio": Edit("core_mm.page_cache", "folio_order(folio), inode)", "folio_order(folio), 0)"),
    "a fault of mm 0": Edit(
        "core_mm.memory.access", "LOG_FAULT, addr, access, mm, 0", "LOG_FAULT, addr, access, 0, mm"
    ),
    "operation 4 logs event 1 of 0 pages": Edit("core_mm.content", "event | nr << EVENT_BITS", "event"),
    "frame": Edit("core_mm.content", "(mach.op + 1) << PLACE_BITS", "(mach.op + 2) << PLACE_BITS"),
    "operation": Edit("core_mm.syscalls", "LOG_OP, row, op, ops", "LOG_OP, op, row, ops"),
}


@pytest.mark.parametrize(("says", "edit"), WRONG.items(), ids=WRONG)
def test_what_is_logged_wrong(says: str, edit: Edit) -> None:
    """A column of the log that is missing or another one: what is told wrong is named."""
    message = told(counts_are_true, edit, share=0.04)
    assert message.startswith(says)
    assert " log" in message
