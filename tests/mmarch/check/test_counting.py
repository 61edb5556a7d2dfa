"""The check that what is counted happened, on counts that lie."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmarch.check.outcome import CheckFailed
from mmarch.check.tiers.counting import counts_are_true
from tests.mmarch.sanitize.test_invariants import context, in_fork
from tests.mutants.mutant import Edit, applied

LIES = {
    "folio_add_rmap": Edit(
        "core_mm.rmap",
        '    """Count `nr` PTE mappings from `page` on."""\n    count(RMAP_ADD, 1)\n',
        '    """Count `nr` PTE mappings from `page` on."""\n',
    ),
    "dsb_ish": Edit("arches.arm64.tlbflush", "    count(domain, 1)\n", "    count(domain, 2)\n"),
    "pte_table_alloc": Edit(
        "core_mm.pgtable", "    count(PTE_TABLE_ALLOC, 1)\n", "    count(1, PTE_TABLE_ALLOC)\n"
    ),
    "folio_alloc": Edit(
        "core_mm.folio", "    if folio:\n        count(FOLIO_ALLOC, 1)\n", "    count(FOLIO_ALLOC, 1 + order)\n"
    ),
}


def told(edit: Edit) -> str:
    """What the check says."""
    with applied((edit,)):
        try:
            return counts_are_true(replace(context(), share=0.1))
        except CheckFailed as failed:
            return str(failed)


@pytest.mark.parametrize("event", LIES)
def test_a_count_that_lies(event: str) -> None:
    """The event, how often it is counted and how often it happened."""
    said = in_fork(told, LIES[event])
    assert said.startswith(f"{event} is counted"), said
    assert "times, and happened" in said
