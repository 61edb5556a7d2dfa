"""Mistakes in core-mm after which memory shows something else than it must: data lost, mixed up, seen by others."""

from __future__ import annotations

from dataclasses import dataclass

from core_mm import uapi
from core_mm.uapi import ACCESS_READ, ACCESS_WRITE
from tests.mutants.mutant import Edit

Row = tuple[int, ...]
A, B = 0x40000000, 0x48000000  # addresses
PAGES, PAGE, RW = 32, 4096, 3
PRIVATE, SHARED = 0x32, 0x11
SPAWN, FORK, EXIT = (uapi.OP_SPAWN, 1), (uapi.OP_FORK, 1, 2), (uapi.OP_EXIT, 2)
REGULAR, SHMEM = 0, 1
DROP_CACHES = (uapi.OP_DROP_CACHES, 1)
MSYNC = (uapi.OP_MSYNC, 1, A, PAGES * PAGE, 4)
HUGE = 512  # pages of a PMD leaf
COPIES = (uapi.OP_MMAP, 1, A, PAGES * PAGE, RW, 0x12, SHMEM)  # private, of a file
HUGE_SHMEM = (uapi.OP_MMAP, 1, A, HUGE * PAGE, RW, SHARED, SHMEM)


def mmap(task: int = 1, at: int = A, file: int = -1, flags: int = PRIVATE, prot: int = RW) -> Row:
    """Of memory or, with a file, shared."""
    return (uapi.OP_MMAP, task, at, PAGES * PAGE, prot, flags if file < 0 else SHARED, file)


def touch(access: int, task: int = 1, at: int = A, pages: int = PAGES) -> Row:
    """Accesses to pages from `at` on."""
    return (uapi.OP_TOUCH, task, at, pages, access)


def write(task: int = 1, at: int = A, pages: int = PAGES) -> Row:
    """To pages from `at` on."""
    return touch(ACCESS_WRITE, task, at, pages)


def read(task: int = 1, at: int = A, pages: int = PAGES) -> Row:
    """Of pages from `at` on."""
    return touch(ACCESS_READ, task, at, pages)


def madvise(advice: int, pages: int = PAGES) -> Row:
    """Of the mapping at A."""
    return (uapi.OP_MADVISE, 1, A, pages * PAGE, advice)


ZAP_DIRTY = """\
        if pte_dirty(pte):
            folio_mark_dirty(folio)
            if tlb_delay_rmap(tlb):
                delay_rmap = 1
"""


@dataclass(frozen=True)
class Mistake:
    """`edit`, and `rows` of which the last is where it shows: `rule`, and words of the report."""

    name: str
    edit: Edit
    rows: tuple[Row, ...]
    words: tuple[str, ...]
    rule: str = "content"
    orders: int = 0
    shmem_orders: int = 0
    release: str = "6.12"


