"""The behaviours of arm64 that differ between releases of Linux."""

from __future__ import annotations

from core_mm.feature import Features, behaviour


class arch_feature(Features):
    """arch/arm64 of a release."""

    # contiguous blocks
    contpte_elide_bbml2: int = behaviour(
        "a fold or unfold needs no flush on CPUs with BBM level 2 that never abort on a conflict",
        since="6.17",
        until="7.3",
        source='83bbd6be7d17 "arm64/mm: Elide tlbi in contpte_convert() under BBML2"',
    )
    contpte_elide_bbml3: int = behaviour(
        "a fold or unfold needs no flush on CPUs with BBM level 3",
        since="7.3",
        source="read in 7.3.4 (HAS_BBML3); commit not identified",
    )
    contpte_get_early_exit: int = behaviour(
        "reading a block stops at the entry with which both its accessed and its dirty state are known",
        since="6.17",
        source='093ae7a033cf "arm64/mm: Optimize loop to reduce redundant operations of contpte_ptep_get"',
    )
    contpte_flags_of_each: int = behaviour(
        "a fault that changes nothing is told from every entry of a block; before, from what the block says as a whole",
        since="7.0",
        backported=("6.12", "6.19"),
        source="97c5550b7631 (contpte_all_subptes_match_access_flags); read in 6.12.107, measured on 6.19.14",
    )
    contpte_invalid_unfolded: int = behaviour(
        "entries that are not valid, such as those of PROT_NONE, are never made a block",
        since="7.3",
        source="measured on 7.3.4 (mprotect, order 4, after_none); commit not identified",
    )
    pte_mkcont_keeps_type: int = behaviour(
        "pte_mkcont sets the contiguous bit alone; before, the type too, which makes a PROT_NONE entry valid",
        since="6.16",
        source="measured on 6.16.12 (fork of a PROT_NONE block, random programs); commit not identified",
    )

    # accessed flags, write faults
    pte_mkwrite_keeps_clean: int = behaviour(
        "pte_mkwrite leaves a clean entry read-only for the MMU; before, hardware sees a dirty one in it",
        since="6.18",
        backported=("6.12", "6.17"),
        source='143937ca51cc "arm64, mm: avoid always making PTE dirty in pte_mkwrite()"; not so on 6.16.12',
    )
    table_access_flag: int = behaviour(
        "pointers to tables have the access flag, and aging looks at it on CPUs with FEAT_HAFT",
        since="6.13",
        source='patch series of Yang, "Support Armv8.9/v9.4 FEAT_HAFT"; read in 7.2.13 (PMD_TABLE_AF)',
    )
    clear_young_is_batch: int = behaviour(
        "ptep_test_and_clear_young is test_and_clear_young_ptes of one entry",
        since="7.0",
        source='"arm64: mm: implement the architecture-specific test_and_clear_young_ptes()"; '
        "measured on 7.0.13 (madv_cold, clear_refs_1)",
    )
    clear_flush_young_is_batch: int = behaviour(
        "ptep_clear_flush_young is clear_flush_young_ptes of one entry",
        since="7.0",
        source='"arm64: mm: implement the architecture-specific clear_flush_young_ptes()"',
    )
    local_fault_flush: int = behaviour(
        "a write fault that permits more flushes this CPU alone; others repair theirs when they fault",
        since="6.19",
        source='cb1fa2e99955 "arm64, tlbflush: don\'t TLBI broadcast if page reused in write fault"',
    )
    needless_flush_elided: int = behaviour(
        "mprotect does not flush what was not valid, or changed in software bits alone",
        since="6.19",
        source="c320dbb7c80d (pte_needs_flush)",
    )

    # barriers and TLB maintenance
    kernel_pte_barriers_batched: int = behaviour(
        "barriers of kernel entries are issued once a batch, and once a section in lazy MMU mode",
        since="6.16",
        source="patch series of Roberts on vmalloc with contiguous PTEs; commit not identified",
    )
    page_flush_level: int = behaviour(
        "the flush of one page hints at the level of its entry",
        since="7.1",
        source="measured on 7.2.13 (vale1is operands of neoverse-n2); commit not identified",
    )
    flush_limit_by_operations: int = behaviour(
        "without range operations, the operations of a flush decide when the ASID goes instead, not its pages",
        since="7.1",
        source="measured on 7.2.13; commit not identified",
    )
    flush_mm_waits_once: int = behaviour(
        "a range flush that becomes one of the ASID does not wait a second time",
        since="7.1",
        source="measured on 7.2.13 (sweep_dontneed, order 0, 512); commit not identified",
    )
