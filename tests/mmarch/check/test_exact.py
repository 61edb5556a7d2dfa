"""The checks of what hooks invalidate, call and count by themselves, on hooks that do otherwise."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.call_events import call_events
from mmarch.check.tiers.counting import counts_are_true
from mmarch.check.tiers.exact import exact
from mmarch.check.tiers.nested import nested
from mmarch.check.tiers.tlb_hooks import few
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

CONTPTE, TLBFLUSH, GENERIC = "arches.arm64.contpte", "arches.arm64.tlbflush", "arches.generic.pgtable"
INVALIDATES = {
    "invalidates page": Edit(
        CONTPTE,
        "flush_tlb_range_nosync(mm, start, start + (pages <<",
        "flush_tlb_range_nosync(mm, start, start + (pages + 1 <<",
    ),
    "clear_flush_young_ptes does not": Edit(
        CONTPTE,
        "flush_tlb_range_nosync(mm, start, start + (pages << cfg.page_shift), cfg.page_size, 1, 3)\n    return young",
        "pass\n    return young",
    ),
    "unlike": Edit(CONTPTE, "    if cpu.erratum_2645198 and pte_valid(pte)", "    if 0 and pte_valid(pte)"),
    "has operands": Edit(TLBFLUSH, "(LOG_TLBI, VMALLE1IS, 0, 0, 0)", "(LOG_TLBI, VMALLE1IS, 0, 1, 0)"),
    "has the hint": Edit(TLBFLUSH, "return granule << 2 | level", "return granule << 3 | level"),
    "flush_tlb_all invalidates by tlbi_vmalle1is before": Edit(
        TLBFLUSH, "    dsb(ISHST)\n    count(VMALLE1IS, 1)", "    count(VMALLE1IS, 1)"
    ),
    "of a young leaf does not invalidate": Edit(
        "arches.arm64.pmd", "        hook.flush_pmd_tlb_range(vma, start, start + cfg.pmd_size)\n", "        pass\n"
    ),
    "a gather": Edit("core_mm.mmu_gather", "    GATHER.end[tlb] = 0\n    GATHER.freed", "    GATHER.freed"),
}  # fmt: skip


@pytest.mark.parametrize("words", INVALIDATES)
def test_a_hook_that_invalidates_otherwise(words: str) -> None:
    """More pages than it has changed, fewer, not as its sibling, or by an instruction that cannot be."""
    assert words in told(exact, INVALIDATES[words], "arm64", release="6.12")


TOO_MUCH = {
    "flush_tlb_range": Edit("arches.generic.tlb", "if end - start > MOST", "if end + start > MOST"),
    "a gather": Edit("arches.generic.tlb", "GATHER.end[tlb] - addr > MOST", "GATHER.end[tlb] + addr > MOST"),
}


@pytest.mark.parametrize("words", TOO_MUCH)
def test_a_flush_of_a_few_pages_that_drops_all(words: str) -> None:
    """Although it is correct."""
    assert told(few, TOO_MUCH[words], release="6.12").startswith(f"{words} of 16 pages drops")


NESTED = {
    "ptep_test_and_clear_young": Edit(
        GENERIC,
        "young |= hook.ptep_test_and_clear_young(vma, addr + i * cfg.page_size, ptep + i)",
        "young |= hook.ptep_test_and_clear_young(vma, addr - i * cfg.page_size, ptep + i)",
    ),
    "set_ptes": Edit(
        GENERIC,
        "hook.set_ptes(VMA.vm_mm[vma], addr, ptep, hook.pte_mkold(pte), 1)",
        "hook.set_ptes(1, addr, ptep, hook.pte_mkold(pte), 1)",
    ),
    "ptep_modify_prot_commit": Edit(
        GENERIC, "old_pte = hook.pte_advance_pfn(old_pte, 1)", "old_pte = hook.pte_advance_pfn(old_pte, 2)"
    ),
    "set_pmd_at": Edit(
        "arches.generic.pmd",
        "return hook.set_pmd_at(mm, addr, pmdp, hook.pmd_mkhuge(hook.pte_wrprotect(pte)))",
        "return hook.set_pmd_at(mm, 0, pmdp, hook.pmd_mkhuge(hook.pte_wrprotect(pte)))",
    ),
}


@pytest.mark.parametrize("hook", NESTED)
def test_a_hook_that_passes_on_something_else(hook: str) -> None:
    """Another address than that of the entry, or another address space, though the hook that is called ignores it."""
    assert f"{hook} is called with" in told(nested, NESTED[hook], release="7.3")


COUNTED = {
    "calls of wrprotect": Edit(CONTPTE, "        count(WRPROTECT, 1)\n", "        count(WRPROTECT, 2)\n"),
    "calls of test_and_clear_young": Edit(CONTPTE, "    count(TEST_AND_CLEAR_YOUNG, 1)\n", "    pass\n"),
    "calls of convert": Edit(CONTPTE, "    count(CONVERT, 1)\n", "    count(CONVERT, 2)\n"),
    "calls of try_unfold_partial": Edit(CONTPTE, "    count(UNFOLD_PARTIAL, 1)\n", "    pass\n"),
}


@pytest.mark.parametrize("words", COUNTED)
def test_calls_that_are_counted_otherwise(words: str) -> None:
    """Twice, or not at all."""
    assert words in told(call_events, COUNTED[words], "arm64", release="6.12")


LOGGED = {
    "too many": ("generic", Edit("core_mm.syscalls", "note(LOG_OP, row, op, ops[at + 1], 0)",
                                 "note(LOG_OP, row, op, ops[at + 1], 1)")),
    "dsb_ish": ("arm64", Edit(TLBFLUSH, "write_log(LOG_DSB, domain, 0, 0, 0)", "write_log(LOG_DSB, domain, 0, 0, 1)")),
}  # fmt: skip


@pytest.mark.parametrize("words", LOGGED)
def test_rows_of_the_log_that_say_too_much(words: str) -> None:
    """An operand where a row of its kind has none."""
    arch, edit = LOGGED[words]
    assert words in told(counts_are_true, edit, arch, release="6.12", share=0.04)
