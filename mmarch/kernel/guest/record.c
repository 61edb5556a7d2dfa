/* /init of the recording guest: executes the recorder's list of tracefs writes around one program.
 *
 * /writes   a line each: ! or ? (needed or not), path below tracefs, text, between tabs; a path that ends in / is a
 *           folder to make, the first one the instance
 * /target   the program, static; its arguments in /arguments, each with a zero byte after it
 * /huge     if it is there, the program may have huge pages
 *
 * Said to the plugin: facts, a line each, then "trace" and the text of the instance's buffer. Where the program starts,
 * its mappings are put on the timeline, as mmarch/trace/snapshot.py does.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "text.h"

#define TRACEFS "/sys/kernel/tracing/"
#define THP "/sys/kernel/mm/transparent_hugepage/"
enum { LIST = 1 << 16, ARGUMENTS = 64, ON_EXEC = PTRACE_EVENT_EXEC << 8 | SIGTRAP };
enum { PRESENT = 63, FILE_OR_SHARED = 61 }; /* bits of pagemap */

static char instance[256], list[LIST];
static long page;

static void *of_instance(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, TRACEFS "%s%s", instance, name);
    return path;
}

/* ---- the list ------------------------------------------------------------------------------------------- */

static int perform(char *line) {
    char path[512], *name = strchr(line, '\t') + 1, *text = strchr(name, '\t');
    *text++ = 0;
    snprintf(path, sizeof path, TRACEFS "%s", name);
    int result = path[strlen(path) - 1] == '/' ? (mkdir(path, 0700) ? -errno : 0) : put(path, text);
    if (path[strlen(path) - 1] == '/' && !*instance) snprintf(instance, sizeof instance, "%s", name);
    if (result && *line == '!') say("failed %d %s %s\n", -result, name, text);
    return result && *line == '!';
}

static int perform_all(void) {
    int failed = 0;
    if (get("/writes", list, sizeof list) <= 0) return 1;
    for (char *line = strtok(list, "\n"); line; line = strtok(0, "\n")) failed |= perform(line);
    return failed;
}

/* ---- what the program has mapped ------------------------------------------------------------------------ */

static void emit(const char *format, ...) {
    static char text[512];
    static int marker = -1;
    va_list args;
    if (marker < 0) marker = open(of_instance("trace_marker"), O_WRONLY | O_CLOEXEC);
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (write(marker, text, n) != n) say("failed %d mark %s\n", errno, text);
}

static long start_brk(int pid) { /* field 47 of /proc/PID/stat; 3 follows the name */
    char path[64], text[1024], *at;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    get(path, text, sizeof text);
    at = strrchr(text, ')') + 1;
    for (int field = 3; field < 47; field++) at = strchr(at + 1, ' ');
    return strtol(at, 0, 10);
}

static void emit_file(void) { /* the only file there is: the program itself */
    struct stat status;
    struct statfs kind;
    stat("/target", &status), statfs("/target", &kind);
    emit("mmarch_file: file=0 size=%ld kind=%s", (long)status.st_size, kind.f_type == 0x858458F6 ? "ramfs" : "tmpfs");
}

static void emit_present(int pid, unsigned long start, unsigned long end) { /* what execve wrote itself */
    char path[64];
    unsigned long first = 0, word;
    snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (unsigned long at = start; at <= end; at += page) {
        int held = at < end && pread(fd, &word, 8, at / page * 8) == 8 && word >> PRESENT & 1 && !(word >> FILE_OR_SHARED & 1);
        if (held && !first) first = at;
        if (!held && first) emit("mmarch_present: pid=%d start=0x%lx pages=%ld", pid, first, (long)(at - first) / page), first = 0;
    }
    close(fd);
}

static void emit_mapping(int pid, char *line) {
    unsigned long start, end, offset, inode;
    char rights[8], name[128] = "";
    if (sscanf(line, "%lx-%lx %7s %lx %*s %lu %127s", &start, &end, rights, &offset, &inode, name) < 5) return;
    if (!strncmp(name, "[vdso", 5) || !strncmp(name, "[vvar", 5)) {
        emit("mmarch_special: pid=%d start=0x%lx end=0x%lx", pid, start, end);
        return;
    }
    int prot = (rights[0] == 'r') * PROT_READ | (rights[1] == 'w') * PROT_WRITE | (rights[2] == 'x') * PROT_EXEC;
    int flags = (rights[3] == 's' ? MAP_SHARED : MAP_PRIVATE) | (inode ? 0 : MAP_ANONYMOUS);
    if (!strcmp(name, "[stack]")) flags |= MAP_GROWSDOWN | MAP_STACK;
    emit("mmarch_vma: pid=%d start=0x%lx end=0x%lx prot=0x%x flags=0x%x file=%d off=0x%lx", pid, start, end, prot, flags,
         inode ? 0 : -1, offset);
    if (rights[1] == 'w') emit_present(pid, start, end);
}

