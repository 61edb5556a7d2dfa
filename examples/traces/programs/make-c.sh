#!/bin/sh
# make -j2 of a small C library: sixteen files, an archive, and a program that is linked with it and run.
set -e
dir=$(mktemp -d)
cd "$dir"
i=0
while [ $i -lt 16 ]; do
    cat >part$i.c <<C
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int part$i(int n)
{
    int *v = malloc(n * sizeof *v), sum = 0;
    for (int k = 0; k < n; k++)
        v[k] = (k * 7919 + $i) % n;
    qsort(v, n, sizeof *v, order);
    for (int k = 0; k < n; k++)
        sum += v[k] * k;
    free(v);
    return sum + (int)strlen("part$i");
}
C
    i=$((i + 1))
done
{
    echo '#include <stdio.h>'
    i=0; while [ $i -lt 16 ]; do echo "int part$i(int);"; i=$((i + 1)); done
    echo 'int main(void) { int s = 0;'
    i=0; while [ $i -lt 16 ]; do echo "s += part$i(4096);"; i=$((i + 1)); done
    echo 'return printf("%d", s) < 0; }'
} >main.c
cat >Makefile <<'M'
CFLAGS = -O1
parts = $(patsubst %.c,%.o,$(wildcard part*.c))
program: main.o libparts.a
	$(CC) -o $@ main.o -L. -lparts
libparts.a: $(parts)
	$(AR) rcs $@ $(parts)
M
make -s -j2
./program >sum
cd /
rm -r "$dir"
