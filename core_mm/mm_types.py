"""The machine's structures (include/linux/mm_types.h, mm.h, asm-generic/tlb.h).

A pointer is a row number; 0 is NULL.  ``page`` is a page frame number, ``ptep``
an index into `ptes`, addresses are user virtual addresses in bytes.
"""

from __future__ import annotations

from core_mm.decl import Array, Scalars, Table, column


class cfg(Scalars, constant=True):
    """What one run fixes: geometry, sizes, policy.  Constant while code runs; its release: `core_mm.features`."""

    page_shift: int
    page_size: int
    ptrs_per_pte: int
    pte_bits: int  # log2(ptrs_per_pte)
    pmd_shift: int
    pmd_size: int
    pmd_order: int  # pages of a PMD leaf, as an order
    levels: int  # 3, 4 or 5 levels of tables
    cont_ptes: int  # entries of a contiguous block, 1: none
    cont_shift: int  # log2 of that
    withheld: int  # hooks that an ablation runs without, a bit each
    memory_pages: int
    fragmentation: int  # percent of huge-page blocks in which a frame is taken for good
    anon_orders: int  # enabled anonymous folio orders, a bit each ("madvise": where MADV_HUGEPAGE says so)
    anon_always: int  # orders enabled as "always"
    shmem_orders: int
    fault_around_bytes: int
    swap_slots: int  # 0: no swap
    log_capacity: int  # rows of LOG, 0: no log
    seen_capacity: int  # length of `seen`
    tlb_entries: int  # of a TLB that accesses go through, a power of two; 0: none, every access walks the tables
    log_ptes: int  # page-table writes, tables and frames go to the log too: what a TLB oracle needs
    content: int  # pages hold versions, see core_mm/content.py
    smp: int
    max_gather_batch: int
    max_gather_batch_count: int
    max_table_batch: int
    max_tables: int  # page-table slots there are
    max_batches: int
    nr_vmas: int  # rows of the tables and arrays that grow with the workload
    nr_mms: int
    nr_tasks: int
    nr_inodes: int
    nr_file_pages: int
    nr_calls: int
    have_arch_unmap_one: int  # __HAVE_ARCH_UNMAP_ONE: the architecture has one of its own
    fail_nowait: int  # fault injection: the n-th GFP_NOWAIT allocation and all later ones fail; 0 never
    fail_dup_swap: int  # fault injection: a folio in this slot or a later one gets no swap entry; 0 never


class mach(Scalars):
    """The machine's own state."""

    scope: int  # row offset into `counters`: the operation under way
    hook: int  # the outermost hook under way, 0: none
    op: int  # row of `ops` under way
    line: int
    task: int
    free_pages: int
    free_tables: int  # head of the list of free page-table slots
    next_table: int  # first slot never used
    tables: int  # page-table pages in use
    free_vmas: int
    next_vma: int
    free_mms: int
    next_mm: int
    free_anon_vmas: int
    next_anon_vma: int
    free_avcs: int
    next_avc: int
    free_batches: int
    next_batch: int
    next_gather: int
    next_inode: int
    free_inodes: int
    next_file_page: int
    next_asid: int
    asid_generation: int
    zero_page: int
    huge_zero_page: int  # made by the first read fault that wants it
    frontier: int  # frames from here on were never handed out
    pcp: int  # free single frames, kept back from the buddy lists
    pcp_count: int
    nowait: int  # GFP_NOWAIT allocations so far
    fail_nth: int  # fault injection, where `cfg.content`: so many allocations on, one fails; 0: none
    seed: int
    log_len: int
    next_call: int  # see core_mm/calls.py
    warned: int  # WARN_ON()s hit
    warn_code: int  # the first of them
    warn_value: int
    error: int  # -errno of the operation under way
    reclaimed: int  # folios to free after the next flush, linked by `mapping`
    last_reclaimed: int
    lazy_enabled: int  # struct lazy_mmu_state: sections open
    lazy_paused: int  # and pauses
    tlb_ubc: int  # deferred flushes wait for arch_tlbbatch_flush()
    ttu_at_once: int  # who unmaps now does not defer them: no TTU_BATCH_FLUSH
    nr_isolated: int  # folios that reclaim took off the LRU
    lru_batched: int  # folios put in an LRU batch so far
    lru_drained: int  # of these, how many left it
    lru_added: int  # folios put in the batch of new ones so far
    lru_emptied: int  # of these, how many before it was last emptied without being full
    swap_taken: int  # the swap cluster that was begun last
    swap_used: int
    swap_off: int  # given up by swapoff
    observed: int  # rows that core_mm/observe.py wrote


