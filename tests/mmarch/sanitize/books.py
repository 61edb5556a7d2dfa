"""Mistakes in core-mm's bookkeeping, written from the kernel's side: what somebody could forget in a patch."""

from __future__ import annotations

from dataclasses import dataclass

from tests.mutants.mutant import Edit


@dataclass(frozen=True)
class Mistake:
    """`edit` and the scenario that runs into it; `rule`, operation and object that a report has to name."""

    name: str
    edit: Edit
    scenario: str
    rule: str
    op: str
    names: str
    orders: str = "4"


MISTAKES = (
    Mistake(
        "zap forgets the rmaps", Edit(
            "core_mm.memory.zap",
            "    if not delay_rmap:\n        folio_remove_rmap_ptes(folio, page, nr, vma)\n",
            "    if not delay_rmap and nr == 1:\n        folio_remove_rmap_ptes(folio, page, nr, vma)\n"),
        "dontneed", "mapcount", "madvise", "frame 0x"),
    Mistake(
        "fork forgets references", Edit(
            "core_mm.memory.copy", "    folio_ref_add(folio, nr)\n", "    folio_ref_add(folio, nr - 1)\n"),
        "fork", "refcount", "fork", "folio 0x"),
    Mistake(
        "fork leaves pages exclusive", Edit(
            "core_mm.rmap", "        PAGE.anon_exclusive[i] = 0\n        PAGE.mapcount[i] += 1\n",
            "        PAGE.mapcount[i] += 1\n"),
        "fork", "exclusive", "fork", "frame 0x"),
    Mistake(
        "a copied page leaks the old one", Edit(
            "core_mm.memory.wp", "        free_swap_cache(folio)\n        folio_put(folio)\n",
            "        free_swap_cache(folio)\n"),
        "fork", "refcount", "fault", "folio 0x"),
    Mistake(
        "rss is off by one", Edit(
            "core_mm.memory.fault", "add_mm_counter(mm, MM_ANONPAGES, nr)", "add_mm_counter(mm, MM_ANONPAGES, nr - 1)"),
        "munmap_partial", "rss", "fault", "mm 2 counts"),
    Mistake(
        "swapents are forgotten at swap-in", Edit(
            "core_mm.memory.swap_fault", "    add_mm_counter(mm, MM_SWAPENTS, -nr)\n", ""),
        "pageout", "rss", "fault", "swap pages"),
    Mistake(
        "swap slots are not duplicated", Edit(
            "core_mm.swapfile", "        swap_map[slot] += 1\n    return 0\n\n\ndef swap_free_nr",
            "        swap_map[slot] = 2\n    return 0\n\n\ndef swap_free_nr"),
        "pageout", "swap", "madvise", "slot 0x"),
    Mistake(
        "slots stay used after their last entry", Edit(
            "core_mm.swap_state", "    mach.swap_used -= 1\n", "    mach.swap_used -= slot & 1\n"),
        "pageout", "swap", "fault", "mach.swap_used"),
    Mistake(
        "munmap leaks a page table", Edit(
            "core_mm.memory.free_pgtables", "                pte_free_tlb(tlb, child, addr)\n",
            "                pass\n"),
        "munmap_partial", "table", "munmap", "table "),
    Mistake(
        "a freed table is handed out and stays in use", Edit(
            "core_mm.pgtable", "        mach.free_tables = PTDESC.next[slot]\n", "        mach.next_table += 0\n"),
        "sweep_munmap", "table", "fault", "table "),
    Mistake(
        "collapse keeps no table in reserve", Edit(
            "core_mm.khugepaged", "    pgtable_trans_huge_deposit(mm, slot)\n", ""),
        "collapse", "table", "madvise", "table ", "none"),
    Mistake(
        "a gather is not over when it is finished", Edit(
            "core_mm.mmu_gather", "    MM.tlb_flush_pending[mm] -= 1\n    mach.next_gather -= 1\n",
            "    mach.next_gather -= 1\n"),
        "munmap_partial", "gather", "mmap", "tlb_flush_pending"),
    Mistake(
        "a gather's slots are not freed", Edit(
            "core_mm.mmu_gather", "        following = BATCH.next[batch]\n        batch_free(batch)\n",
            "        following = BATCH.next[batch]\n"),
        "munmap_partial", "gather", "mmap", "batch "),
    Mistake(
        "reclaim does not complete its flushes", Edit(
            "core_mm.tlb_batched", "        arch_tlbbatch_flush()\n        mach.tlb_ubc = 0\n",
            "        arch_tlbbatch_flush()\n"),
        "pageout", "idle", "madvise", "mach.tlb_ubc"),
    Mistake(
        "a split puts nothing in place of its migration entries", Edit(
            "core_mm.folio_split", "    if anon:\n        remap_page(folio, nr)\n", ""),
        "pageout", "migration", "madvise", "migration entry"),
    Mistake(
        "mremap loses where a page lies", Edit(
            "core_mm.mremap",
            "    pgoff = VMA.vm_pgoff[vma] + ((addr - VMA.vm_start[vma]) >> cfg.page_shift)\n    new = copy_vma",
            "    pgoff = new_addr >> cfg.page_shift\n    new = copy_vma"),
        "mremap", "rmap", "mremap", "no walk from frame"),
    Mistake(
        "the cache forgets to count", Edit(
            "core_mm.page_cache", "    INODE.nrpages[inode] += nr\n", "    INODE.nrpages[inode] += 1\n"),
        "shmem", "cache", "fault", "nrpages"),
    Mistake(
        "a frame is freed twice and lost once", Edit(
            "core_mm.page_alloc", "    del_page_from_free_list(buddy, order)\n        pfn = min(pfn, buddy)\n",
            "    del_page_from_free_list(buddy, order)\n"),
        "munmap_partial", "frame", "munmap", "frame 0x"),
)  # fmt: skip

