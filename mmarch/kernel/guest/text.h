/* Files of the kernel's, as text. */
#ifndef TEXT_H
#define TEXT_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mark.h"

enum { BLOCK = 2 << 20 };
static char *block; /* for what is read and written: shared, so that a fork does not copy it */

static inline void make_block(void) {
    block = mmap(0, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

static inline void say(const char *format, ...) {
    static char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mark(MARK_TEXT, (long)text, n < (int)sizeof text ? n : (int)sizeof text - 1, 0, 0);
}

static inline int put(const char *path, const char *value) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = write(fd, value, strlen(value)) < 0 ? -errno : 0;
    close(fd);
    return result;
}

static inline long get(const char *path, char *text, long size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    long n = fd < 0 ? -errno : read(fd, text, size - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = 0;
    return n;
}

static inline void show(const char *path) { /* all of a file */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    long n;
    while (fd >= 0 && (n = read(fd, block, BLOCK)) > 0) mark(MARK_TEXT, (long)block, n, 0, 0);
    if (fd >= 0) close(fd);
}

#endif
