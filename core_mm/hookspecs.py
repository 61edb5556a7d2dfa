"""The border between core-mm and the architectures: every hook, its contract and its default.

Core-mm calls these functions by name; an engine replaces each by the implementation that
pluggy finds: the chosen architecture's, else the generic one. All parameters and results are
integers: `mm`, `vma`, `tlb` and `vmf` are rows of core_mm.mm_types, `ptep` and `pmdp` index
`ptes`, addresses are bytes, `nr` counts entries. A hook returns an integer, 0 if it has no result; None
would make pluggy ask the next plugin and is an error.

Common to all batches: the caller holds the PTL, all entries lie in one table and one VMA,
nr >= 1, no flush is implied, and what an entry outside the batch says may change only in
accessed, dirty and the architecture's private bits.
"""

from __future__ import annotations

from core_mm.hookmark import PROJECT as PROJECT, hookimpl as hookimpl, hookspec

API_VERSION = 1

# --- PTE values: pure functions of a descriptor ---


@hookspec
def pte_none(pte: int) -> int:
    """Whether the entry is empty.

    Default: it is 0. Linux 6.12 arch/*/include/asm/pgtable.h.
    """


@hookspec
def pte_present(pte: int) -> int:
    """Whether the entry maps a page, PROT_NONE included; a swap entry is not present."""


@hookspec
def pte_valid(pte: int) -> int:
    """Whether the hardware may translate through the entry once it is young (PROT_NONE is present, not valid)."""


@hookspec
def pte_young(pte: int) -> int:
    """The accessed flag; where the hardware has only a valid bit for it, a software flag, which that bit follows."""


@hookspec
def pte_dirty(pte: int) -> int:
    """Dirty by hardware or by software."""


@hookspec
def pte_write(pte: int) -> int:
    """Whether the kernel regards the mapping as writable; the hardware may still trap the first write."""


@hookspec
def pte_special(pte: int) -> int:
    """Whether no `struct page` stands behind the entry (zero page, PFNMAP)."""


@hookspec
def pte_protnone(pte: int) -> int:
    """Whether the entry is present without any access (PROT_NONE)."""


@hookspec
def pte_pfn(pte: int) -> int:
    """Page frame number that the entry at its own slot maps."""


@hookspec
def pfn_pte(pfn: int, prot: int) -> int:
    """A descriptor that maps `pfn` with the protection bits `prot` of `vm_get_page_prot`."""


@hookspec
def pte_mkyoung(pte: int) -> int:
    """Set the accessed flag."""


@hookspec
def pte_mkold(pte: int) -> int:
    """Clear the accessed flag."""


@hookspec
def pte_mkdirty(pte: int) -> int:
    """Make dirty; of a writable entry also for the hardware."""


@hookspec
def pte_mkclean(pte: int) -> int:
    """Make clean, in hardware and software."""


@hookspec
def pte_mkwrite(pte: int) -> int:
    """Make writable (`pte_mkwrite_novma`). A clean entry may keep trapping the first write."""


@hookspec
def pte_wrprotect(pte: int) -> int:
    """Make read-only without losing dirty."""


@hookspec
def pte_mkspecial(pte: int) -> int:
    """Mark as having no `struct page`."""


@hookspec
def pte_modify(pte: int, newprot: int) -> int:
    """Take the permissions of `newprot`; keeps PFN, young, dirty (if writable also for the hardware), special."""


@hookspec
def pte_advance_pfn(pte: int, nr: int) -> int:
    """The same entry `nr` pages further (`pte_next_pfn` for 1).

    Default: adds `nr << PFN_PTE_SHIFT`. Linux 6.9, commit 6cdfa1d5d5d8 introduced it.
    """


@hookspec
def pte_same(pte_a: int, pte_b: int) -> int:
    """Whether two entries say the same: one that was read before a lock was taken and now, or two of a batch.

    Default: they are equal. Overridden by powerpc and arm, whose entries have bits that say nothing.
    """


