/* /init of the measuring guest: executes rows of operations, each by the process it names.
 *
 * /program is an array of rows of eight 64-bit integers, as in core_mm/uapi.py, with some of our own (100 and
 * above). Every process maps it shared and walks it by itself; `turn` is the row that is due, and a process
 * sleeps until the due row is its own. So the same code runs in every process and nothing is sent around.
 * To the plugin the guest speaks in marks: an instruction without effect, whose number is what happened and
 * whose registers say the rest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/futex.h>

#include "text.h"

enum { /* core_mm/uapi.py */
    OP_MMAP = 1, OP_MUNMAP, OP_BRK, OP_MPROTECT, OP_MADVISE, OP_MREMAP, OP_TOUCH, OP_FORK, OP_VFORK, OP_CLONE_VM,
    OP_EXEC, OP_EXIT, OP_MSYNC, OP_FTRUNCATE, OP_PWRITE, OP_CLEAR_REFS, OP_DROP_CACHES, OP_LRU_GEN_AGE, OP_SPAWN,
    OP_UNLINK, OP_SWAPOFF, OP_FALLOCATE,
    /* our own */
    OP_PROGRAM = 100, /* orders, a bit each: what follows, up to the next one, is executed by a fresh first process */
    OP_FILE,          /* index, kind, bytes: a backing file, to be there before the first operation */
    OP_BEGIN,         /* step: measured from here */
    OP_END,           /* to here */
    OP_DUMP,          /* step, dump, addr, len: the plugin writes down the leaf entries */
};
enum { FILE_REGULAR, FILE_TMPFS, FILE_TMPFS_HUGE, FILE_EXT4, FILE_RAMFS, FILE_SHMEM };
#define SWAP_DEVICE "/dev/zram0"
enum { MAX_TASKS = 4096, MAX_FILES = 1024, SWAP_BYTES = 256 << 20, SETTLE_US = 1000000, BAIT = 64 << 20, MAX_ORDER = 13, MAX_OWN = 16,
       MAX_THREADS = 8, STACK = 1 << 18 };

typedef struct { int64_t op, task, a, b, c, d, e, f; } row_t;

static struct shared {
    volatile int turn;    /* the row that is due */
    volatile int failed;  /* a row failed: everybody stops */
    int end;              /* one past the program's last row */
    int pid[MAX_TASKS], parent[MAX_TASKS];
    volatile int ready[MAX_TASKS];
} *shared;
static row_t *rows;
static long nrows, page;
static int files[MAX_FILES], kinds[MAX_FILES], threads, spinning;
static __thread int me, forked;
static struct { int task; pthread_t id; } thread[MAX_THREADS];
static struct { unsigned long start, end; } own[MAX_OWN];
static int owned;
static char names[MAX_FILES][32];
static __thread sigjmp_buf trapped;

/* ---- what the kernel has -------------------------------------------------------------------------------- */

static void huge(char *path, int order, const char *file) {
    snprintf(path, 160, "/sys/kernel/mm/transparent_hugepage/hugepages-%ldkB/%s", (page << order) >> 10, file);
}

/* These folio orders, a bit each, and no others. That wakes khugepaged, which looks through a mapping of init's own and then sleeps for
 * as long as quieten() said; without any mapping to look through it would wait for the program's. */