counters = Array("counters", "counters")  # [operation][hook][event]
ops = Array("ops", "ops")  # the workload, uapi.COLUMNS a row
results = Array("results", "results")  # result of each operation
ptes = Array("ptes", "ptes")  # every page-table page, ptrs_per_pte entries each
seen = Array("seen", "seen")  # what core_mm/observe.py writes
slots = Array("slots", "slots")  # encoded pages of gather batches
free_area = Array("free_area", "orders")  # head of the free list of each order
i_pages = Array("i_pages", "file_pages")  # page cache: pfn of each file page, or a swap entry (negative)
isolated = Array("isolated", "frames")  # folios that reclaim took off the LRU
swap_cluster = Array("swap_cluster", "orders")  # where each order's next slot is looked for, 0 without a cluster
swap_map = Array("swap_map", "swap")  # references to each swap slot
swap_cache = Array("swap_cache", "swap")  # pfn cached for each swap slot
content = Array("content", "frames")  # what each frame holds, see core_mm/content.py
swap_content = Array("swap_content", "swap")  # each swap slot
file_content = Array("file_content", "file_pages")  # and each page of a file on disk


class LOG(Table, rows="log"):
    """What happened, in order, from row 0 on: 31 bytes an event, in columns apart for readers that want a kind."""

    kind = column(8, apart=True)  # vmstat.LOG_*
    a = column(64, apart=True)  # operands
    b = column(64, apart=True)
    c = column(64, apart=True)
    asid = column(32, apart=True)  # or vm_flags
    call = column(16, apart=True)  # mach.hook: the outermost hook, or the path of calls less the operation's row


class PAGE(Table, rows="frames"):
    """struct page; a large folio is its head page, and the tails point to it.

    Loops over the pages of a folio touch what lies apart, and no more.
    """

    index = column(64)  # page offset in the file, or address >> page_shift; free: unused
    flags = column(32)  # PG_*; the folio's order << PG_ORDER_SHIFT on the head
    refcount = column(32)
    head = column(32)  # the folio's first page; free: next on the free list
    mapping = column(32)  # inode (file), anon_vma (anonymous); free: previous on the free list
    mapcount = column(32, apart=True)  # PTE mappings of this page
    anon_exclusive = column(8, apart=True)  # PG_anon_exclusive
    written = column(8, apart=True)  # a program wrote to it: it holds something other than zeros
    # head: swap slot, or place in an LRU batch; head+1: mapcount of the folio; head+2: PMD mappings
    private = column(32, apart=True)
    added = column(32, apart=True)  # its place among all that were put in the batch of new folios


class PTDESC(Table, rows="tables"):
    """struct ptdesc: one page-table page, slot number * ptrs_per_pte is its first entry."""

    page = column(32)  # the frame it occupies
    level = column(8)  # 0 PTE table, 1 PMD, 2 PUD, 3 P4D/PGD
    next = column(32)  # free list, or list of deposited tables
    mm = column(32)


class VMA(Table, rows="vmas"):
    """struct vm_area_struct."""

    vm_start = column(64)
    vm_end = column(64)
    vm_flags = column(64)
    vm_page_prot = column(64)
    vm_pgoff = column(64)
    vm_mm = column(32)
    vm_file = column(32)  # inode, 0: none
    anon_vma = column(32)
    avc = column(32)  # first anon_vma_chain of this VMA
    vm_next = column(32)
    vm_prev = column(32)
    left = column(32)  # tree of VMAs by address
    right = column(32)
    priority = column(32)
    i_mmap_next = column(32)  # other mappings of the inode
    i_mmap_prev = column(32)


class MM(Table, rows="mms"):
    """struct mm_struct."""

    pgd = column(64)  # first entry of the top-level table
    start_brk = column(64)
    brk = column(64)
    mm_users = column(32)
    map_count = column(32)
    mmap = column(32)  # first VMA
    mm_rb = column(32)  # root of the tree of VMAs
    mmap_cache = column(32)  # last VMA found
    asid = column(64)  # generation << 16 | ASID, 0: none yet
    tlb_flush_pending = column(32)
    tlb_flush_batched = column(32)
    rss_file = column(64)
    rss_anon = column(64)
    rss_swap = column(64)
    rss_shmem = column(64)
    pgtables = column(32)  # page-table pages
    deposit = column(32)  # pgtable_trans_huge_deposit list
    next = column(32)


class TASK(Table, rows="tasks"):
    """struct task_struct, as far as its address space goes."""

    mm = column(32)
    parent = column(32)