@hookspec
def pte_accessible(mm: int, pte: int) -> int:
    """Whether the entry may be in a TLB, so that clearing it needs a flush.

    Default: `pte_present`.
    """


@hookspec
def pte_needs_flush(oldpte: int, newpte: int) -> int:
    """Whether mprotect must record a flush for this change.

    Default: 1. Overridden by x86, powerpc; arm64 since 6.19, commit c320dbb7c80d.
    """


@hookspec
def vm_get_page_prot(vm_flags: int) -> int:
    """Protection bits of a mapping with these VM_* flags (`protection_map`)."""


@hookspec
def swp_entry_to_pte(entry: int) -> int:
    """A non-present descriptor, not none, that carries `entry`: a slot, 0 too, or migration, of 46 bits in all."""


@hookspec
def pte_to_swp_entry(pte: int) -> int:
    """All 46 bits (`core_mm.swapops.SWP_ENTRY_BITS`) of what is in it, marked or not (`__pte_to_swp_entry`)."""


@hookspec
def pte_swp_mkexclusive(pte: int) -> int:
    """Mark a swap descriptor: the page it stands for is exclusive to this mm."""


@hookspec
def pte_swp_exclusive(pte: int) -> int:
    """Whether a swap descriptor is marked exclusive."""


@hookspec
def pte_swp_clear_exclusive(pte: int) -> int:
    """Remove that mark."""


# --- PMD values: a leaf at the second-lowest level, and pointers to PTE tables ---


@hookspec
def pmd_none(pmd: int) -> int:
    """Whether the entry is empty."""


@hookspec
def pmd_leaf(pmd: int) -> int:
    """Whether the entry maps a huge page (`pmd_trans_huge`), PROT_NONE included."""


@hookspec
def pmd_mkhuge(pte: int) -> int:
    """The PMD leaf with the frame and permissions of the PTE value `pte`."""


@hookspec
def pmd_pte(pmd: int) -> int:
    """The PTE value with the frame and permissions of the leaf `pmd`; inverse of `pmd_mkhuge`."""


@hookspec
def pmd_mkinvalid(pmd: int) -> int:
    """The leaf not valid, yet `pmd_leaf`, and of its `pmd_pte` still `pte_present`, with frame, A/D, permissions."""


@hookspec
def mk_table(slot: int) -> int:
    """A table descriptor that points to page-table page `slot` (`pmd_populate`, `pud_populate`, …)."""


@hookspec
def table_slot(entry: int) -> int:
    """The page-table page that a table descriptor points to (`pmd_pgtable`)."""


# --- Page-table operations: the caller holds the PTL of the one table concerned ---


@hookspec
def ptep_get(ptep: int) -> int:
    """Read an entry with its accessed and dirty state.

    Context: PTL held. Returns the entry; an architecture that groups entries gathers A/D over the group.
    Default: one READ_ONCE. Overridden by arm64.
    """


@hookspec
def ptep_get_lockless(ptep: int) -> int:
    """Read an entry without the PTL, consistently.

    Context: RCU or interrupts off. Default: `ptep_get`.
    """


@hookspec
def pte_batch_hint(ptep: int, pte: int) -> int:
    """How many entries from `ptep` on certainly map consecutive frames with equal permissions.

    `pte` is what `ptep_get(ptep)` returned. Young may differ within the batch, dirty must hold for all.
    Returns >= 1; may exceed what the caller wants. Default: 1. Linux 6.9.
    """


@hookspec
def set_pte(ptep: int, pte: int) -> int:
    """Store one entry, whatever was there; no folding, no flush. Returns 0."""


@hookspec
def set_ptes(mm: int, addr: int, ptep: int, pte: int, nr: int) -> int:
    """Install `nr` entries that map consecutive pages of one folio, from `pte` on.

    nr == 1: old and new may be in any state. nr > 1: no old entry is present
    (none, or swap entries of a large folio that comes back), `pte` is.
    No flush is implied. Default: `set_pte` in a loop with `pte_advance_pfn`. Linux 6.6 (`set_pte_at` is nr == 1).

    Returns 0.
    """


