/* What guest and plugin agree on: instructions without effect that carry a number, and their registers. */
#ifndef MARK_H
#define MARK_H

enum {
    MARK_HELLO = 0xbe00, /* address and value of a word, which tells whether memory is read rightly */
    MARK_BEGIN,          /* step */
    MARK_END,            /* step */
    MARK_DUMP,           /* step, dump, address, length */
    MARK_FAIL,           /* row, negative error number */
    MARK_TEXT,           /* address, length */
    MARK_DONE,           /* program */
    MARK_BYE,
};

#if defined(__aarch64__)
#define RETURN_INSTRUCTION 0xd65f03c0u
/* movz xzr, #number */
#define mark(number, a, b, c, d)                                                                    \
    do {                                                                                            \
        register long x0 asm("x0") = (long)(a), x1 asm("x1") = (long)(b), x2 asm("x2") = (long)(c); \
        register long x3 asm("x3") = (long)(d);                                                     \
        asm volatile("movz xzr, #%4" ::"r"(x0), "r"(x1), "r"(x2), "r"(x3), "i"(number) : "memory"); \
    } while (0)
#endif

#endif