MISTAKES = (
    Mistake(
        "a copy on write copies nothing", Edit(
            "core_mm.memory.wp", "        content.copy_user_page(new, page)\n", "        pass\n"),
        (SPAWN, mmap(), write(), FORK, (uapi.OP_MPROTECT, 2, A, PAGE, 1), (uapi.OP_MPROTECT, 2, A, PAGE, RW),
         (uapi.OP_MADVISE, 1, A, PAGES * PAGE, uapi.MADV_POPULATE_WRITE)),
        ("must show what operation 2 (fault) wrote to page 0x40000", "what an earlier owner left")),
    Mistake(
        "new memory is not cleared", Edit(
            "core_mm.memory.fault", "        content.clear_user_pages(folio, 1 << order)\n", "        pass\n"),
        (SPAWN, mmap(), write(pages=1)), ("must show zeros", "what an earlier owner left"), orders=1 << 4),
    Mistake(
        "swap-in takes a neighbour's slot", Edit(
            "core_mm.memory.swap_fault", "        content.swap_read_folio(folio, first)\n",
            "        content.swap_read_folio(folio, first ^ 1)\n"),
        (SPAWN, mmap(), write(), madvise(uapi.MADV_PAGEOUT), read()),
        ("must show what operation 2 (fault) wrote to page 0x400",)),
    Mistake(
        "reclaim drops what it should write", Edit(
            "core_mm.reclaim", "        content.swap_writepage(folio, PAGE.private[folio])\n",
            "        pass\n"),
        (SPAWN, mmap(), write(), madvise(uapi.MADV_PAGEOUT)), ("must show what operation 2", "(in swap)")),
    Mistake(
        "reclaim takes a dirty page for lazily freed", Edit(
            "core_mm.unmap", "folio_mapcount(folio) and not folio_test_dirty(folio):", "folio_mapcount(folio):"),
        (SPAWN, mmap(), write(), madvise(uapi.MADV_FREE), write(), madvise(uapi.MADV_PAGEOUT)),
        ("is lost: it must show what operation 4",)),
    Mistake(
        "a split takes written pages for empty ones", Edit(
            "core_mm.folio_split", "int(to_zeropage and not PAGE.written[page])", "int(to_zeropage)"),
        (SPAWN, mmap(), write(), madvise(uapi.MADV_PAGEOUT, 1)), ("must show what operation 2", "shows zeros"),
        orders=1 << 4),
    Mistake(
        "MADV_DONTNEED passes over the last page", Edit(
            "core_mm.madvise", "end - start, ZAP_RECLAIM_PT)\n",
            "end - start - cfg.page_size, ZAP_RECLAIM_PT)\n"),
        (SPAWN, mmap(), write(), madvise(uapi.MADV_DONTNEED)),
        ("task 1 page 0x4001f must show zeros, and shows what operation 2",)),
    Mistake(
        "a hole keeps what was in it", Edit(
            "core_mm.truncate",
            "        truncate_inode_pages_range(inode, offset, after)\n    return 0\n\n\ndef",
            "        pass\n    return 0\n\n\ndef"),
        (SPAWN, mmap(file=SHMEM), write(), madvise(uapi.MADV_REMOVE, 4)),
        ("file 1 page 0 must hold zeros, and holds what operation 2",)),
    Mistake(
        "mprotect forgets the entries", Edit(
            "core_mm.mprotect", "    change_protection(tlb, changed, start, end, cp_flags)\n", ""),
        (SPAWN, mmap(), write(), (uapi.OP_MPROTECT, 1, A, PAGES * PAGE, 1)),
        ("task 1 page 0x40000 can be written to, which its protection forbids",), "protection"),
    Mistake(
        "an access that no mapping allows", Edit(
            "core_mm.memory.access", "        return not flags & VM_WRITE\n", "        return 0\n"),
        (SPAWN, mmap(file=SHMEM, prot=1), write(pages=1)),
        ("task 1: a write of page 0x40000 ends with SIGSEGV",), "access"),
    Mistake(
        "no SIGBUS behind the end of a file", Edit(
            "core_mm.shmem", "    if index >= pages_of_size(INODE.size[inode]):\n        return 0, VM_FAULT_SIGBUS\n",
            ""),
        (SPAWN, mmap(file=SHMEM), (uapi.OP_FTRUNCATE, 1, SHMEM, 8 * PAGE), read()),
        ("a read of page 0x40008 ends with SIGBUS, and here went through",), "access"),
    Mistake(
        "collapse mixes pages up", Edit(
            "core_mm.khugepaged", "content.copy_user_page(folio + i, pte_pfn(pte) if mapped else 0)",
            "content.copy_user_page(folio + i, pte_pfn(pte) if mapped and i else 0)"),
        (SPAWN, (uapi.OP_MMAP, 1, A, 512 * PAGE, RW, PRIVATE, -1), write(pages=512),
         (uapi.OP_MADVISE, 1, A, 512 * PAGE, uapi.MADV_COLLAPSE)),
        ("task 1 page 0x40000 must show what operation 2", "shows zeros")),
    Mistake(
        "fork leaves the parent's pages writable", Edit(
            "core_mm.memory.copy",
            "        wrprotect_ptes(VMA.vm_mm[src_vma], addr, src_ptep, nr)\n        pte = pte_wrprotect(pte)\n",
            "        pte = pte_wrprotect(pte)\n"),
        (SPAWN, mmap(), write(), FORK), ("mm 2 page 0x40000 may write to anonymous frame", "operation 3 (fork)"),
        "exclusive"),
    Mistake(
        "mremap moves everything one page further", Edit(
            "core_mm.mremap", "move_page_tables(vma, addr, new, new_addr, old_len) < old_len",
            "move_page_tables(vma, addr, new, new_addr + cfg.page_size, old_len - cfg.page_size) < 0"),
        (SPAWN, mmap(), write(), (uapi.OP_MREMAP, 1, A, PAGES * PAGE, PAGES * PAGE, 3, B)),
        ("mm 2 page 0x48001", "no walk from frame"), "rmap"),
    Mistake(
        "reclaim drops dirty pages of files", Edit(
            "core_mm.reclaim", "    if folio_test_dirty(folio):\n",
            "    if folio_test_dirty(folio) and folio_test_swapbacked(folio):\n"),
        (SPAWN, mmap(file=REGULAR), write(), madvise(uapi.MADV_PAGEOUT)),
        ("file 0 page 0 is lost: it must hold what operation 2",)),
    Mistake(
        "truncation leaves the first page mapped", Edit(
            "core_mm.truncate", "        first = max(start, VMA.vm_pgoff[vma])\n",
            "        first = max(start + 1, VMA.vm_pgoff[vma])\n"),
        (SPAWN, mmap(file=SHMEM), write(), (uapi.OP_FTRUNCATE, 1, SHMEM, 8 * PAGE)),
        ("mm 2 page 0x40008", "no walk from frame"), "rmap"),
    Mistake(
        "shared memory goes to swap at another place", Edit(
            "core_mm.shmem",
            "    filemap_remove_folio(folio, swapped_range(slot, order if feature.shmem_large_swap else 0))\n",
            "    filemap_remove_folio(folio, swapped_range(slot ^ 1, order if feature.shmem_large_swap else 0))\n"),
        (SPAWN, mmap(file=SHMEM), write(), madvise(uapi.MADV_PAGEOUT)),
        ("file 1 page 0 must hold what operation 2 (fault) wrote to page 0x40000", "(in swap)")),
    Mistake(
        "whatever can be read can be executed", Edit(
            "core_mm.memory.fault", "    entry = pfn_pte(folio, VMA.vm_page_prot[vma])\n",
            "    entry = pfn_pte(folio, VMA.vm_page_prot[vma]) & ~(1 << 54)\n"),
        (SPAWN, mmap(), write()), ("can be executed, which its protection forbids",), "protection"),
    Mistake(
        "a page is put back in place of its neighbour after a split", Edit(
            "core_mm.migrate", "    page = entry & FRAME\n    pte = pfn_pte(page,",
            "    page = entry & FRAME ^ 1\n    pte = pfn_pte(page,"),
        (SPAWN, mmap(), write(), madvise(uapi.MADV_PAGEOUT, 1)),
        ("no walk from frame", "operation 3 (madvise)"), "rmap", orders=1 << 4),
    Mistake(
        "a child writes to the page that it shares", Edit(
            "core_mm.memory.wp", "    if folio_ref_count(folio) + folio_in_lru_batch(folio) > 1 + cached:\n"
            "        return 0\n    if folio_test_swapcache(folio):\n"
            "        folio_free_swap(folio)\n    if folio_ref_count(folio) != 1:\n        return 0\n", ""),
        (SPAWN, mmap(), write(), FORK, write(task=2)), ("mapped 2 times", "operation 4 (fault)"), "exclusive"),
    Mistake(
        "a child's page in swap stays the parent's own", Edit(
            "core_mm.memory.copy", "    if pte_swp_exclusive(pte):\n        pte = pte_swp_clear_exclusive(pte)\n"
            "        set_ptes(VMA.vm_mm[src_vma], addr, src_ptep, pte, 1)\n", ""),
        (SPAWN, mmap(), write(), madvise(uapi.MADV_PAGEOUT), FORK),
        ("has an exclusive entry, and 2 refer to it",), "exclusive"),
    Mistake(
        "writeback cleans pages and writes nothing", Edit(
            "core_mm.page_writeback", "        content.writepages(PAGE.mapping[folio], folio)\n", "        pass\n"),
        (SPAWN, mmap(file=REGULAR), write(), MSYNC),
        ("file 0 page 0 is lost: it must hold what operation 2", "as it was")),
    Mistake(
        "a page of a file is mapped before it is read", Edit(
            "core_mm.readahead", "        content.read_folio(inode, folio)\n", "        pass\n"),
        (SPAWN, mmap(file=REGULAR), read()), ("as it was, and shows what an earlier owner left",)),
    Mistake(
        "zap forgets what entries know of dirt", Edit(
            "core_mm.memory.zap", ZAP_DIRTY, "        if pte_dirty(pte):\n"),
        (SPAWN, mmap(file=SHMEM), read(), write(), madvise(uapi.MADV_DONTNEED)),
        ("file 1 page 0 was written to, and neither frame",), "dirty"),
    Mistake(
        "zap forgets what a batch of entries knows of dirt", Edit(
            "core_mm.memory.zap", ZAP_DIRTY, "        if pte_dirty(pte):\n            if nr == 1:\n"
            "                folio_mark_dirty(folio)\n"),
        (SPAWN, mmap(file=SHMEM), read(), write(), madvise(uapi.MADV_DONTNEED)),
        ("file 1 page 0 was written to, and neither frame",), "dirty", shmem_orders=1 << 4),
    Mistake(
        "reclaim forgets what entries know of dirt", Edit(
            "core_mm.unmap", "    if pte_dirty(pte):\n        folio_set_dirty(folio)\n", ""),
        (SPAWN, mmap(file=SHMEM), read(), write(), madvise(uapi.MADV_PAGEOUT)),
        ("file 1 page 0 is lost: it must hold what operation 3",)),
    Mistake(
        "a leaf that is dropped takes its dirt along", Edit(
            "core_mm.huge_memory", "    if pte_dirty(pmd):\n        PAGE.flags[folio] |= PG_DIRTY\n    if pte_young",
            "    if pte_young"),
        (SPAWN, HUGE_SHMEM, read(pages=HUGE), write(pages=HUGE), madvise(uapi.MADV_DONTNEED, 1)),
        ("file 1 page 0 was written to, and neither frame",), "dirty", shmem_orders=1 << 9, release="7.3"),
    Mistake(
        "a leaf that is zapped takes its dirt along (ff53afcd82de)", Edit(
            "core_mm.huge_memory", "    if feature.zap_pmd_dirty and pte_dirty(pte):\n"
            "        folio_mark_dirty(folio)\n", ""),
        (SPAWN, HUGE_SHMEM, read(pages=HUGE), write(pages=HUGE), madvise(uapi.MADV_DONTNEED, HUGE)),
        ("file 1 page 0 was written to, and neither frame",), "dirty", shmem_orders=1 << 9, release="7.3"),
    Mistake(
        "a new mapping is not counted", Edit(
            "core_mm.vma_tree", "    MM.map_count[mm] += 1\n", ""),
        (SPAWN, mmap()), ("mm 2: map_count is 0, and it has 1",), "vma"),
    Mistake(
        "a thread does not use its address space", Edit(
            "core_mm.fork", "    MM.mm_users[mm] += 1\n", ""),
        (SPAWN, mmap(), (uapi.OP_CLONE_VM, 1, 2)), ("mm 2 has mm_users 1, and 2 tasks run in it",), "users"),
    Mistake(
        "a folio forgets that its owner has unmapped some pages", Edit(
            "core_mm.rmap", "            PAGE.refcount[slot] -= nr\n", ""),
        (SPAWN, mmap(), write(), madvise(uapi.MADV_DONTNEED, 4)),
        ("says that mm 2 maps 16 of its pages, 12 entries do",), "owner", orders=1 << 4, release="7.3"),
    Mistake(
        "a mapping that shrinks keeps its end", Edit(
            "core_mm.mremap", "        if old_len > new_len and do_munmap(mm, addr + new_len, old_len - new_len):\n",
            "        if 0:\n"),
        (SPAWN, mmap(), (uapi.OP_MREMAP, 1, A, PAGES * PAGE, 8 * PAGE, 1, A)),
        ("task 1 must have mapped [0x40000, 0x40008) rw-, and has [0x40000, 0x40020) rw-",), "layout"),
    Mistake(
        "advice for a part is taken for the whole", Edit(
            "core_mm.madvise",
            "    vma = vma_modify(vma, start, end, flags)\n    if vma == 0:\n        return -ENOMEM\n", ""),
        (SPAWN, mmap(), madvise(uapi.MADV_RANDOM, 4)),
        ("must have mapped [0x40000, 0x40004) rw-, advice 1, and has [0x40000, 0x40020) rw-, advice 1",), "layout"),
    Mistake(
        "a child's memory is locked too", Edit(
            "core_mm.fork", "    VMA.vm_flags[vma] &= ~VM_LOCKED\n", ""),
        (SPAWN, mmap(flags=PRIVATE | uapi.MAP_LOCKED), FORK),
        ("task 2 must have mapped [0x40000, 0x40020) rw-, and has [0x40000, 0x40020) rw-, locked",), "layout"),
    Mistake(
        "a file is mapped from its start", Edit(
            "core_mm.mmap", "        pgoff = offset >> cfg.page_shift\n", "        pgoff = 0\n"),
        (SPAWN, (*mmap(file=REGULAR), 4 * PAGE)), ("file 0 from page 4, and has", "file 0 from page 0"), "layout"),
    Mistake(
        "advice passes over a gap in silence", Edit(
            "core_mm.madvise", "            unmapped = -ENOMEM\n", "            unmapped = 0\n"),
        (SPAWN, mmap(), (uapi.OP_MUNMAP, 1, A + 4 * PAGE, PAGE), madvise(uapi.MADV_DONTNEED)),
        ("task 1: madvise returned 0; right is ENOMEM",), "answer"),
    Mistake(
        "a hole is refused as if memory were short", Edit(
            "core_mm.mmap", "MM.map_count[mm] >= MAX_MAP_COUNT:\n            return -ENOMEM\n        if __split",
            "MM.map_count[mm] >= 1:\n            return -ENOMEM\n        if __split"),
        (SPAWN, mmap(), (uapi.OP_MUNMAP, 1, A + 4 * PAGE, PAGE)), ("munmap returned ENOMEM; right is 0",), "answer"),
    Mistake(
        "a file that is gone keeps pages", Edit(
            "core_mm.inode", "(inode, 0, INODE.pages[inode] << cfg.page_shift)", "(inode, 0, cfg.page_size)"),
        (SPAWN, mmap(file=REGULAR), read(), (uapi.OP_UNLINK, 1, REGULAR), (uapi.OP_MUNMAP, 1, A, PAGES * PAGE)),
        ("file 0 is gone, and page 1 of it is still cached",)),
    Mistake(
        "shared memory that is gone keeps pages", Edit(
            "core_mm.inode", "(inode, 0, INODE.pages[inode] << cfg.page_shift)", "(inode, 0, cfg.page_size)"),
        (SPAWN, mmap(flags=0x31), write(), (uapi.OP_MUNMAP, 1, A, PAGES * PAGE)), ("is gone, and page 1 of it",)),
    Mistake(
        "msync passes by what it is asked for", Edit(
            "core_mm.msync", "(start - VMA.vm_start[vma]) >> cfg.page_shift",
            "(start - VMA.vm_start[vma]) >> cfg.page_shift << 1"),
        (SPAWN, mmap(file=REGULAR), write(), (uapi.OP_MSYNC, 1, A + 4 * PAGE, 4 * PAGE, 4)),
        ("file 0 page 4 is lost: it must hold what operation 2", "is not written"),),
    Mistake(
        "truncation leaves private copies", Edit(
            "core_mm.truncate", "    details = 0 if even_cows else zap.ZAP_KEEP_COWS\n",
            "    details = zap.ZAP_KEEP_COWS\n"),
        (SPAWN, (*COPIES[:6], REGULAR), write(), (uapi.OP_FTRUNCATE, 1, REGULAR, 8 * PAGE)),
        ("task 1 page 0x40008 shows frame", "behind the end of its file")),
    Mistake(
        "those of shared memory", Edit(
            "core_mm.truncate", "    details = 0 if even_cows else zap.ZAP_KEEP_COWS\n",
            "    details = zap.ZAP_KEEP_COWS\n"),
        (SPAWN, COPIES, write(), (uapi.OP_FTRUNCATE, 1, SHMEM, 8 * PAGE)),
        ("task 1 page 0x40008 shows frame", "behind the end of its file")),
    Mistake(
        "a hole takes private copies along", Edit(
            "core_mm.truncate", "    details = 0 if even_cows else zap.ZAP_KEEP_COWS\n", "    details = 0\n"),
        (SPAWN, COPIES, write(), (uapi.OP_MMAP, 1, B, PAGES * PAGE, RW, SHARED, SHMEM),
         (uapi.OP_MADVISE, 1, B, 4 * PAGE, uapi.MADV_REMOVE)),
        ("task 1 page 0x40000 is lost: it must show what operation 2", "and has no entry")),
    Mistake(
        "migration forgets that a page is exclusive", Edit(
            "core_mm.migrate", "entry & (WRITABLE | EXCLUSIVE))", "entry & WRITABLE)"),
        (SPAWN, mmap(), write(), (uapi.OP_MPROTECT, 1, A, PAGES * PAGE, 1), madvise(uapi.MADV_PAGEOUT, 1)),
        ("task 1 page 0x40001 was written since its last fork", "is not exclusive"), "exclusive", orders=1 << 4),
    Mistake(
        "a page that comes back from swap is the task's own no more", Edit(
            "core_mm.unmap", "        swap_pte = pte_swp_mkexclusive(swap_pte)\n", "        pass\n"),
        (SPAWN, mmap(), write(), madvise(uapi.MADV_PAGEOUT), read()),
        ("task 1 page 0x40000 was written since its last fork", "is not exclusive"), "exclusive", release="7.3"),
    Mistake(
        "mremap leaves behind what is in swap", Edit(
            "core_mm.move_page_tables", "        if not pte_none(pte):\n            force_flush",
            "        if pte_present(pte):\n            force_flush"),
        (SPAWN, mmap(), write(), madvise(uapi.MADV_PAGEOUT),
         (uapi.OP_MREMAP, 1, A, PAGES * PAGE, PAGES * PAGE, 3, B)),
        ("task 1 page 0x48000 is lost: it must show what operation 2", "and has no entry")),
    Mistake(
        "what reclaim took from a file comes back from the next page", Edit(
            "core_mm.content", "    first = INODE.first[inode] + PAGE.index[folio]\n    for i in range(nr):\n"
            "        content[folio + i] = file_content[first + i]\n",
            "    first = INODE.first[inode] + PAGE.index[folio]\n    for i in range(nr):\n"
            "        content[folio + i] = file_content[first + i + mach.op // 4]\n"),
        (SPAWN, mmap(file=REGULAR), read(), madvise(uapi.MADV_PAGEOUT), read()),
        ("must show page 0 of file 0 as it was, and shows page 1 of file 0",)),
    Mistake(
        "collapse takes what is in swap for nothing", Edit(
            "core_mm.khugepaged",
            "            if handle_mm_fault(vma, haddr + (i << cfg.page_shift), ACCESS_READ):\n"
            "                return -EAGAIN\n            pte = ptep_get(ptep + i)\n", "            continue\n"),
        (SPAWN, (uapi.OP_MMAP, 1, A, HUGE * PAGE, RW, PRIVATE, -1), write(pages=HUGE), madvise(uapi.MADV_PAGEOUT, 4),
         madvise(uapi.MADV_COLLAPSE, HUGE)),
        ("core-mm warned 8 times, first W_MAPCOUNT",), "warning"),
    Mistake(
        "a folio that a file's end divides keeps what was behind it", Edit(
            "core_mm.truncate", "    if cfg.content:\n        content.zero_partial(", "    if cfg.content > 1:\n"
            "        content.zero_partial("),
        (SPAWN, (uapi.OP_PWRITE, 1, REGULAR, 0, 16 * PAGE, 16 * PAGE), (uapi.OP_FTRUNCATE, 1, REGULAR, 8 * PAGE),
         (uapi.OP_FTRUNCATE, 1, REGULAR, 16 * PAGE)),
        ("file 0 page 8 must hold zeros, and holds what operation 1",), release="7.3"),
    Mistake(
        "no SIGBUS behind the end of a file on disk", Edit(
            "core_mm.filemap", "    if index >= pages_of_size(INODE.size[inode]):\n",
            "    if index >= INODE.pages[inode]:\n"),
        (SPAWN, mmap(file=REGULAR), (uapi.OP_FTRUNCATE, 1, REGULAR, 8 * PAGE), read()),
        ("a read of page 0x40008 ends with SIGBUS, and here went through",), "access"),
)  # fmt: skip
