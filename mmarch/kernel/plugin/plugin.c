/* QEMU plugin: what the kernel does to the TLB between the guest's marks.
 *
 * Arguments: out=FILE, text=FILE, functions=FILE, limit=BYTES. `functions` has a line "ADDRESS NAME" for every
 * function whose entries count; the one named "=dump" is where tables can be read, since a plugin reads memory with
 * the rights of the code that runs. `out` gets lines:
 *   H 0|1 register                     whether the linear map is where we think it is, and how tables are laid out
 *   B step / E step                    a measured step begins, and ends; in between, all numbers but counts in hex:
 *   t pc instruction operand stride n  TLB invalidations and calls of other CPUs, in order; n of them whose operands are a stride apart
 *   b pc instruction n                 barriers of one place
 *   c function n                       entries of a function, by its line in `functions`
 *   D step dump / l va level entry n   leaf entries, alike ones together
 *   T pc                               a place with a TLB invalidation, executed or not
 *   F row error, P program             an operation failed; a program is done
 *   X                                  the limit was reached: nothing more is written
 */
#include "arch.h"
#include "mark.h"
#include "qemu_plugin.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef API
#define API 4
#endif
EXPORT int qemu_plugin_version = API;

enum { SITES = 1 << 17, RUNS = 1 << 18, MAX_TEXT = 64 << 20 };
typedef struct site {
    uint64_t pc, count;
    uint32_t instruction;
    int kind, operand; /* K_FUNCTION: its number */
    struct site *next; /* counted in this step */
} site;
typedef struct { site *at; uint64_t operand, stride, n; } run;

static FILE *out, *text;
static site *sites[SITES], *counted, *dump_site;
static run runs[RUNS];
static unsigned n_runs;
static long long limit = 1 << 30, written, text_written;
static bool active, full;
static uint64_t pending[MAX_CONTROL + 5]; /* a mark's number, its four registers, and the control registers then */
static struct qemu_plugin_register *general[MAX_GENERAL], *control[MAX_CONTROL];

/* ---- registers and memory ------------------------------------------------------------------------------- */

static void find_registers(void) {
    static bool found;
    if (found) return;
    found = true;
    GArray *all = qemu_plugin_get_registers();
    unsigned size = g_array_get_element_size(all);
    for (unsigned i = 0; i < all->len; i++) {
        qemu_plugin_reg_descriptor *d = (void *)(all->data + (size_t)i * size);
        int number = d->name ? general_register(d->name) : -1;
        if (number >= 0 && number < general_registers) general[number] = d->handle;
        for (int j = 0; d->name && control_registers[j]; j++)
            if (!strcmp(d->name, control_registers[j])) control[j] = d->handle;
    }
    g_array_free(all, 1);
}

static uint64_t value_of(struct qemu_plugin_register *handle) {
    static GByteArray *bytes;
    uint64_t value = 0;
    if (!bytes) bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 0);
    if (handle && qemu_plugin_read_register(handle, bytes) > 0)
        memcpy(&value, bytes->data, bytes->len < 8 ? bytes->len : 8);
    return value;
}

static bool read_memory(uint64_t va, void *to, unsigned length) {
    static GByteArray *bytes;
    if (!bytes) bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, 0);
    if (!qemu_plugin_read_memory_vaddr(va, bytes, length) || bytes->len < length) return false;
    memcpy(to, bytes->data, length);
    return true;
}

/* ---- output --------------------------------------------------------------------------------------------- */

static void put(const char *line, int length) {
    if (full) return;
    written += length;
    full = written > limit;
    fputs(full ? "X\n" : line, out);
}
#define line(...) do { char l_[160]; put(l_, snprintf(l_, sizeof l_, __VA_ARGS__)); } while (0)
#define HEX(x) (unsigned long long)(x)

static void put_leaf(uint64_t va, int level, uint64_t entry, uint64_t n) {
    line("l %llx %d %llx %llu\n", HEX(va), level, HEX(entry), HEX(n));
}

static void put_text(uint64_t va, uint64_t length) {
    static char bytes[4096];
    while (length && text && text_written < MAX_TEXT) {
        uint64_t n = 4096 - (va & 4095);
        if (n > length) n = length;
        if (!read_memory(va, bytes, n)) break;
        text_written += fwrite(bytes, 1, n, text);
        va += n, length -= n;
    }
    if (text) fflush(text);
}

/* ---- steps ---------------------------------------------------------------------------------------------- */

static void count(site *s) {
    if (!s->count++) s->next = counted, counted = s;
}

static void begin(uint64_t step) {
    while (counted) counted->count = 0, counted = counted->next;
    n_runs = 0;
    active = true;
    line("B %llu\n", HEX(step));
}

static void end(uint64_t step) {
    active = false;
    for (unsigned i = 0; i < n_runs; i++)
        line("t %llx %x %llx %llx %llu\n", HEX(runs[i].at->pc), runs[i].at->instruction, HEX(runs[i].operand),
             HEX(runs[i].stride), HEX(runs[i].n));
    for (site *s = counted; s; s = s->next) {
        if (s->kind == K_FUNCTION) line("c %d %llu\n", s->operand, HEX(s->count));
        else if (s->kind == K_BARRIER) line("b %llx %x %llu\n", HEX(s->pc), s->instruction, HEX(s->count));
    }
    line("E %llu %u\n", HEX(step), n_runs < RUNS);
    fflush(out);
}

static void on_tlbi(unsigned cpu, void *data) {
    (void)cpu;
    site *s = data;
    if (!active) return;
    find_registers();
    uint64_t operand = s->operand < 0 ? 0 : value_of(general[s->operand]);
    run *last = n_runs ? &runs[n_runs - 1] : 0;
    if (last && last->at == s && (last->n == 1 || operand == last->operand + last->stride * last->n)) {
        if (last->n == 1) last->stride = operand - last->operand;
        last->n++;
    } else if (n_runs < RUNS)
        runs[n_runs++] = (run){s, operand, 0, 1};
}

