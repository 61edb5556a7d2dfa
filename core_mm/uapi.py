"""The user-visible ABI: operations a task performs, and the constants they carry.

One operation is a row of eight 64-bit integers, ``op, task, a, b, c, d, e, f``.
``task`` is a small index the workload chose; addresses and lengths are bytes.
System calls keep their argument order; where the kernel chose the address
(``mmap``, ``mremap``), the row carries the address that was returned.
"""

COLUMNS = 8

# op            a        b        c        d        e        f
OP_MMAP = 1  #  addr     len      prot     flags    file     offset   file: index, -1 anonymous
OP_MUNMAP = 2  #  addr     len
OP_BRK = 3  #  brk                                                   the new program break
OP_MPROTECT = 4  #  addr     len      prot
OP_MADVISE = 5  #  addr     len      advice
OP_MREMAP = 6  #  old      old_len  new_len  flags    new
OP_TOUCH = 7  #  addr     pages    access                               one byte in each page, ascending
OP_FORK = 8  #  child                                                 task index of the child
OP_VFORK = 9  #  child                                                 child borrows the mm until exec or exit
OP_CLONE_VM = 10  # child                                              a thread
OP_EXEC = 11  # start_brk                                             a new mm; OP_MMAP rows of the image follow
OP_EXIT = 12  #                                                        the task's last thread tears the mm down
OP_MSYNC = 13  # addr     len      flags
OP_FTRUNCATE = 14  # file     len
OP_PWRITE = 15  # file     offset   len      chunk                     fills the page cache, `chunk` bytes a call
OP_CLEAR_REFS = 16  # what                                             /proc/PID/clear_refs
OP_DROP_CACHES = 17  #                                                 sync, then drop clean page cache
OP_LRU_GEN_AGE = 18  # gentle                                             an aging pass; 0: forced, 1: as reclaim
OP_SPAWN = 19  #                                                       a first task with an empty mm, from nowhere
OP_UNLINK = 20  # file                                                 the last name goes; pages go with the last map
OP_SWAPOFF = 21  #                                                     everything comes back from swap, which is gone
OP_FALLOCATE = 22  # file  mode     offset   len

OP_NAMES = {
    OP_MMAP: "mmap",
    OP_MUNMAP: "munmap",
    OP_BRK: "brk",
    OP_MPROTECT: "mprotect",
    OP_MADVISE: "madvise",
    OP_MREMAP: "mremap",
    OP_TOUCH: "fault",
    OP_FORK: "fork",
    OP_VFORK: "vfork",
    OP_CLONE_VM: "clone",
    OP_EXEC: "execve",
    OP_EXIT: "exit",
    OP_MSYNC: "msync",
    OP_FTRUNCATE: "ftruncate",
    OP_PWRITE: "pwrite",
    OP_CLEAR_REFS: "clear_refs",
    OP_DROP_CACHES: "drop_caches",
    OP_LRU_GEN_AGE: "lru_gen",
    OP_SPAWN: "spawn",
    OP_UNLINK: "unlink",
    OP_SWAPOFF: "swapoff",
    OP_FALLOCATE: "fallocate",
}

ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC = 0, 1, 2

PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC = 0, 1, 2, 4
PROT_GROWSDOWN = 0x01000000

MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE, MAP_TYPE = 1, 2, 3, 0x0F
MAP_FIXED, MAP_ANONYMOUS = 0x10, 0x20
MAP_GROWSDOWN, MAP_DENYWRITE, MAP_LOCKED, MAP_NORESERVE = 0x0100, 0x0800, 0x2000, 0x4000
MAP_POPULATE, MAP_NONBLOCK, MAP_STACK, MAP_HUGETLB = 0x8000, 0x10000, 0x20000, 0x40000
MAP_FIXED_NOREPLACE = 0x100000

MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP = 1, 2, 4

MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED = 0, 1, 2, 3, 4
MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK = 8, 9, 10, 11
MADV_HUGEPAGE, MADV_NOHUGEPAGE = 14, 15
MADV_WIPEONFORK, MADV_KEEPONFORK = 18, 19
MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE = 20, 21, 22, 23
MADV_COLLAPSE = 25

FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2

# kinds of backing file; the page cache chooses folio orders by them
FILE_REGULAR, FILE_TMPFS, FILE_TMPFS_HUGE, FILE_EXT4, FILE_RAMFS, FILE_SHMEM = 0, 1, 2, 3, 4, 5