static void enable(int orders) {
    static int enabled = -1;
    static char *bait;
    char path[160];
    if (orders == enabled) return;
    enabled = orders;
    for (int i = 1; i <= MAX_ORDER; i++) {
        huge(path, i, "enabled"), put(path, orders >> i & 1 ? "madvise" : "never");
        huge(path, i, "shmem_enabled"), put(path, orders >> i & 1 ? "always" : "never");
    }
    if (!orders) return;
    if (!bait) bait = mmap(0, BAIT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(bait, BAIT, MADV_HUGEPAGE), madvise(bait, BAIT, MADV_DONTFORK);
    for (long at = 0; at < BAIT; at += BAIT / 4) bait[at] = 1;
    usleep(SETTLE_US);
    madvise(bait, BAIT, MADV_DONTNEED); /* or a program that ages memory would age that, too */
}

static int load(const char *module) {
    int fd = open(module, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    int result = syscall(SYS_finit_module, fd, "", 0);
    close(fd);
    return result;
}

static int load_all(void) { /* /modules lists them, each after what it needs */
    static char list[4096];
    get("/modules", list, sizeof list);
    for (char *name = strtok(list, "\n"); name; name = strtok(0, "\n"))
        if (load(name) && errno != EEXIST) say("module %s errno %d\n", name, errno);
    return 0;
}

static int swap_on_zram(void) {
    char size[32];
    snprintf(size, sizeof size, "%d", SWAP_BYTES);
    if (put("/sys/block/zram0/disksize", size)) return 0;
    int fd = open(SWAP_DEVICE, O_RDWR | O_CLOEXEC);
    if (fd < 0) return 0;
    unsigned *header = (unsigned *)(block + 1024); /* union swap_header: version, last page, bad pages */
    memset(block, 0, page);
    header[0] = 1, header[1] = SWAP_BYTES / page - 1;
    memcpy(block + page - 10, "SWAPSPACE2", 10);
    int result = pwrite(fd, block, page, 0) == page && !swapon(SWAP_DEVICE, 0);
    close(fd);
    return result;
}

static int mount_ext4(void) { /* on a loop device, its data in the initial ramfs */
    char device[32];
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), image = open("/ext4.img", O_RDWR | O_CLOEXEC);
    if (control < 0 || image < 0) return 0;
    snprintf(device, sizeof device, "/dev/loop%d", ioctl(control, 0x4C82 /* LOOP_CTL_GET_FREE */));
    int loop = open(device, O_RDWR | O_CLOEXEC);
    return loop >= 0 && !ioctl(loop, 0x4C00 /* LOOP_SET_FD */, image) &&
           !mount(device, "/ext4", "ext4", MS_NOATIME, "noinit_itable");
}

static void capabilities(void) {
    char path[160], text[64];
    say("page_size %ld\n", page);
    for (int i = 1; i <= MAX_ORDER; i++) {
        huge(path, i, "enabled");
        if (!access(path, W_OK)) say("folio_order %d\n", i);
        huge(path, i, "shmem_enabled");
        if (!access(path, W_OK)) say("shmem_order %d\n", i);
    }
    if (swap_on_zram()) say("has swap\n");
    if (mount_ext4()) say("has ext4\n");
    if (!access("/sys/kernel/debug/lru_gen", W_OK)) say("has lru_gen\n");
    if (get("/sys/kernel/mm/lru_gen/enabled", text, sizeof text) > 0) say("lru_gen_enabled %s", text);
    say("version "), show("/proc/sys/kernel/osrelease");
}

static void prepare(void) {
    static const char *folders[] = {"/proc", "/sys", "/dev", "/tmpfs", "/huge", "/ext4", "/ramfs", 0};
    for (int i = 0; folders[i]; i++) mkdir(folders[i], 0755);
    mount("proc", "/proc", "proc", 0, 0), mount("sysfs", "/sys", "sysfs", 0, 0);
    mount("devtmpfs", "/dev", "devtmpfs", 0, 0), mount("debugfs", "/sys/kernel/debug", "debugfs", 0, 0);
    mount("tmpfs", "/tmpfs", "tmpfs", 0, "size=256m"), mount("tmpfs", "/huge", "tmpfs", 0, "size=256m,huge=always");
    mount("ramfs", "/ramfs", "ramfs", 0, 0);
    int console = open("/dev/console", O_RDWR);
    if (console >= 0) dup2(console, 0), dup2(console, 1), dup2(console, 2);
    put("/proc/sys/kernel/printk", "4"), put("/proc/sys/kernel/kptr_restrict", "0");
}

static void idle_only(const char *name) { /* a kernel thread runs when nobody else does, so not during a step */
    char path[64], comm[32];
    struct sched_param none = {0};
    for (int pid = 2; pid < 512; pid++) {
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        if (get(path, comm, sizeof comm) > 0 && !strncmp(comm, name, strlen(name)))
            syscall(SYS_sched_setscheduler, pid, SCHED_IDLE, &none);
    }
}

/* Nothing else runs during a step that does not sleep, and no tick ends a batch early. But what reads from a disk has
 * kernel threads to help it. */
static void alone(int first, int end) {
    struct sched_param highest = {1};
    if (spinning) return; /* each waits on a CPU of its own, whose kernel threads have to get on too */
    for (int i = first; i < end && rows[i].op == OP_FILE; i++)
        if (rows[i].b == FILE_REGULAR || rows[i].b == FILE_EXT4) return;
    syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &highest);
}