LISTED = (
    Mistake(
        "a pair of a mapping and its anon_vma is not freed", Edit(
            "core_mm.anon_vma", "    AVC.next[avc] = mach.free_avcs\n    mach.free_avcs = avc\n", ""),
        "munmap_partial", "rows", "munmap", "AVC "),
    Mistake(
        "a mapping joins the wrong side of the tree", Edit(
            "core_mm.vma_tree", "        if start < VMA.vm_start[node]:\n            link = node * 2\n"
            "            node = VMA.left[node]\n        else:\n            link = node * 2 + 1\n"
            "            node = VMA.right[node]\n"
            "    set_link",
            "        link = node * 2\n        node = VMA.left[node]\n    set_link"),
        "munmap_partial", "vma", "mmap", "its tree does not hold"),
    Mistake(
        "a mapping is put below those that should be below it", Edit(
            "core_mm.vma_tree", "VMA.priority[node] > priority", "VMA.priority[node] < priority"),
        "munmap_partial", "vma", "mmap", "of more priority"),
    Mistake(
        "a ring of pairs is linked in one direction", Edit(
            "core_mm.anon_vma", "    AVC.prev[after] = avc\n    return 0\n", "    return 0\n"),
        "fork", "rmap", "fork", "backwards"),
    Mistake(
        "a parent does not count its child", Edit(
            "core_mm.anon_vma", "    ANON_VMA.num_children[parent] += 1\n", ""),
        "fork", "rmap", "fork", "children"),
    Mistake(
        "a file counts a mapping that is gone", Edit(
            "core_mm.inode", "    INODE.users[inode] -= 1\n", ""),
        "shmem", "file", "munmap", "counts"),
    Mistake(
        "free buddies stay apart", Edit(
            "core_mm.page_alloc", "    while order < top:\n        buddy = pfn",
            "    while order < 3:\n        buddy = pfn"),
        "fork", "free", "exit", "are not merged"),
)  # fmt: skip

REFUSED = Edit(
    "core_mm.folio_split", "        return -EBUSY\n", "        return 0\n"
)  # and claims to have been done
