/* arm64: TLBI and barrier instructions, and the walk of the tables of TTBR0_EL1. */
#include "arch.h"
#include <stdlib.h>

enum { TTBR0, TCR };
const char *const control_registers[] = {"TTBR0_EL1", "TCR_EL1", 0};
const int general_registers = 31;
static const uint64_t RAM = 0x40000000; /* of QEMU's machine "virt"; the linear map begins with it */

int general_register(const char *name) {
    return name[0] == 'x' && name[1] >= '0' && name[1] <= '9' ? atoi(name + 1) : -1;
}

enum kind classify(uint32_t w, int *operand) {
    if ((w & 0xfff8e000) == 0xd5088000) { /* SYS with CRn 8 or 9 */
        *operand = (w & 31) == 31 ? -1 : (int)(w & 31);
        return K_TLBI;
    }
    if ((w & 0xffffffe0) == 0xd518cba0) { /* MSR ICC_SGI1R_EL1 */
        *operand = (w & 31) == 31 ? -1 : (int)(w & 31);
        return K_IPI;
    }
    if ((w & 0xfffff0ff) == 0xd503309f || (w & 0xfffff3ff) == 0xd503323f) return K_BARRIER; /* DSB, DSB nXS */
    if ((w & 0xffe0001f) == 0xd280001f) { /* movz xzr */
        *operand = w >> 5 & 0xffff;
        return K_MARK;
    }
    return K_NONE;
}

static int page_shift(uint64_t tcr) { return (tcr >> 14 & 3) == 0 ? 12 : (tcr >> 14 & 3) == 2 ? 14 : 16; }

uint64_t linear(const uint64_t *c, uint64_t pa) { /* its half of the upper addresses begins with it */
    return pa - RAM - (1ull << (64 - (c[TCR] >> 16 & 63)));
}

struct entry { uint64_t value; int level; uint64_t span; };

static struct { uint64_t at; bool there; uint64_t entries[8192]; } cache[6]; /* a table of each level */

static uint64_t entry_of(const uint64_t *c, uint64_t table, int level, uint64_t index, read_fn read) {
    int slot = level + 1;
    if (!cache[slot].there || cache[slot].at != table) {
        cache[slot].at = table;
        cache[slot].there = read(linear(c, table), cache[slot].entries, 1u << page_shift(c[TCR]));
        if (!cache[slot].there) return 0;
    }
    return cache[slot].entries[index];
}

static struct entry lookup(const uint64_t *c, uint64_t va, read_fn read) {
    int shift = page_shift(c[TCR]), bits = shift - 3, va_bits = 64 - (int)(c[TCR] & 63);
    uint64_t address = ((1ull << (c[TCR] >> 59 & 1 ? 50 : 48)) - 1) & ~((1ull << shift) - 1);
    uint64_t table = c[TTBR0] & ((1ull << 48) - 1) & ~0x3full;
    for (int level = 4 - (va_bits - shift + bits - 1) / bits;; level++) {
        int position = shift + (3 - level) * bits, top = va_bits - position;
        uint64_t index = va >> position & ((1ull << (top < bits ? top : bits)) - 1);
        uint64_t value = entry_of(c, table, level, index, read);
        if (level == 3 || (value & 3) != 3) return (struct entry){value, level, 1ull << position};
        table = value & address;
    }
}

static uint64_t attributes(uint64_t entry) { /* without the address; one swap entry is as good as another */
    uint64_t address = ((1ull << 50) - 1) & ~0xfffull;
    bool present_invalid = !(entry & 1) && (entry >> 11 & 1);
    return entry & 1 || present_invalid ? entry & ~address : entry != 0;
}

void walk(const uint64_t *c, uint64_t va, uint64_t length, read_fn read, leaf_fn leaf) {
    struct entry run = {0};
    uint64_t start = va, count = 0, end = va + length;
    for (int i = 0; i < 6; i++) cache[i].there = false;
    while (va < end) {
        struct entry e = lookup(c, va, read);
        if (!count || e.level != run.level || attributes(e.value) != attributes(run.value)) {
            if (count) leaf(start, run.level, run.value, count);
            run = e, start = va, count = 0;
        }
        count++;
        va = (va | (e.span - 1)) + 1;
    }
    if (count) leaf(start, run.level, run.value, count);
}

uint64_t translate(const uint64_t *c, uint64_t va, read_fn read) {
    for (int i = 0; i < 6; i++) cache[i].there = false;
    struct entry e = lookup(c, va, read);
    if (!(e.value & 1)) return ~0ull;
    return (e.value & ((1ull << 48) - 1) & ~(e.span - 1)) | (va & (e.span - 1));
}