static void on_count(unsigned cpu, void *data) {
    (void)cpu;
    if (active) count(data);
}

/* ---- marks ---------------------------------------------------------------------------------------------- */

static void dump(const uint64_t *a, const uint64_t *c) {
    line("D %llu %llu\n", HEX(a[0]), HEX(a[1]));
    walk(c, a[2], a[3], read_memory, put_leaf);
}

static void hello(const uint64_t *a, const uint64_t *c) { /* a word read through the tables is the word itself */
    uint64_t pa = translate(c, a[0], read_memory), seen = 0;
    if (pa != ~0ull) read_memory(linear(c, pa), &seen, 8);
    line("H %d %llx\n", seen == a[1], HEX(c[1]));
}

static void on_dump_site(unsigned cpu, void *data) {
    (void)cpu, (void)data;
    uint64_t mark = pending[0];
    pending[0] = 0;
    if (mark == MARK_HELLO) hello(pending + 1, pending + 5);
    if (mark == MARK_DUMP) dump(pending + 1, pending + 5);
}

static void on_mark(unsigned cpu, void *data) {
    (void)cpu;
    int number = (int)(intptr_t)data;
    uint64_t a[4];
    find_registers();
    for (int i = 0; i < 4; i++) a[i] = value_of(general[i]);
    switch (number) {
    case MARK_BEGIN: begin(a[0]); break;
    case MARK_END: end(a[0]); break;
    case MARK_HELLO:
    case MARK_DUMP:
        pending[0] = number, memcpy(pending + 1, a, sizeof a);
        for (int i = 0; control_registers[i]; i++) pending[5 + i] = value_of(control[i]);
        break;
    case MARK_TEXT: put_text(a[0], a[1]); break;
    case MARK_FAIL: line("F %llu %lld\n", HEX(a[0]), (long long)a[1]); break;
    case MARK_DONE:
        line("P %llu\n", HEX(a[0]));
        fflush(out);
        break;
    }
}

/* ---- translation ---------------------------------------------------------------------------------------- */

static site *site_at(uint64_t pc, uint32_t instruction, int kind, int operand) {
    uint64_t h = (pc >> 2) * 0x9e3779b97f4a7c15ull >> 47;
    for (;; h = (h + 1) % SITES) {
        if (!sites[h]) break;
        if (sites[h]->pc == pc && sites[h]->kind == kind && (kind == K_FUNCTION || sites[h]->instruction == instruction))
            return sites[h];
    }
    site *s = calloc(1, sizeof *s);
    *s = (site){pc, 0, instruction, kind, operand, 0};
    if (kind == K_TLBI) line("T %llx\n", HEX(pc));
    return sites[h] = s;
}

static site *function_at(uint64_t pc) {
    uint64_t h = (pc >> 2) * 0x9e3779b97f4a7c15ull >> 47;
    for (; sites[h]; h = (h + 1) % SITES)
        if (sites[h]->pc == pc && sites[h]->kind == K_FUNCTION) return sites[h];
    return 0;
}

static void instrument(struct qemu_plugin_insn *instruction) {
    uint32_t word = 0;
    int operand = 0;
    qemu_plugin_insn_data(instruction, &word, sizeof word);
    uint64_t pc = qemu_plugin_insn_vaddr(instruction);
    enum kind kind = classify(word, &operand);
    if (kind == K_MARK) {
        if (operand >= MARK_HELLO && operand <= MARK_BYE)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_mark, QEMU_PLUGIN_CB_R_REGS, (void *)(intptr_t)operand);
    } else if (kind != K_NONE)
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, kind <= K_IPI ? on_tlbi : on_count,
                                               kind <= K_IPI ? QEMU_PLUGIN_CB_R_REGS : QEMU_PLUGIN_CB_NO_REGS,
                                               site_at(pc, word, kind, operand));
    site *function = function_at(pc);
    if (function)
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, function == dump_site ? on_dump_site : on_count,
                                               function == dump_site ? QEMU_PLUGIN_CB_R_REGS : QEMU_PLUGIN_CB_NO_REGS,
                                               function);
}

static char magic;
static void on_translation(uintptr_t a, uintptr_t b) {
    struct qemu_plugin_tb *tb = (void *)(b == (uintptr_t)&magic ? a : b);
    size_t n = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < n; i++) instrument(qemu_plugin_tb_get_insn(tb, i));
}

static void read_functions(const char *path) {
    FILE *file = fopen(path, "r");
    char name[256];
    unsigned long long address;
    for (int i = 0; file && fscanf(file, "%llx %255s", &address, name) == 2; i++) {
        site *s = site_at(address, 0, K_FUNCTION, i);
        if (!strcmp(name, "=dump")) dump_site = s;
    }
    if (file) fclose(file);
}

static const char *value(const char *argument, const char *key) {
    size_t n = strlen(key);
    return !strncmp(argument, key, n) && argument[n] == '=' ? argument + n + 1 : 0;
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
    (void)info;
    const char *functions = 0, *given;
    for (int i = 0; i < argc; i++) {
        if ((given = value(argv[i], "out"))) out = fopen(given, "w");
        else if ((given = value(argv[i], "text"))) text = fopen(given, "w");
        else if ((given = value(argv[i], "functions"))) functions = given;
        else if ((given = value(argv[i], "limit"))) limit = atoll(given);
    }
    if (!out) return -1;
    if (functions) read_functions(functions);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation, &magic);
    return 0;
}