static void emit_image(int pid) {
    static char maps[8192];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    get(path, maps, sizeof maps);
    emit_file();
    emit("mmarch_exec: pid=%d start_brk=0x%lx", pid, start_brk(pid));
    for (char *line = strtok(maps, "\n"); line; line = strtok(0, "\n")) emit_mapping(pid, line);
    emit("mmarch_exec_end: pid=%d", pid);
}

/* ---- the program ---------------------------------------------------------------------------------------- */

static void become(void) { /* in the child, at the gate: traced, and stopped until it is followed */
    static char text[4096];
    static char *arguments[ARGUMENTS], *environment[] = {"PATH=/", 0};
    long n = get("/arguments", text, sizeof text);
    for (int i = 0, at = 0; at < n && i < ARGUMENTS - 1; at += strlen(text + at) + 1) arguments[i++] = text + at;
    if (access("/huge", F_OK)) prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execve("/target", arguments, environment);
    _exit(127);
}

static int follow(int pid) { /* until the last one has ended: the program's status */
    int status, first = 0, ended;
    while ((ended = waitpid(-1, &status, __WALL)) > 0) {
        if (!WIFSTOPPED(status)) {
            if (ended == pid) first = status;
            continue;
        }
        if (status >> 8 == ON_EXEC) {
            emit_image(ended);
            ptrace(PTRACE_DETACH, ended, 0, 0);
        } else
            ptrace(PTRACE_CONT, ended, 0, WSTOPSIG(status) == SIGSTOP ? 0 : WSTOPSIG(status));
    }
    return first;
}

static int record(void) {
    char number[32];
    int status, pid = fork();
    if (!pid) become();
    waitpid(pid, &status, 0);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC);
    snprintf(number, sizeof number, "%d\n", pid);
    if (put(of_instance("set_event_pid"), number)) say("failed 0 set_event_pid %s", number);
    put(of_instance("tracing_on"), "1");
    ptrace(PTRACE_CONT, pid, 0, 0);
    status = follow(pid);
    put(of_instance("tracing_on"), "0");
    say("pid %d\nstatus %d\n", pid, status);
    return pid;
}

/* ---- the machine ---------------------------------------------------------------------------------------- */

static void facts(void) {
    char path[160], text[256];
    say("page_size %ld\ncpus %ld\n", page, sysconf(_SC_NPROCESSORS_ONLN));
    say("version "), show("/proc/sys/kernel/osrelease");
    if (get(THP "enabled", text, sizeof text) > 0) say("thp %s", text);
    for (int order = 1; order < 14; order++) {
        snprintf(path, sizeof path, THP "hugepages-%ldkB/enabled", (page << order) >> 10);
        if (get(path, text, sizeof text) > 0) say("mthp %ld %s", (page << order) >> 10, text);
    }
}

int main(void) {
    static const char *folders[] = {"/proc", "/sys", "/dev", "/tmp", 0};
    page = sysconf(_SC_PAGESIZE);
    make_block();
    for (int i = 0; folders[i]; i++) mkdir(folders[i], 0755);
    mount("proc", "/proc", "proc", 0, 0), mount("sysfs", "/sys", "sysfs", 0, 0);
    mount("devtmpfs", "/dev", "devtmpfs", 0, 0), mount("tracefs", TRACEFS, "tracefs", 0, 0);
    int console = open("/dev/console", O_RDWR);
    if (console >= 0) dup2(console, 0), dup2(console, 1), dup2(console, 2);
    mark(MARK_HELLO, (long)&page, page, 0, 0);
    syscall(SYS_getppid);
    facts();
    if (!perform_all()) record();
    show(of_instance("per_cpu/cpu0/stats"));
    say("trace\n"), show(of_instance("trace"));
    mark(MARK_BYE, 0, 0, 0, 0);
    reboot(RB_POWER_OFF);
    for (;;) pause();
}