@hookspec
def pte_clear(mm: int, addr: int, ptep: int) -> int:
    """Clear one entry, in any state. Returns 0."""


@hookspec
def ptep_get_and_clear(mm: int, addr: int, ptep: int) -> int:
    """Clear one entry atomically with respect to hardware updates; returns what it was.

    Default: `ptep_get`, then `pte_clear` (not atomic).
    """


@hookspec
def ptep_get_and_clear_full(mm: int, addr: int, ptep: int, full: int) -> int:
    """`ptep_get_and_clear`; `full` says that the whole mm is going away.

    Default: ignores `full`. Overridden by x86, s390, powerpc.
    """


@hookspec
def clear_ptes(mm: int, addr: int, ptep: int, nr: int, full: int) -> int:
    """Clear `nr` present entries that map consecutive pages of one folio.

    Introduced by the December 2023 patch "mm: Batch-clear PTE ranges during zap_pte_range()" (argument order of its
    fourth version); since Linux 6.9 called `get_and_clear_full_ptes`.
    Returns the first entry with dirty and young OR-ed over the batch; every other bit is the first entry's.
    `full`: the whole mm is going away; permits skipping atomicity, never the returned A/D state.
    No flush is implied. Default: a loop over `ptep_get_and_clear_full`. Callers: zap of file folios, rmap, mremap.
    """


@hookspec
def clear_full_ptes(mm: int, addr: int, ptep: int, nr: int, full: int) -> int:
    """`clear_ptes` for callers that do not want the result (zap of anonymous folios, Linux 6.9).

    Default: calls `clear_ptes` and drops what it returns.

    Returns 0.
    """


@hookspec
def clear_not_present_full_ptes(mm: int, addr: int, ptep: int, nr: int, full: int) -> int:
    """Clear `nr` non-present entries (swap, markers).

    Default: a loop over `pte_clear`. Linux 6.10; since 7.3 `clear_nonpresent_ptes(mm, addr, ptep, nr)`.

    Returns 0.
    """


@hookspec
def ptep_set_wrprotect(mm: int, addr: int, ptep: int) -> int:
    """Make one entry read-only, keeping a dirty bit that hardware sets meanwhile.

    Default: `set_ptes` of `pte_wrprotect(ptep_get)`.

    Returns 0.
    """


@hookspec
def wrprotect_ptes(mm: int, addr: int, ptep: int, nr: int) -> int:
    """Make `nr` present entries of one folio read-only (fork).

    Default: a loop over `ptep_set_wrprotect`. Linux 6.9. Returns 0.
    """


@hookspec
def ptep_test_and_clear_young(vma: int, addr: int, ptep: int) -> int:
    """Clear the accessed flag; returns whether it was set. No flush is required."""


@hookspec
def ptep_clear_flush_young(vma: int, addr: int, ptep: int) -> int:
    """Clear the accessed flag and flush as far as that is useful; returns whether it was set.

    Default: `ptep_test_and_clear_young`, then `flush_tlb_page` if it was.
    """


@hookspec
def test_and_clear_young_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    """`ptep_test_and_clear_young` over `nr` present entries of one folio; returns whether any was young. Linux 7.1."""


@hookspec
def clear_flush_young_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    """`ptep_clear_flush_young` over `nr` present entries of one folio. Linux 7.0."""


@hookspec
def clear_young_dirty_ptes(vma: int, addr: int, ptep: int, nr: int, flags: int) -> int:
    """Clear young (CYDP_CLEAR_YOUNG 1) and/or dirty (CYDP_CLEAR_DIRTY 2) of `nr` present entries of one folio.

    Default: young alone by `ptep_test_and_clear_young`, else get-and-clear and set again. Linux 6.10.

    Returns 0.
    """


