"""The history of bugs: what went wrong in Linux where core-mm and architectures meet, a row each.

C: contiguous blocks and PTE operations of arm64; T: TLB maintenance; B: batches in core-mm; H: huge pages and
other architectures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HUGETLB = (
    "no hugetlb: no huge PTEs made of many entries, whose size has to be asked for, and no shared PMD tables"
)


@dataclass(frozen=True)
class Row:
    """A bug.

    bug      in our own words
    kernel   the fix, the change at fault, or where it was noticed
    missing  what the twin would need to have to have the bug; "" where mutants stand for it
    """

    bug: str
    kernel: str
    missing: str = ""


ROWS: Mapping[str, Row] = {
    "C1": Row(
        "whether a fault has anything to do is asked of the block's gathered value, which hides the one entry that a "
        "walker without hardware A/D keeps faulting on", "97c5550b7631, Fixes 4602e5757bcc"),
    "C2": Row("access flags of a block become more permissive and its read-only translations stay",
              "contpte series, changes in v2"),
    "C3": Row("clearing young and dirty of a widened batch takes bytes for entries and runs out of the table",
              "Fixes 89e86854fb0a"),
    "C4": Row("part of a block is cleared and the rest keeps its contiguous mark, for hardware to see",
              "contpte series, design of v2"),
    "C5": Row("clearing a batch drops the accessed or dirty state of entries behind the first",
              "contpte series, v1 and v2"),
    "C6": Row("an entry is read, then written, and what hardware set in between is lost",
              "contpte series, review"),
    "C7": Row("a lockless reader takes entries of two generations of a block for one",
              "contpte series, v6: ptep_get_lockless"),
    "C8": Row("the contiguous mark of a value that was read is installed again with it",
              "contpte series, v6: pte_mknoncont in setters"),
    "C9": Row("the next frame is computed by adding a page's size to the raw value, over the border of an address "
              "that lies in two fields", "Fixes 4a169d61c2ed"),
    "C10": Row("part of a block is write-protected without unfolding it", "contpte series, rule of v1, v3, v4"),
    "C11": Row("a block is folded over two folios, frames out of step, different permissions or invalid entries; or it "
               "is not, where it could be", "contpte series, v6: contpte_try_fold"),
    "C12": Row("a block changes its size without break before make, or in the wrong order", "83bbd6be7d17"),
    "C13": Row("mappings of the kernel are folded", "contpte series, v6: mm_is_user"),
    "C14": Row("an entry that is dirty and becomes writable stays read-only for the hardware",
               "c25c4aa3f79a, Fixes 143937ca51cc"),
    "C15": Row("lazy MMU mode is entered twice, and the inner end throws away or ends what the outer one deferred",
               "1ef3095b1405, b81c688426a9"),
    "C16": Row("faults map a large folio page by page, and folding its blocks costs more than they gain",
               "43e027e41423 and its successors map whole folios"),
    "T1": Row("the operand of a range invalidation cannot say 31, so that the largest range underflows",
              "Fixes 117940aa6e5f"),
    "T2": Row("the range given to notifiers was moved by the loop that flushed it", "f7edb07ad7c6, Fixes 6bbd42e2df8f",
              "no secondary TLBs: nobody registers for mmu_notifier_arch_invalidate_secondary_tlbs"),
    "T3": Row("an unknown level becomes a level hint, and too little is invalidated",
              "eed6bfa8b282, Fixes c910f2b65518"),
    "T4": Row("a CPU that finds another's flushes deferred waits with a barrier, which does not wait for them",
              "Fixes 43b3dfdd0455"),
    "T5": Row("a range is flushed with a stride that it is no multiple of", "third-party driver, review"),
    "T6": Row("nothing bounds how many invalidations one flush issues", "MAX_DVM_OPS; d5afb4b47e13"),
    "T7": Row("an architecture's flush of a gather does nothing where no table was freed", "Fixes 4a18419f71cd"),
    "T8": Row("a flush comes before the changes that it is for: they wait in lazy MMU mode, or for a barrier",
              "pagemap_scan, migrate_vma_collect_pmd, kasan"),
    "T9": Row("a mapping of frames without pages is unlinked before it is flushed, and unmap_mapping_range returns "
              "too early", "mmu_gather.c:tlb_end_vma; since 6.16 in free_pgtables"),
    "T10": Row("a permission is added with a flush of this CPU alone, and others fault on the old one for ever",
               "cb1fa2e99955"),
    "T11": Row("where reclaim defers no flushes it is slower, and races with migration are wider; both ways have to be "
               "right", "discussion of August 2024"),
    "B1": Row("a batch is one longer than the folio: what is expected next equals what follows", "Fixes f8d937761d65"),
    "B2": Row("reclaim looks for a batch as long as the folio, beyond the end of the table",
              "ddd05742b45b, Fixes 354dffd29575"),
    "B3": Row("entries of a lazily freed folio are put back with the first one's write permission", "29f40594a281"),
    "B4": Row("mremap moves a batch with the first entry's write permission", "04d1c9d60c6e, Fixes f822a9a81a31"),
    "B5": Row("mprotect asks the folio's head page whether a batch in its middle is exclusive", "Fixes cac1db8c3aad"),
    "B6": Row("mremap looks up the folio of every page, of which single ones gain nothing",
              "exit at pte_batch_hint() == 1; 37 % slower without"),
    "B7": Row("a NUMA hinting fault rebuilds the PTEs of a folio from an address below its VMA", "cfdd12b48202",
              "no NUMA balancing: no PROT_NONE hinting faults"),
    "B8": Row("a fault finds an entry of the folio's range in use and gives up, again and again",
              "34b82f33cf3f, Fixes 43e027e41423"),
    "B9": Row("mremap keeps userfaultfd's write-protect mark in a VMA that is not registered",
              "mm: Clear uffd-wp PTE/PMD state on mremap()", "no userfaultfd"),
    "B10": Row("the mapcount rises before the reference that it needs", "fork batching series, changes in v3"),
    "B11": Row("a gather's limit of pages does not bound bytes any more: freeing takes too long without a break",
               "zap batching series, review of v2",
               "no scheduler: nothing says how long a CPU goes without cond_resched()"),
    "B12": Row("removal of rmaps that waits for the flush forgets pages of a batch, or comes after they were freed",
               "zap batching series, review of v1"),
    "B13": Row("pages of a gather are freed before the flush", "MMU_GATHER_NO_GATHER fix of July 2023"),
    "B14": Row("unsharing PMD tables flushes every CPU once a table", "moved into mmu_gather", HUGETLB),
    "H1": Row("the size of a huge PTE is read from the contiguous mark of an entry that is not present",
              "49c87f767774, 02410ac72ac3", HUGETLB),
    "H2": Row("how many entries a huge PTE has is computed from a swap entry", "1de195dd0e05", HUGETLB),
    "H3": Row("a NAPOT block is made without invalidating what it replaces", "1458eb2c9d88"),
    "H4": Row("set_ptes treats its first entry alone as the single hook would", "c13d2aa4"),
}  # fmt: skip

# What Linux mended, or others had, in 2025 and 2026: where, what, the mutants that stand for it, or what is missing.
RECENT = (
    ("29f40594a281, ddd05742b45b, 04d1c9d60c6e", "batches of reclaim and mremap that are too long, or not of one kind",
     ("B2", "B3", "B4")),
    ("1ef3095b1405, b81c688426a9", "lazy MMU sections within one another", ("C15", "C15-flush", "C15-leave")),
    ("5900ef9f6fac", "mremap reads entries past ptep_get", ("L-direct",)),
    ("cb1fa2e99955", "local flushes in write faults, and CPUs that fault for ever", ("T10", "D-leaf", "D-leaf-hint")),
    ("6375e95f381e", "an emptied table is freed while somebody refills it", ("F-pt-reclaim",)),
    ("ff53afcd82de", "a PMD leaf of a file takes its dirt along", ("F-zap-pmd", "F-drop-pmd")),
    ("CVE-2026-63950", "reclaim drops references for as many pages as an earlier batch had", ("F-stale-nr",)),
    ("3ea277194daa", "who walks tables in the middle of another CPU's reclaim takes its entries for flushed",
     ("F-pending-zap", "F-pending-mprotect", "F-pending-mremap", "F-pending-free", "F-pending-cold")),
    ("s390, lazy_mmu_mode_enable_with_ptes", "exit that does not say that all of it goes; munmap that does",
     ("F-full", "F-full-early")),
    ("Asterinas #3920", "an address space runs with the ASID of the last one", ("F-asid",)),
    ("review-prompts, mm-pagetable.md", "batches without a cap, or without flags, before set_ptes; a range that is "
     "not looked at under the lock; entries that are not present", ("B1", "B2", "B3", "B4", "B8", "F-present")),
    ("c73b0510ed0e", "aging counts one young page for a large folio, and leaves its table out of the Bloom filter",
     "no Bloom filter: each walk looks at all tables, and nothing else asks for that count"),
    ("mm/migrate_device", "the cache is flushed at the wrong address when a huge zero page is replaced",
     "no device memory, and no caches that are flushed by address"),
    ("erratum 4193714", "a CPU in streaming mode does not take part in another's DSB",
     "no CPUs that run at the same time, and so no IPIs"),
)  # fmt: skip