class ANON_VMA(Table, rows="anon_vmas"):
    """struct anon_vma."""

    refcount = column(32)  # AVCs on its list
    num_children = column(32)
    num_active_vmas = column(32)
    parent = column(32)
    root = column(32)
    first = column(32)  # AVCs of this anon_vma
    next = column(32)  # free list


class AVC(Table, rows="avcs"):
    """struct anon_vma_chain: one (vma, anon_vma) pair."""

    vma = column(32)
    anon_vma = column(32)
    same_vma = column(32)  # next of the VMA
    next = column(32)  # next of the anon_vma, or of the free list
    prev = column(32)


class INODE(Table, rows="inodes"):
    """struct inode and its address_space."""

    size = column(64)  # bytes
    first = column(64)  # where its pages begin in `i_pages`
    pages = column(64)  # room there
    i_mmap = column(32)  # first VMA that maps it
    kind = column(8)  # uapi.FILE_*
    nlink = column(8)
    nrpages = column(32)
    swapped = column(32)  # struct shmem_inode_info: pages that `i_pages` has a swap slot of
    ra_start = column(64)  # struct file_ra_state: the window last read
    ra_size = column(64)
    ra_async = column(64)
    ra_order = column(32)
    ra_prev = column(64)
    mmap_miss = column(32)
    users = column(32)


class CALL(Table, rows="calls"):
    """A path of calls, see core_mm/calls.py; its row is one of `counters`."""

    function = column(32)
    parent = column(32)
    first = column(32)
    next = column(32)


class RECENT(Table, rows="recent"):
    """The path that a function was last called on, by its number's low bits, and by whom."""

    parent = column(32)
    child = column(32)


class GATHER(Table, rows="gathers"):
    """struct mmu_gather."""

    mm = column(32)
    table_batch = column(32)  # 0: none; slots of tables to free
    table_nr = column(32)
    start = column(64)
    end = column(64)
    fullmm = column(8)
    need_flush_all = column(8)
    freed_tables = column(8)
    delayed_rmap = column(8)
    cleared_ptes = column(8)
    cleared_pmds = column(8)
    cleared_puds = column(8)
    cleared_p4ds = column(8)
    vma_exec = column(8)
    vma_pfn = column(8)
    batch_count = column(32)
    active = column(32)
    local = column(32)


class BATCH(Table, rows="batches"):
    """struct mmu_gather_batch; its slots are a stripe of `slots`."""

    next = column(32)
    nr = column(32)
    max = column(32)
    page = column(32)


# enum pageflags, and one bit of struct folio
PG_RESERVED = 1 << 0
PG_BUDDY = 1 << 1
PG_DIRTY = 1 << 2
PG_REFERENCED = 1 << 3
PG_ACTIVE = 1 << 4
PG_LRU = 1 << 5
PG_SWAPBACKED = 1 << 6
PG_SWAPCACHE = 1 << 7
PG_ANON = 1 << 9  # PAGE_MAPPING_ANON
PG_KSM = 1 << 10
PG_UPTODATE = 1 << 11
PG_READAHEAD = 1 << 12  # and PG_reclaim
PG_LARGE = 1 << 14
PG_TABLE = 1 << 15
PG_WORKINGSET = 1 << 16
PG_ORDER_SHIFT = 24

# vm_flags, include/linux/mm.h
VM_NONE = 0
VM_READ, VM_WRITE, VM_EXEC, VM_SHARED = 1, 2, 4, 8
VM_MAYREAD, VM_MAYWRITE, VM_MAYEXEC, VM_MAYSHARE = 0x10, 0x20, 0x40, 0x80
VM_GROWSDOWN = 0x100
VM_PFNMAP = 0x400
VM_LOCKED = 0x2000
VM_SEQ_READ, VM_RAND_READ = 0x8000, 0x10000
VM_DONTCOPY = 0x20000
VM_ACCOUNT = 0x100000
VM_NORESERVE = 0x200000
VM_WIPEONFORK = 0x2000000
VM_HUGEPAGE = 0x20000000
VM_NOHUGEPAGE = 0x40000000
VM_ACCESS_FLAGS = VM_READ | VM_WRITE | VM_EXEC

# rows of rss
MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES = 0, 1, 2, 3

EPERM, ENOENT, EAGAIN, ENOMEM, EACCES, EFAULT, EBUSY, EEXIST, EINVAL = 1, 2, 11, 12, 13, 14, 16, 17, 22
EOPNOTSUPP = 95
SIGSEGV, SIGBUS = 1011, 1007  # negated results of an access that no task survives
