/* What the recorder asks of an architecture: one file each. */
#ifndef ARCH_H
#define ARCH_H
#include <stdbool.h>
#include <stdint.h>

enum kind { K_NONE, K_TLBI, K_IPI, K_BARRIER, K_FUNCTION, K_MARK };

/* what an instruction is; for K_TLBI and K_IPI `operand` becomes the number of its register or -1, for K_MARK the mark's number */
enum kind classify(uint32_t instruction, int *operand);

/* registers that the walk needs, by their names in QEMU, and how many of the general ones there are */
extern const char *const control_registers[];
extern const int general_registers;
enum { MAX_CONTROL = 4, MAX_GENERAL = 32 };
int general_register(const char *name); /* its number, -1: another register */

/* Leaf entries of [va, va + length) with control registers `c`; entries of equal attributes together. */
typedef bool (*read_fn)(uint64_t va, void *to, unsigned length);
typedef void (*leaf_fn)(uint64_t va, int level, uint64_t entry, uint64_t count);
void walk(const uint64_t *c, uint64_t va, uint64_t length, read_fn, leaf_fn);
uint64_t translate(const uint64_t *c, uint64_t va, read_fn); /* physical address, ~0: not mapped */
uint64_t linear(const uint64_t *c, uint64_t pa);              /* where the kernel sees physical memory */
#endif