static void quieten(void) { /* nothing but the program works on its memory */
    static const char *settings[][2] = {
        {"/proc/sys/kernel/numa_balancing", "0"}, {"/proc/sys/vm/compaction_proactiveness", "0"},
        {"/proc/sys/vm/dirty_writeback_centisecs", "0"}, {"/proc/sys/vm/stat_interval", "1000"},
        {"/proc/sys/kernel/sched_rt_runtime_us", "-1"},
        {"/sys/kernel/mm/transparent_hugepage/enabled", "madvise"},
        {"/sys/kernel/mm/transparent_hugepage/defrag", "madvise"},
        {"/sys/kernel/mm/transparent_hugepage/khugepaged/defrag", "0"},
        {"/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "100000000"},
        {"/sys/kernel/mm/transparent_hugepage/khugepaged/alloc_sleep_millisecs", "100000000"},
        {"/sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan", "1"},
    };
    for (unsigned i = 0; i < sizeof settings / sizeof *settings; i++) put(settings[i][0], settings[i][1]);
    idle_only("khugepaged");
}

/* ---- operations ----------------------------------------------------------------------------------------- */

static void trap(int signal) { siglongjmp(trapped, signal); }

static long touch(const row_t *row) { /* a signal as 1000 + its number */
    int signal = sigsetjmp(trapped, 1);
    if (signal) return -1000 - signal;
    for (int64_t i = 0; i < row->b; i++) {
        volatile char *at = (volatile char *)row->a + i * page;
        if (row->c == 1) *at = 1;
        else if (row->c == 0) (void)*at;
        else ((void (*)(void))at)();
    }
    return 0;
}

static long failing(long result) { return result < 0 ? -errno : 0; }

static long fill(int fd, int64_t offset, int64_t length, int64_t chunk) {
    static const unsigned back = RETURN_INSTRUCTION; /* pages of files can be executed */
    for (int i = 0; i < BLOCK / 4; i++) memcpy(block + 4 * i, &back, 4);
    if (chunk > BLOCK) return -EINVAL;
    for (int64_t at = offset; at < offset + length; at += chunk) {
        int64_t left = offset + length - at;
        if (pwrite(fd, block, left < chunk ? left : chunk, at) < 0) return -errno;
    }
    return 0;
}

static long make_file(const row_t *row) {
    static const char *folders[] = {"/ext4", "/tmpfs", "/huge", "/ext4", "/ramfs"};
    int i = row->a;
    kinds[i] = row->b, files[i] = -1;
    if (row->b == FILE_SHMEM) return 0;
    snprintf(names[i], sizeof names[i], "%s/f%d", folders[row->b], i);
    files[i] = open(names[i], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (files[i] < 0) return -errno;
    if (row->b != FILE_REGULAR && row->b != FILE_EXT4) return failing(ftruncate(files[i], row->c)); /* a hole */
    long result = fill(files[i], 0, row->c, BLOCK);
    if (result || fsync(files[i])) return result ? result : -errno;
    close(files[i]); /* on disk, nothing of it in the page cache */
    sync(), put("/proc/sys/vm/drop_caches", "3");
    files[i] = open(names[i], O_RDWR);
    return files[i] < 0 ? -errno : 0;
}

static long age(void) { /* one pass over the first memory group of the multi-gen LRU */
    static char text[8192];
    unsigned group = 0, node = 0;
    unsigned long generation = 0, found;
    long milliseconds;
    if (get("/sys/kernel/debug/lru_gen", text, sizeof text) <= 0) return -ENOENT;
    for (char *line = strtok(text, "\n"); line; line = strtok(0, "\n")) {
        if (!strncmp(line, "memcg", 5) && generation) break;
        if (sscanf(line, "memcg %u", &group) == 1 || sscanf(line, " node %u", &node) == 1) continue;
        if (sscanf(line, " %lu %ld", &found, &milliseconds) == 2) generation = found;
    }
    snprintf(text, sizeof text, "+%u %u %lu 1 1\n", group, node, generation);
    return put("/sys/kernel/debug/lru_gen", text);
}

static void warm(void) { /* so that no step faults on or copies a page of the program's own */
    for (int i = 0; i < owned; i++)
        for (unsigned long at = own[i].start; at < own[i].end; at += page) {
            volatile char *byte = (volatile char *)at;
            *byte = *byte;
        }
}

static void settle(void) { /* after a fork: whatever both processes copy of their own is copied before the next step */
    if (!forked) return;
    warm();
    while (!shared->ready[forked]) usleep(1000);
    usleep(2000);
    forked = 0;
}

static long map(const row_t *row) {
    int fd = row->e < 0 || kinds[row->e] == FILE_SHMEM ? -1 : files[row->e];
    return mmap((void *)row->a, row->b, row->c, row->d, fd, row->f) == MAP_FAILED ? -errno : 0;
}

static long move(const row_t *row) {
    return mremap((void *)row->a, row->b, row->c, row->d, row->e) == MAP_FAILED ? -errno : 0;
}

static long clear_refs(const row_t *row) {
    char what[8];
    snprintf(what, sizeof what, "%d", (int)row->a);
    return put("/proc/self/clear_refs", what);
}

static void begin_life(int task);
static void *begin_thread(void *task);

static long fork_task(const row_t *row) {
    /* after a thread, the C library's fork would look at that one's stack in the child */
    int task = row->a, pid = threads ? (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
    if (!pid) begin_life(task);
    forked = task;
    shared->pid[task] = pid, shared->parent[task] = me;
    return failing(pid);
}

static void run_on(int cpu) {
    unsigned long mask = 1ul << cpu;
    syscall(SYS_sched_setaffinity, 0, sizeof mask, &mask);
}

static long start_thread(const row_t *row) { /* on the last CPU; children do without its stack, or it would be copied */
    int task = row->a, number = threads++;
    pthread_attr_t how;
    if (number == MAX_THREADS) return -EAGAIN;
    void *stack = mmap(0, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (stack == MAP_FAILED || madvise(stack, STACK, MADV_DONTFORK)) return -errno;
    shared->pid[task] = getpid(), shared->parent[task] = me;
    pthread_attr_init(&how);
    pthread_attr_setstack(&how, stack, STACK);
    thread[number].task = task;
    forked = task;
    return -pthread_create(&thread[number].id, &how, begin_thread, (void *)(long)task);
}

static long await_end(int task) {
    for (int i = 0; i < threads; i++)
        if (thread[i].task == task) return -pthread_join(thread[i].id, 0);
    return failing(waitpid(shared->pid[task], 0, 0));
}

static long perform(const row_t *row) {
    switch (row->op) {
    case OP_MMAP: return map(row);
    case OP_MUNMAP: return failing(munmap((void *)row->a, row->b));
    case OP_MPROTECT: return failing(mprotect((void *)row->a, row->b, row->c));
    case OP_MADVISE: return failing(madvise((void *)row->a, row->b, row->c));
    case OP_MREMAP: return move(row);
    case OP_TOUCH: return touch(row);
    case OP_FORK: return fork_task(row);
    case OP_CLONE_VM: return start_thread(row);
    case OP_EXIT: return await_end(row->task); /* the parent's part */
    case OP_MSYNC: return failing(msync((void *)row->a, row->b, row->c));
    case OP_FTRUNCATE: return failing(ftruncate(files[row->a], row->b));
    case OP_PWRITE: return fill(files[row->a], row->b, row->c, row->d);
    case OP_CLEAR_REFS: return clear_refs(row);
    case OP_DROP_CACHES: sync(); return put("/proc/sys/vm/drop_caches", "1"); /* 3 would split folios, too */
    case OP_LRU_GEN_AGE: return age();
    case OP_UNLINK: return failing(unlink(names[row->a]));
    case OP_SWAPOFF: return failing(swapoff(SWAP_DEVICE));
    case OP_FALLOCATE: return failing(fallocate(files[row->a], row->b, row->c, row->d));
    case OP_FILE: return make_file(row);
    case OP_SPAWN: return 0;
    case OP_BEGIN: mark(MARK_BEGIN, row->a, 0, 0, 0); return 0;
    case OP_END:
        mark(MARK_END, row->a, 0, 0, 0);
        settle();
        return 0;
    case OP_DUMP: /* the kernel's part of the tables can be read only in the kernel: in the call that follows */
        mark(MARK_DUMP, row->a, row->b, row->c, row->d);
        syscall(SYS_getppid);
        return 0;
    default: return -ENOSYS;
    }
}

/* ---- processes ------------------------------------------------------------------------------------------ */

static int actor(const row_t *row) { /* who executes a row; an exit is its parent's to wait for */
    return row->op == OP_EXIT ? shared->parent[row->task] : (int)row->task;
}

static void await(int turn) {
    while (spinning && shared->turn == turn) asm volatile("yield");
    if (!spinning) syscall(SYS_futex, &shared->turn, FUTEX_WAIT, turn, 0, 0, 0);
}

static void close_step(const row_t *row) { /* what a step did until it failed counts */
    for (; row < rows + shared->end && row->op != OP_BEGIN; row++)
        if (row->op == OP_END) {
            mark(MARK_END, row->a, 0, 0, 0);
            return;
        }
}

static void advance(const row_t *row) {
    long result = perform(row);
    int next = (int)(row - rows) + 1;
    if (result < 0 && !shared->failed) {
        shared->failed = 1;
        close_step(row);
        mark(MARK_FAIL, row - rows, result, 0, 0);
    }
    if (shared->failed) next = shared->end;
    shared->turn = next;
    if (next >= shared->end || actor(&rows[next]) != me || rows[next].op == OP_EXIT)
        syscall(SYS_futex, &shared->turn, FUTEX_WAKE, 1 << 30, 0, 0, 0);
}

static void walk(void) {
    int turn;
    while ((turn = shared->turn) < shared->end) {
        const row_t *row = &rows[turn];
        if (row->op == OP_EXIT && row->task == me) return;
        if (actor(row) == me) advance(row);
        else await(turn);
    }
}

static void mark_dirty(void) { /* the page of `turn`, which a CPU without hardware dirty flags would fault on in the first step */
    int turn = shared->turn;
    __atomic_compare_exchange_n(&shared->turn, &turn, turn, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void begin_life(int task) { /* of a child: never returns */
    me = task, forked = 0;
    warm(), mark_dirty();
    shared->ready[task] = 1;
    while (!shared->pid[task] && !shared->failed) usleep(1000); /* its parent is still inside the step */
    walk();
    _exit(0);
}

static void *begin_thread(void *task) {
    me = (int)(long)task, forked = 0;
    run_on(sysconf(_SC_NPROCESSORS_ONLN) - 1);
    shared->ready[me] = 1;
    walk();
    return 0;
}

static void catch_faults(void) {
    struct sigaction action = {.sa_handler = trap};
    sigaction(SIGSEGV, &action, 0), sigaction(SIGBUS, &action, 0), sigaction(SIGILL, &action, 0);
}

static void empty_batch(void) { /* of folios that are new and on no list yet: advice to reclaim begins with that */
    void *nothing = mmap(0, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(nothing, page, MADV_COLD), munmap(nothing, page);
}

static void find_own(void) { /* the memory that this program itself writes: data, heap, stack */
    static char maps[8192];
    unsigned long start, end;
    char rights[8];
    get("/proc/self/maps", maps, sizeof maps);
    owned = 0;
    for (char *line = strtok(maps, "\n"); line && owned < MAX_OWN; line = strtok(0, "\n"))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 && rights[1] == 'w' && rights[3] == 'p')
            own[owned].start = start, own[owned++].end = end;
}

static void run_program(int first, int end) {
    for (int i = 0; i < MAX_TASKS; i++) shared->pid[i] = shared->parent[i] = shared->ready[i] = 0;
    shared->failed = 0, shared->end = end;
    shared->turn = first;
    spinning = 0;
    for (int i = first; i < end && sysconf(_SC_NPROCESSORS_ONLN) > 1; i++) spinning |= rows[i].op == OP_CLONE_VM;
    if (!swapoff(SWAP_DEVICE)) swapon(SWAP_DEVICE, 0); /* so that slots are given out from the first on */
    int pid = fork();
    if (!pid) {
        me = 0;
        run_on(0);
        catch_faults(), find_own(), warm();
        alone(first, end);
        usleep(5000); /* init copies what it writes of its own, and waits */
        empty_batch();
        walk();
        _exit(0);
    }
    waitpid(pid, 0, 0);
    shared->turn = end;
    kill(-1, SIGKILL);
    while (waitpid(-1, 0, 0) > 0) {}
    swapon(SWAP_DEVICE, 0); /* again, if the program ended it */
    for (int i = first; i < end; i++)
        if (rows[i].op == OP_FILE) {
            snprintf(block, 64, "/tmpfs/f%ld", (long)rows[i].a), unlink(block);
            snprintf(block, 64, "/huge/f%ld", (long)rows[i].a), unlink(block);
            snprintf(block, 64, "/ramfs/f%ld", (long)rows[i].a), unlink(block);
            snprintf(block, 64, "/ext4/f%ld", (long)rows[i].a), unlink(block);
        }
}

static void run_all(void) {
    for (int first = 0, end; first < nrows; first = end) {
        for (end = first + 1; end < nrows && rows[end].op != OP_PROGRAM;) end++;
        enable(rows[first].a);
        run_program(first + 1, end);
        mark(MARK_DONE, rows[first].b, 0, 0, 0);
    }
}

static void *map_shared(const char *path, long size) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || (size > lseek(fd, 0, SEEK_END) && ftruncate(fd, size))) return MAP_FAILED;
    void *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    close(fd);
    return at;
}

int main(void) {
    struct stat status;
    page = sysconf(_SC_PAGESIZE);
    make_block();
    prepare();
    mark(MARK_HELLO, (long)&page, page, 0, 0);
    syscall(SYS_getppid);
    load_all(), quieten(), capabilities();
    if (!access("/symbols", F_OK)) say("symbols\n"), show("/proc/kallsyms");
    shared = map_shared("/shared", sizeof *shared);
    if (stat("/program", &status) || shared == MAP_FAILED) goto off;
    nrows = status.st_size / sizeof(row_t);
    rows = nrows ? map_shared("/program", status.st_size) : MAP_FAILED;
    if (rows != MAP_FAILED) run_all();
off:
    mark(MARK_BYE, 0, 0, 0, 0);
    reboot(RB_POWER_OFF);
    for (;;) pause();
}
