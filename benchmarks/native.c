/* What the running kernel takes for page-table-heavy system calls: the yardstick of the twin.
 *
 *   cc -O2 -o native native.c && ./native BYTES ORDER     one pass over a mapping
 *                                ./native loop N          small operations, N times
 *
 * Prints "operation nanoseconds", per base page or per iteration. ORDER is the
 * folio order the caller has enabled in sysfs for MADV_HUGEPAGE; 0 asks for base
 * pages; at the PMD order the huge pages are mapped by PTEs before they are measured.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HUGE (2ul << 20)

static size_t length, pages, page_size;
static int order;

static double clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

static void *checked(void *address, const char *what)
{
	if (address == MAP_FAILED) {
		perror(what);
		exit(1);
	}
	return address;
}

static void report(const char *name, double begin, size_t divisor)
{
	printf("%s %.3f\n", name, (clock_ns() - begin) / divisor);
}

static void write_all(volatile char *area)
{
	for (size_t at = 0; at < length; at += page_size)
		area[at] = 1;
}

/* Huge pages split into PTEs by a change of protection that is undone at once. */
static void map_by_ptes(char *area)
{
	for (size_t at = 0; at < length; at += HUGE) {
		mprotect(area + at, page_size, PROT_READ);
		mprotect(area + at, page_size, PROT_READ | PROT_WRITE);
	}
}

static char *fresh(char **base)
{
	char *area;

	*base = checked(mmap(NULL, length + 2 * HUGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), "reserve");
	area = (char *)(((size_t)*base + HUGE - 1) & ~(HUGE - 1));
	checked(mmap(area, length, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), "map");
	madvise(area, length, order ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return area;
}

static char *populated(char **base)
{
	char *area = fresh(base);

	write_all(area);
	if (order == 9)
		map_by_ptes(area);
	return area;
}

static void unmap_and_discard(void)
{
	char *base, *area = fresh(&base);
	double begin = clock_ns();

	write_all(area);
	report("touch", begin, pages);
	if (order == 9)
		map_by_ptes(area);
	begin = clock_ns();
	munmap(area, length);
	report("munmap", begin, pages);
	munmap(base, length + 2 * HUGE);

	area = populated(&base);
	begin = clock_ns();
	madvise(area, length, MADV_DONTNEED);
	report("dontneed", begin, pages);
	munmap(base, length + 2 * HUGE);
}

static void protect(void)
{
	char *base, *area = populated(&base);
	double begin = clock_ns();

	mprotect(area, length, PROT_READ);
	report("mprotect_ro", begin, pages);
	begin = clock_ns();
	mprotect(area, length, PROT_READ | PROT_WRITE);
	report("mprotect_rw", begin, pages);
	munmap(base, length + 2 * HUGE);
}

static void fork_and_copy(void)
{
	char *base, *area = populated(&base), byte;
	int gate[2];
	double begin;
	pid_t child;

	if (pipe(gate))
		exit(1);
	begin = clock_ns();
	child = fork();
	if (child == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) < 0);
	}
	report("fork", begin, pages);
	begin = clock_ns();
	close(gate[1]);
	waitpid(child, NULL, 0);
	report("child_exit", begin, pages);

	if (pipe(gate))
		exit(1);
	child = fork();
	if (child == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) < 0);
	}
	begin = clock_ns();
	write_all(area);
	report("cow", begin, pages);
	close(gate[1]);
	waitpid(child, NULL, 0);
	munmap(base, length + 2 * HUGE);
}

static void small_operations(size_t times)
{
	char *start = sbrk(0);
	double begin = clock_ns();

	for (size_t i = 0; i < times; i++) {
		volatile char *one = checked(mmap(NULL, page_size, PROT_READ | PROT_WRITE,
						  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), "page");
		*one = 1;
		munmap((void *)one, page_size);
	}
	report("mmap_touch_munmap", begin, times);
	begin = clock_ns();
	for (size_t i = 0; i < times; i++) {
		if (brk(start + 16 * page_size) || brk(start))
			exit(1);
	}
	report("brk_up_down", begin, times);
}

int main(int argc, char **argv)
{
	static char output[1 << 14]; /* so that printing does not move the break */

	setvbuf(stdout, output, _IOFBF, sizeof(output));
	page_size = sysconf(_SC_PAGESIZE);
	if (argc == 3 && !strcmp(argv[1], "loop")) {
		small_operations(strtoul(argv[2], NULL, 10));
		return 0;
	}
	if (argc != 3)
		return 2;
	length = strtoul(argv[1], NULL, 10);
	pages = length / page_size;
	order = atoi(argv[2]);
	unmap_and_discard();
	protect();
	fork_and_copy();
	return 0;
}
