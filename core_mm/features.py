"""The behaviours of core-mm that differ between releases, each with a name."""

from __future__ import annotations

from core_mm.feature import Features, behaviour

SERIES = 'patch series of December 2023, "Transparent Contiguous PTEs for User Mappings"'


class feature(Features):
    """Core-mm of a release. Order: what it is about, then when it came."""

    # unmapping
    tlb_get_guaranteed_space: int = behaviour(
        "zap clears contiguous PTEs into gather slots of which it asked how many there are",
        since="contpte-v3",
        until="contpte-v4",
        excludes=("tlb_reserve_space", "zap_batch", "gather_pairs"),
        source=f"{SERIES}, v3",
    )
    tlb_reserve_space: int = behaviour(
        "zap clears contiguous PTEs into gather slots that it reserved, as many as it needs",
        since="contpte-v4",
        excludes=("tlb_get_guaranteed_space", "zap_batch", "gather_pairs"),
        source=f"{SERIES}, v4",
    )
    zap_batch: int = behaviour(
        "zap clears all PTEs of a large folio that follow one another at once",
        since="6.9",
        requires=("gather_pairs",),
        source='10ebac4f95e7 "mm/memory: optimize unmap/zap with PTE-mapped THP"',
    )
    gather_pairs: int = behaviour(
        "a slot pair of the gather holds a page and how many follow it",
        since="6.9",
        source='d7f861b9c43a "mm/mmu_gather: add __tlb_remove_folio_pages()"',
    )
    pt_reclaim: int = behaviour(
        "MADV_DONTNEED frees page tables that it empties",
        since="7.0",
        source='6375e95f381e "mm: pgtable: reclaim empty PTE page in madvise(MADV_DONTNEED)"; on arm64 in 7.0.13, '
        "not on 6.19.14",
    )
    pt_reclaim_end: int = behaviour(
        "the table that MADV_DONTNEED frees is flushed at the address behind it; before and after, at its first",
        since="7.0",
        until="7.1",
        requires=("pt_reclaim",),
        source="measured on 7.0.13 (tmpfs, shared_dontneed); commit not identified",
    )
    unmap_keeps_lru_batches: int = behaviour(
        "unmapping does not drain this CPU's batches of folios on their way to the LRU lists",
        since="6.14",
        source='"mm: remove unnecessary calls to lru_add_drain"',
    )
    vma_pfn_sticky: int = behaviour(
        "one flush serves neighbouring VMAs of raw frames; it comes before their page tables are freed",
        since="6.16",
        source='"mmu_gather: move tlb flush for VM_PFNMAP/VM_MIXEDMAP vmas into free_pgtables()"',
    )
    madvise_one_gather: int = behaviour(
        "MADV_DONTNEED and MADV_FREE of several VMAs flush once",
        since="6.16",
        source='"mm/madvise: batch tlb flushes for MADV_DONTNEED[_LOCKED]"',
    )

    # fork, mprotect, mremap
    fork_cont_batch: int = behaviour(
        "fork copies the PTEs of a contiguous block at once",
        since="contpte-v3",
        excludes=("fork_batch",),
        source=f"{SERIES}, v3",
    )
    fork_batch: int = behaviour(
        "fork copies all PTEs of a large folio that follow one another at once",
        since="6.9",
        source='f8d937761d65 "mm/memory: optimize fork() with PTE-mapped THP"',
    )
    batch_hint: int = behaviour(
        "searches for batches ask the architecture how many PTEs surely belong together",
        since="6.9",
        also=("contpte-v4",),
        source='c6ec76a2ebc5 "mm: add pte_batch_hint() to reduce scanning in folio_pte_batch()"',
    )
    mprotect_batch: int = behaviour(
        "mprotect changes the PTEs of a large folio in batches",
        since="6.17",
        source='cac1db8c3aad "mm: optimize mprotect() by PTE batching"',
    )
    mremap_batch: int = behaviour(
        "mremap moves the PTEs of a large folio in batches",
        since="6.17",
        requires=("batch_hint",),
        source='f822a9a81a31 "mm: optimize mremap() by PTE batching"',
    )
    mremap_many_vmas: int = behaviour(
        "mremap to a fixed address moves a range of several VMAs",
        since="6.17",
        source='d23cb648e365 "mm/mremap: permit mremap() move of multiple VMAs"',
    )
    merge_faulted_vmas: int = behaviour(
        "a VMA with pages merges with one that has none yet, whichever side it is on",
        since="6.16",
        source='879bca0a2c4f "mm/vma: fix incorrectly disallowed anonymous VMA merges"',
    )

    # write faults
    large_folio_owners: int = behaviour(
        "a large folio knows whether more than one mm maps it; before, that is guessed from its first page",
        since="6.15",
        source='6af8cb80d3a9 "mm/rmap: basic MM owner tracking for large folios (!hugetlb)"',
    )
    reuse_large_anon: int = behaviour(
        "a write fault on a large folio that one mm has makes it writable instead of copying a page",
        since="6.15",
        requires=("large_folio_owners",),
        source='1da190f4d0a6 "mm: Copy-on-Write (COW) reuse support for PTE-mapped THP"',
    )

    fault_keeps_lru_batches: int = behaviour(
        "a write to a page from swap, or to a new one that others map, no longer empties this CPU's batches of folios",
        since="7.3",
        source="mm/memory.c:do_swap_page, wp_can_reuse_anon_folio of 7.2.13 and 7.3.4; measured on 7.3.4 (aging_swap)",
    )

    # huge pages
    huge_zero_wp: int = behaviour(
        "a write to the huge zero page gets a huge page; before, it is split and one page copied",
        since="6.13",
        source='"mm: allocate THP on hugezeropage wp-fault"',
    )
    huge_zero_special: int = behaviour(
        "an entry that maps the huge zero page is special",
        since="6.18",
        source='d82d09e48219 "mm/huge_memory: mark PMD mappings of the huge zero folio special"',
    )
    zap_pmd_accessed: int = behaviour(
        "unmapping a huge page of a file marks it accessed if its entry was",
        since="6.16",
        source='"mm: huge_memory: add folio_mark_accessed() when zapping file THP"; read in 7.2.13',
    )
    zap_pmd_dirty: int = behaviour(
        "unmapping a huge page of a file marks it dirty if its entry was; before, what was written may be lost",
        since="7.3",
        backported=("7.2",),
        source='ff53afcd82de "mm/huge_memory: transfer the pmd dirty bit to the folio on zap"; read in 7.2.13',
    )
    split_to_zeropage: int = behaviour(
        "a split maps the zero page in place of pages that hold nothing but zeros",
        since="6.12",
        source='b1f202060afe "mm: remap unused subpages to shared zeropage when splitting isolated thp"',
    )
    split_in_order: int = behaviour(
        "reclaim takes the pages of a folio that it split from the last to the second, after the first",
        since="6.15",
        source='"mm/huge_memory: add two new (not yet used) functions for folio_split()"',
    )
    collapse_readonly: int = behaviour(
        "MADV_COLLAPSE takes ranges without a writable PTE",
        since="6.18",
        source='"mm: enable khugepaged anonymous collapse on non-writable regions"',
    )
    collapse_batch: int = behaviour(
        "collapse clears the old PTEs of a large folio in batches",
        since="6.17",
        source='"khugepaged: optimize __collapse_huge_page_copy_succeeded() by PTE batching"',
    )
    collapse_plain_clear: int = behaviour(
        "collapse reads and clears a PTE that it is done with; before, it exchanges it",
        since="6.16",
        source="measured on 6.16.12 (collapse of folded blocks); commit not identified",
    )
    madv_cold_pmd_young: int = behaviour(
        "MADV_COLD of a huge page clears its accessed flag in place; before, the entry is made invalid first",
        since="7.3",
        source="measured on 7.3.4 (madv_cold, order 9); commit not identified",
    )

    # sections of changes
    lazy_mmu_nesting: int = behaviour(
        "lazy MMU sections nest, and can be paused: the architecture sees the outermost alone",
        since="7.0",
        source="patch series of Brodsky on nesting of lazy MMU mode; commit not identified",
    )

    # reclaim and aging
    tlbbatch_ranges: int = behaviour(
        "a deferred flush may be of a range of pages",
        since="6.16",
        source='2f4ab3ac10e1 "mm: support tlbbatch flush for a range of PTEs"',
    )
    lazyfree_unmap_batch: int = behaviour(
        "reclaim unmaps a large folio that MADV_FREE gave up in batches",
        since="6.16",
        requires=("tlbbatch_ranges",),
        source='354dffd29575 "mm: support batched unmap for lazyfree large folios during reclamation"',
    )
    file_unmap_batch: int = behaviour(
        "reclaim unmaps a large folio of a file in batches",
        since="7.0",
        requires=("lazyfree_unmap_batch",),
        source='a67fe41e214f "mm: rmap: support batched unmapping for file large folios"',
    )
    map_pte_lockless: int = behaviour(
        "reverse mapping first looks at a small folio's PTE without its lock, as at one that may change",
        since="7.2",
        source="measured on 7.2.13 (pageout, ptep_get_lockless); commit not identified",
    )
    young_batch: int = behaviour(
        "aging clears the accessed flags of a large folio in batches",
        since="7.1",
        source='"mm: add a batched helper to clear the young flag for large folios"',
    )
    aging_on_lists: int = behaviour(
        "aging passes over folios that are on no list yet",
        since="6.16",
        source="mm/vmscan.c:get_pfn_folio; measured: not on 6.12.107, on 6.16.12 (mglru); commit not identified",
    )
    madvise_free_batch: int = behaviour(
        "MADV_FREE takes a large folio that it covers whole; before, it splits every large folio",
        since="6.10",
        source='dce7d10be4bb "mm/madvise: optimize lazyfreeing with mTHP in madvise_free"',
    )
    deactivate_keeps_lazyfree: int = behaviour(
        "MADV_COLD leaves alone what MADV_FREE gave up: it is in the oldest generation already",
        since="6.14",
        source='"mm/mglru: optimize deactivation"',
    )
    swapin_cached: int = behaviour(
        "every page that is read from swap is in the swap cache until it is mapped",
        since="7.0",
        source='f1879e8a0c60 "mm, swap: never bypass the swap cache even for SWP_SYNCHRONOUS_IO"',
    )
    swap_header_cluster: int = behaviour(
        "single pages begin to be swapped behind the header of the swap area; before, in a free cluster",
        since="6.18",
        source="measured on 6.18.15, not so on 6.17.13 (slots of the first pages); commit not identified",
    )
    shmem_large_swap: int = behaviour(
        "shared memory comes back from swap by the folio that was swapped; before, page by page",
        since="6.14",
        source="measured on 7.2.13 (shmem, pageout); commit not identified",
    )
    tmpfs_write_orders: int = behaviour(
        "a write to a tmpfs of huge=always makes folios of its size; before and after, huge pages",
        since="6.14",
        until="6.18",
        source='acd7ccb284b8 "mm: shmem: add large folio support for tmpfs"; gone on 6.18.15',
    )
    tmpfs_write_smaller_orders: int = behaviour(
        "a write to a tmpfs of huge=always makes the largest folio that fits between those that are there",
        since="6.18",
        source="measured on 6.18.15 (write beside a page that is there); commit not identified",
    )
    tmpfs_smaller_orders: int = behaviour(
        "a tmpfs mounted with huge=always tries every order below a PMD's; before, single pages",
        since="6.19",
        source="measured on 6.19.14, not so on 6.18.15 (random programs); commit not identified",
    )

    # files
    ext4_large_folios: int = behaviour(
        "ext4 has large folios in the page cache",
        since="6.16",
        source='7ac67301e82f "ext4: enable large folio for regular file"',
    )
    exec_readahead: int = behaviour(
        "a fault on text reads folios of the order that the architecture wishes",
        since="6.17",
        source='"mm/filemap: allow arch to request folio size for exec memory"',
    )
    readahead_order_kept: int = behaviour(
        "readahead begins with single pages, each window after it two orders above; before, above the folio it found",
        since="6.17",
        source='"mm/readahead: store folio order in struct file_ra_state"',
    )
    readahead_natural_end: int = behaviour(
        "an asynchronous readahead ends where a folio of its order may end",
        since="6.17",
        source='"mm/readahead: terminate async readahead on natural boundary"',
    )
    readahead_end_unmarked: int = behaviour(
        "a readahead that reaches the end of the file marks no page",
        since="7.2",
        source="measured on 6.12.107, read in 7.2.13 (mm/readahead.c:do_page_cache_ra); commit not identified",
    )
    retry_keeps_misses: int = behaviour(
        "a fault that begins again after it read from disk does not count as a hit for readahead",
        since="7.2",
        source="measured on 7.2.13 (ext4); commit not identified",
    )
    fault_hits_once: int = behaviour(
        "faultaround counts as one hit for readahead, if it maps what was asked for; before, each page that it maps",
        since="7.2",
        source="read in 7.2.13 (mm/filemap.c:filemap_map_pages); commit not identified",
    )
    exec_misses_uncounted: int = behaviour(
        "faults on text, and on what is read in order, count as neither hits nor misses for readahead",
        since="7.2",
        source="read in 7.2.13 (mm/filemap.c:do_sync_mmap_readahead); commit not identified",
    )
    fault_around_folio: int = behaviour(
        "faultaround maps a large folio whole, beyond the window",
        since="6.18",
        source='357b92761d94 "mm/filemap: map entire large folio faultaround"',
    )
    finish_fault_tmpfs: int = behaviour(
        "a fault on a large folio of tmpfs maps it whole; before, of shared anonymous memory alone",
        since="6.17",
        source='43e027e41423 "mm: fault in complete folios instead of individual pages for tmpfs"',
    )
    finish_fault_folio: int = behaviour(
        "a fault on a large folio of any file maps it whole; before, of shared memory alone",
        since="6.18",
        source='19773df031bc "mm/fault: try to map the entire file folio in finish_fault()"',
    )
    map_within_eof: int = behaviour(
        "a fault maps no page of a large folio that lies behind the end of the file",
        since="6.18",
        source='74207de2ba10 "mm/memory: do not populate page table entries beyond i_size"',
    )
    truncate_unmaps_unsplit: int = behaviour(
        "truncation unmaps a folio that it cannot split, as one that is dirty on disk",
        since="6.18",
        source='fa04f5b60fda "mm/truncate: unmap large folio on split failure"',
    )
    split_nonuniform: int = behaviour(
        "truncation splits a large folio in halves around its border; before, into single pages",
        since="6.15",
        source='7460b470a131 "mm/truncate: use folio_split() in truncate operation"',
    )
    fault_pte_dirty: int = behaviour(
        "a read fault of a writable mapping installs a dirty PTE if the folio is dirty already",
        since="6.16",
        source='4e92030c05dc "mm: set the pte dirty if the folio is already dirty"',
    )
