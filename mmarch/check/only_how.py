"""Which features promise to change how something is done, and nothing of what core-mm can observe; and which do not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MERGED = {
    aspect: "modify_prot_start_ptes gives accessed and dirty of a batch as a whole, and all its entries are set to that"
    for aspect in ("young_set", "dirty_set")
}  # mm/mprotect.c:prot_commit_flush_ptes of 7.2
LISTS = "folios that wait in this CPU's batches are on no list: reclaim and aging do not find them"
ORDERS = "other folios: how many pages they have"
READAHEAD = "other pages are read ahead"

# Feature -> aspects (mmarch.check.observation) that may differ all the same -> why.
ONLY_HOW: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "tlb_reserve_space": {}, "zap_batch": {}, "gather_pairs": {},
        "pt_reclaim_end": {}, "vma_pfn_sticky": {}, "madvise_one_gather": {}, "fork_cont_batch": {}, "fork_batch": {},
        "batch_hint": {}, "mprotect_batch": MERGED, "mremap_batch": {}, "collapse_batch": {},
        "collapse_plain_clear": {}, "madv_cold_pmd_young": {}, "lazy_mmu_nesting": {}, "tlbbatch_ranges": {},
        "file_unmap_batch": {}, "map_pte_lockless": {}, "young_batch": {},
        # of arm64
        "contpte_elide_bbml2": {}, "contpte_elide_bbml3": {}, "contpte_get_early_exit": {}, "contpte_flags_of_each": {},
        "contpte_invalid_unfolded": {}, "clear_young_is_batch": {}, "clear_flush_young_is_batch": {},
        "local_fault_flush": {}, "needless_flush_elided": {}, "kernel_pte_barriers_batched": {}, "page_flush_level": {},
        "flush_limit_by_operations": {}, "flush_mm_waits_once": {},
    }
)  # fmt: skip

# A contiguous block says of all its pages what is so of one (arch/arm64/mm/contpte.c:contpte_ptep_get), and whether
# there still is one after a call depends on whether it came in a batch.
OF_BLOCKS = ("young_set", "young_cleared", "dirty_set", "dirty_cleared")

# Without these an architecture changes entries that it folds, so that both kernels get them.
MENDED = ("pte_mkcont_keeps_type", "pte_mkwrite_keeps_clean")

# Feature -> what it changes that core-mm can observe.
CHANGES: Mapping[str, str] = MappingProxyType(
    {
        "tlb_get_guaranteed_space": "pages leak where the gather fills in the middle of a block",
        "pt_reclaim": "how many frames are free, which decides where memory is short",
        "unmap_keeps_lru_batches": LISTS, "fault_keeps_lru_batches": LISTS, "aging_on_lists": LISTS,
        "deactivate_keeps_lazyfree": LISTS,
        "mremap_many_vmas": "calls that failed succeed",
        "merge_faulted_vmas": "which VMAs there are",
        "large_folio_owners": "whether a write copies", "reuse_large_anon": "whether a write copies",
        "huge_zero_wp": ORDERS, "huge_zero_special": "the special flag of an entry",
        "zap_pmd_accessed": "the accessed flag of a folio", "zap_pmd_dirty": "the dirty flag of a folio",
        "split_to_zeropage": "which pages are mapped", "split_in_order": "which page gets which slot",
        "collapse_readonly": "calls that failed succeed",
        "madvise_free_batch": ORDERS,
        # mm/rmap.c:try_to_unmap_one: page by page, those before it are gone then; a batch is all put back
        "lazyfree_unmap_batch": "which pages stay of a folio that was given up when one of them was written to again",
        "swapin_cached": "what is in the swap cache", "swap_header_cluster": "which slots lie side by side",
        "shmem_large_swap": ORDERS, "tmpfs_write_orders": ORDERS, "tmpfs_write_smaller_orders": ORDERS,
        "tmpfs_smaller_orders": ORDERS, "ext4_large_folios": ORDERS,
        "exec_readahead": READAHEAD, "readahead_order_kept": READAHEAD, "readahead_natural_end": READAHEAD,
        "readahead_end_unmarked": READAHEAD, "retry_keeps_misses": READAHEAD, "fault_hits_once": READAHEAD,
        "exec_misses_uncounted": READAHEAD,
        "fault_around_folio": "which pages are mapped", "finish_fault_tmpfs": "which pages are mapped",
        "finish_fault_folio": "which pages are mapped", "map_within_eof": "which pages are mapped",
        "truncate_unmaps_unsplit": "which pages are mapped", "split_nonuniform": ORDERS,
        "fault_pte_dirty": "the dirty flag of an entry",
        # of arm64
        "pte_mkcont_keeps_type": "before it, a PROT_NONE entry becomes valid",
        "pte_mkwrite_keeps_clean": "before it, a clean entry becomes dirty",
        "table_access_flag": "aging passes over tables whose flag is clear",
    }
)  # fmt: skip
