/* A program that does a little of everything to its memory: recorded on arm64 kernels under QEMU.
 *
 *     aarch64-linux-gnu-gcc -static -O2 -pthread -o small-fork small-fork.c
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TABLE = 4 << 20, LOG = 256 << 10, ROUNDS = 4 };

static char *map(size_t size) {
    return mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long sum(const char *at, size_t size) {
    long total = 0;
    for (size_t i = 0; i < size; i += 512) total += at[i];
    return total;
}

static void *adjust(void *table) { /* a thread: every fourth 64 KiB */
    for (size_t at = 0; at < TABLE; at += 256 << 10) memset((char *)table + at, 3, 64 << 10);
    return 0;
}

static void child(char *table) { /* copies what it writes, reads the rest */
    memset(table, 2, TABLE / 4);
    _exit(sum(table, TABLE) == 0);
}

static char *grow(char *log, size_t *size) {
    log = mremap(log, *size, *size * 2, MREMAP_MAYMOVE);
    memset(log + *size, 4, *size);
    *size *= 2;
    return log;
}

int main(void) {
    size_t size = LOG;
    pthread_t thread;
    char *table = map(TABLE), *log = map(LOG), *shared = mmap(0, LOG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(table, 1, TABLE), memset(log, 1, LOG);
    for (int round = 0; round < ROUNDS; round++) {
        if (!fork()) child(table);
        memset(shared, round, LOG);
        memset(table + TABLE / 2, round, TABLE / 8); /* copied while the child shares it */
        wait(0);
        log = grow(log, &size);
    }
    pthread_create(&thread, 0, adjust, table);
    pthread_join(thread, 0);
    mprotect(table, TABLE / 2, PROT_READ);
    madvise(table + TABLE / 2, TABLE / 4, MADV_DONTNEED);
    long total = sum(table, TABLE);
    mprotect(table, TABLE / 2, PROT_READ | PROT_WRITE);
    char *lines[64];
    for (int i = 0; i < 64; i++) lines[i] = memset(malloc(8000), i, 8000); /* the heap grows */
    for (int i = 0; i < 64; i++) free(lines[i]);
    munmap(table, TABLE / 2), munmap(log, size), munmap(shared, LOG);
    return total == 0;
}