@hookspec
def ptep_set_access_flags(vma: int, address: int, ptep: int, entry: int, dirty: int) -> int:
    """Make one entry more permissive: young, dirty, writable, as in `entry`.

    `dirty` is 1 for a write fault: stale read-only translations must go. Returns 1 if anything changed;
    also if nothing did but `update_mmu_cache_range` has to run (RISC-V without Svvptc).
    Default: `set_ptes` and `flush_tlb_fix_spurious_fault` if the entry differs.
    """


@hookspec
def ptep_clear_flush(vma: int, address: int, ptep: int) -> int:
    """Clear one entry and flush its page if it could be in a TLB; returns what it was.

    Default: `ptep_get_and_clear`, `flush_tlb_page` if `pte_accessible`.
    """


@hookspec
def ptep_modify_prot_start(vma: int, addr: int, ptep: int) -> int:
    """Begin changing the protection of one entry: afterwards hardware no longer updates it. Returns the old entry."""


@hookspec
def ptep_modify_prot_commit(vma: int, addr: int, ptep: int, old_pte: int, pte: int) -> int:
    """Finish it: install `pte`. Returns 0."""


@hookspec
def modify_prot_start_ptes(vma: int, addr: int, ptep: int, nr: int) -> int:
    """`ptep_modify_prot_start` of `nr` entries of one folio; returns the first with A/D OR-ed. Linux 6.17."""


@hookspec
def modify_prot_commit_ptes(vma: int, addr: int, ptep: int, old_pte: int, pte: int, nr: int) -> int:
    """Install `nr` entries from `pte` on, after `modify_prot_start_ptes`. Linux 6.17. Returns 0."""


@hookspec
def arch_check_zapped_pte(vma: int, pte: int) -> int:
    """Debug check of an entry that was zapped, once a batch. Default: nothing. Returns 0."""


@hookspec
def arch_unmap_one(mm: int, vma: int, addr: int, orig_pte: int) -> int:
    """An anonymous page is about to be swapped out or migrated; `orig_pte`, which mapped it, is cleared already.

    The architecture keeps what it has of the page and a swap entry cannot hold. Returns 0, or -errno: the entry is put
    back and the page stays. Default: 0. Overridden by sparc (ADI tags).
    """


@hookspec
def arch_prepare_to_swap(folio: int) -> int:
    """The folio is about to be written to its swap slots, from `PAGE.private` on: keep what it has besides contents.

    Returns 0, or -errno: the folio is dirty and stays. Default: 0. Overridden by arm64 (MTE tags), Linux 5.10.
    """


@hookspec
def arch_swap_restore(entry: int, folio: int) -> int:
    """The folio was read from the slots from `entry` on and is not mapped yet: give it back what was kept.

    Called for folios that are still in the swap cache too. Default: nothing. Overridden by arm64 (MTE tags).

    Returns 0.
    """


@hookspec
def arch_swap_invalidate_page(type: int, offset: int) -> int:
    """The slot `offset` of swap device `type` is free: forget what was kept for it.

    The twin has one device, 0. Default: nothing. Overridden by arm64 (MTE tags). Returns 0.
    """


@hookspec
def arch_swap_invalidate_area(type: int) -> int:
    """Swap device `type` is gone (swapoff): forget what is kept for any of its slots, of which none is in use.

    Default: nothing. Overridden by arm64 (MTE tags). Returns 0.
    """


@hookspec
def arch_enter_lazy_mmu_mode() -> int:
    """Begin a run of page-table updates that may be deferred.

    Until it ends core-mm reads entries through hooks alone, flushes nothing and does not sleep. 6.12 calls it for every
    section; since 7.0 `lazy_mmu_mode_enable` does for the outermost, and `is_lazy_mmu_mode_active` says that it is on.
    Default: nothing. Overridden by sparc, powerpc, x86; since 7.0 only if the architecture selects it.

    Returns 0.
    """


