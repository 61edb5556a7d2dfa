"""The checks that what is counted happened and that hooks get their arguments, on a core-mm that does otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from mmarch.check.tiers.counting import arguments_are_named, counts_are_true
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

ARM64: dict[str, Any] = {"arch": "arm64", "release": "6.12", "share": 0.1}
LIES = {
    "folio_add_rmap": Edit(
        "core_mm.rmap",
        '    """Count `nr` PTE mappings from `page` on."""\n    count(RMAP_ADD, 1)\n',
        '    """Count `nr` PTE mappings from `page` on."""\n',
    ),
    "dsb_ish": Edit("arches.arm64.tlbflush", "    count(domain, 1)\n", "    count(domain, 2)\n"),
    "pte_table_alloc": Edit(
        "core_mm.pgtable", "    count(PTE_TABLE_ALLOC, 1)\n", "    count(PTE_TABLE_ALLOC, 2)\n"
    ),
    "folio_alloc": Edit(
        "core_mm.folio",
        "    if folio:\n        count(FOLIO_ALLOC, 1)\n",
        "    count(FOLIO_ALLOC, 1 + order)\n",
    ),
}


@pytest.mark.parametrize("event", LIES)
def test_a_count_that_lies(event: str) -> None:
    """The event, how often it is counted and how often it happened."""
    said = told(counts_are_true, LIES[event], **ARM64)
    assert said.startswith(event) and " is counted " in said, said
    assert "times, and happened" in said


MAPS = "    return update_mmu_cache_range(0, vma, addr, ptep, nr)"
WRONG_ARGUMENTS = {
    "vma": MAPS.replace("vma, addr", "addr, vma"),
    "of a table for address": MAPS.replace("ptep", "ptep + 1"),
    "entries from entry": MAPS.replace("nr)", "nr + 4096)"),
}


@pytest.mark.parametrize("words", WRONG_ARGUMENTS)
def test_a_hook_that_gets_something_else(words: str) -> None:
    """Although the architecture does nothing in it."""
    edit = Edit("core_mm.memory.set_pte", MAPS, WRONG_ARGUMENTS[words])
    said = told(arguments_are_named, edit, **ARM64)
    assert said.startswith("core-mm calls update_mmu_cache_range with "), said
    assert words in said, said


TAKEN = {
    "full 1": Edit("core_mm.unmap", "clear_ptes(mm, address, ptep, nr, 0)", "clear_ptes(mm, address, ptep, nr, 1)"),
    "instead of frame": Edit("core_mm.mprotect", "pte_advance_pfn(old, done), pte, run)", "old, pte, run)"),
}


@pytest.mark.parametrize("words", TAKEN)
def test_an_entry_that_is_taken_out(words: str) -> None:
    """As if the address space went away, or for the entry of another page, which only some architectures look at."""
    said = told(arguments_are_named, TAKEN[words], **{**ARM64, "release": "7.3"})
    assert words in said, said


LEFT_OUT = {
    "ends without update_mmu_cache_range": Edit("core_mm.memory.set_pte", MAPS, "    return 0"),
    "whose entry the fault has not changed": Edit(
        "core_mm.memory.set_pte", MAPS, MAPS.replace("addr, ptep, nr", "addr, ptep, nr + 1")
    ),
    "zapped without arch_check_zapped_pte": Edit(
        "core_mm.memory.zap", "    arch_check_zapped_pte(vma, pte)\n    tlb_", "    tlb_"
    ),
    "arch_check_zapped_pte with entry 0x0": Edit(
        "core_mm.memory.zap",
        "    arch_check_zapped_pte(vma, pte)\n    tlb_",
        "    arch_check_zapped_pte(vma, 0)\n    tlb_",
    ),
    "without folio_mark_accessed": Edit(
        "core_mm.memory.zap",
        "            folio_mark_accessed(folio)\n        add_mm_counter(mm, mm_counter(folio), -nr)",
        "            pass\n        add_mm_counter(mm, mm_counter(folio), -nr)",
    ),
    "a gather flushed with vma_exec 0x1; right is 0x0": Edit(
        "core_mm.mmu_gather", "vma_exec[tlb] = flags & VM_EXEC != 0", "vma_exec[tlb] = flags & VM_EXEC != 1"
    ),
    "entries of level 2 has hint 0": Edit("arches.arm64.tlb", "2 * pmds", "0 * pmds"),
    "asks pte_write of entry": Edit(
        "core_mm.khugepaged",
        "if handle_mm_fault(vma, haddr + (i << cfg.page_shift), ACCESS_READ)",
        "if handle_mm_fault(vma, haddr + (i >> cfg.page_shift), ACCESS_READ)",
    ),
}


@pytest.mark.parametrize("words", LEFT_OUT)
def test_an_architecture_that_is_not_told(words: str) -> None:
    """Of translations that a fault has made, of what was zapped; or that is told of others."""
    said = told(arguments_are_named, LEFT_OUT[words], **ARM64)
    assert words in said, said
