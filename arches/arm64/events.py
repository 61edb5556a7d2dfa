"""What arm64 counts: instructions, and entries of contpte's out-of-line functions."""

from __future__ import annotations

from core_mm.vmstat import ARCH_EVENT

EVENTS = (
    "tlbi_vale1is", "tlbi_vae1is", "tlbi_rvale1is", "tlbi_rvae1is", "tlbi_aside1is", "tlbi_vmalle1is",
    "tlbi_vale1", "tlbi_vae1", "tlbi_rvale1", "tlbi_rvae1", "tlbi_vmalle1",
    "dsb_ish", "dsb_ishst", "dsb_nsh", "dsb_nshst", "isb",
    "contpte_convert", "contpte_try_unfold_partial", "contpte_ptep_get", "contpte_ptep_get_lockless",
    "contpte_set_ptes", "contpte_clear_full_ptes", "contpte_get_and_clear_full_ptes", "contpte_wrprotect_ptes",
    "contpte_clear_young_dirty_ptes", "contpte_ptep_set_access_flags", "contpte_ptep_test_and_clear_young",
    "contpte_test_and_clear_young_ptes", "contpte_ptep_clear_flush_young", "contpte_clear_flush_young_ptes",
    "tlbi_repeat",
)  # fmt: skip
(
    VALE1IS, VAE1IS, RVALE1IS, RVAE1IS, ASIDE1IS, VMALLE1IS, VALE1, VAE1, RVALE1, RVAE1, VMALLE1,
    ISH, ISHST, NSH, NSHST, ISB,
    CONVERT, UNFOLD_PARTIAL, GET, GET_LOCKLESS, SET_PTES, CLEAR_FULL, GET_AND_CLEAR_FULL, WRPROTECT,
    CLEAR_YOUNG_DIRTY, SET_ACCESS_FLAGS, TEST_AND_CLEAR_YOUNG, TEST_AND_CLEAR_YOUNG_PTES, CLEAR_FLUSH_YOUNG,
    CLEAR_FLUSH_YOUNG_PTES, REPEAT,
) = range(ARCH_EVENT, ARCH_EVENT + 31)  # fmt: skip