@hookspec
def arch_leave_lazy_mmu_mode() -> int:
    """End it; deferred updates become visible. Default: nothing.

    Called at the end of a section, since 7.0 of the outermost, and before a pause. Overridden by sparc, powerpc, x86;
    arm64 since 6.16, which defers the barriers of kernel entries.

    Returns 0.
    """


@hookspec
def arch_flush_lazy_mmu_mode() -> int:
    """Make deferred updates visible and go on deferring: the end of a section within another, since 7.0.

    Default: nothing. Overridden by arm64, sparc, powerpc, x86.

    Returns 0.
    """


@hookspec
def arch_wants_old_prefaulted_pte() -> int:
    """Whether entries that fault-around installs should start old. Default: 0."""


@hookspec
def arch_has_hw_pte_young() -> int:
    """Whether the hardware sets the accessed flag. Default: 0."""


@hookspec
def arch_has_hw_nonleaf_pmd_young() -> int:
    """Whether the hardware sets the accessed flag of a PMD that points to a table, when it walks through it.

    Aging then passes over tables that nothing was accessed through, and clears the flag of others with
    `pmdp_test_and_clear_young`. The flag may be set without an access, and must never be missing after one.
    Default: 0. Overridden by x86; arm64 since 6.13 (FEAT_HAFT). Linux 6.1.
    """


@hookspec
def exec_folio_order() -> int:
    """Preferred folio order for executable file pages, or -1. Linux 6.17.

    Default: -1, none; arm64: 64 KiB.
    """


# --- PMD operations that a PMD-mapped folio and its split need ---


@hookspec
def set_pmd_at(mm: int, addr: int, pmdp: int, pmd: int) -> int:
    """Store a PMD leaf. Returns 0."""


@hookspec
def pmdp_huge_get_and_clear(mm: int, addr: int, pmdp: int) -> int:
    """Clear a leaf atomically; returns what it was. Callers: mremap, split of a file's leaf, collapse."""


@hookspec
def pmdp_huge_get_and_clear_full(vma: int, addr: int, pmdp: int, full: int) -> int:
    """The same at zap; `full` says that the whole mm is going away. Default: `pmdp_huge_get_and_clear`."""


@hookspec
def pmdp_set_wrprotect(mm: int, addr: int, pmdp: int) -> int:
    """Make a leaf read-only (fork). Returns 0."""


@hookspec
def pmdp_set_access_flags(vma: int, address: int, pmdp: int, entry: int, dirty: int) -> int:
    """Make a leaf more permissive; for a write (`dirty`) this CPU must forget the old one. Returns 1 if it changed."""


@hookspec
def pmdp_test_and_clear_young(vma: int, addr: int, pmdp: int) -> int:
    """Clear a leaf's accessed flag; returns whether it was set.

    Where `arch_has_hw_nonleaf_pmd_young`, also that of a pointer to a table, which goes on pointing there: the default
    is for leaves alone.
    """


@hookspec
def pmdp_clear_flush_young(vma: int, addr: int, pmdp: int) -> int:
    """The same with a flush as far as that is useful."""


@hookspec
def pmdp_invalidate(vma: int, address: int, pmdp: int) -> int:
    """Make a leaf invalid and flush it, before a split or a change; returns the old leaf."""


@hookspec
def pmdp_invalidate_ad(vma: int, address: int, pmdp: int) -> int:
    """Make a leaf invalid, so that hardware sets neither accessed nor dirty in it any more; returns the old leaf.

    Before mprotect changes it; the gather flushes afterwards. Default: `pmdp_invalidate`, with its flush. Overridden by
    x86, which needs none here. Linux 5.18.
    """


@hookspec
def huge_pmd_needs_flush(oldpmd: int, newpmd: int) -> int:
    """Whether mprotect must record a flush for this change of a leaf.

    Default: 1. Overridden by x86, powerpc; arm64 since 6.19, commit c320dbb7c80d.
    """


@hookspec
def pmdp_collapse_flush(vma: int, address: int, pmdp: int) -> int:
    """Clear a table pointer and flush, before a collapse; returns the old entry."""


# --- TLB maintenance: synchronous on return ---


@hookspec
def flush_tlb_all() -> int:
    """Drop every translation on every CPU. Returns 0."""


@hookspec
def flush_tlb_mm(mm: int) -> int:
    """Drop every translation of `mm`. Returns 0."""


@hookspec
def flush_tlb_range(vma: int, start: int, end: int) -> int:
    """Drop translations of [start, end), and walk caches that lead to tables for it. Returns 0.

    Core-mm changes pointers to tables only where a table lies in the range whole.
    """


@hookspec
def flush_tlb_page(vma: int, addr: int) -> int:
    """Drop the leaf translation of one page. Returns 0."""


@hookspec
def flush_pmd_tlb_range(vma: int, start: int, end: int) -> int:
    """Drop PMD leaves in [start, end). Default: `flush_tlb_range`. Returns 0."""


@hookspec
def flush_tlb_fix_spurious_fault(vma: int, address: int, ptep: int) -> int:
    """A fault found nothing to do: drop what this CPU may have stale. Default: `flush_tlb_page`. Returns 0."""


@hookspec
def flush_tlb_fix_spurious_fault_pmd(vma: int, address: int, pmdp: int) -> int:
    """The same for a PMD leaf. Default: nothing. Returns 0."""


@hookspec
def tlb_flush(tlb: int) -> int:
    """Flush what the gather recorded: range, cleared levels, freed tables, fullmm.

    Default: `flush_tlb_mm` if fullmm or need_flush_all, else `flush_tlb_range` (asm-generic/tlb.h).

    Returns 0.
    """


@hookspec
def tlb_delay_rmap(tlb: int) -> int:
    """A dirty file page is zapped: whether rmap removal waits for the flush (sets `delayed_rmap`).

    Default: on SMP yes.
    """


@hookspec
def tlb_remove_tlb_entry(tlb: int, ptep: int, address: int) -> int:
    """Per entry that the gather records (`__tlb_remove_tlb_entry`).

    Default: nothing; called only if overridden. Returns 0.
    """


@hookspec
def tlb_merge_vmas() -> int:
    """Whether one flush may serve several VMAs (MMU_GATHER_MERGE_VMAS). Default: 0."""


@hookspec
def update_mmu_cache_range(vmf: int, vma: int, addr: int, ptep: int, nr: int) -> int:
    """After new entries were installed: preload or fence. Default: nothing. Returns 0."""


@hookspec
def update_mmu_tlb_range(vma: int, addr: int, ptep: int, nr: int) -> int:
    """After a fault race was lost: refresh this CPU. Default: nothing. Returns 0."""


@hookspec
def arch_tlbbatch_should_defer(mm: int) -> int:
    """Whether reclaim may defer this flush. Default: 0."""


@hookspec
def arch_tlbbatch_add_pending(mm: int, start: int, end: int) -> int:
    """Start a deferred flush of [start, end). Returns 0."""


@hookspec
def arch_tlbbatch_flush() -> int:
    """Wait for deferred flushes. Returns 0."""


@hookspec
def arch_flush_tlb_batched_pending(mm: int) -> int:
    """Reclaim left deferred flushes of this mm: complete them. Default: `flush_tlb_mm`.

    Gone by 7.2, where core-mm itself flushes the mm (flush_tlb_batched_pending). Returns 0.
    """


# --- Hardware: what the table walker does ---


@hookspec
def mmu_access(mm: int, addr: int, ptep: int, level: int, access: int) -> int:
    """One access by the program, through the leaf at `ptep` of `level` (3: PTE, 2: PMD).

    `access` is ACCESS_READ, ACCESS_WRITE or ACCESS_EXEC. Returns 1 if the access succeeds, after setting
    the accessed and dirty state as the hardware would; 0 if it faults.
    """


HOOKS: tuple[str, ...] = tuple(n for n, value in list(globals().items()) if hasattr(value, PROJECT + "_spec"))
