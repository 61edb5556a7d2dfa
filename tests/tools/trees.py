"""Two small kernels of our own making, and a twin of them, as files below a directory."""

from __future__ import annotations

from pathlib import Path

OLD = {
    "Makefile": "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 1\n",
    "include/linux/pgtable.h": """
#ifndef _LINUX_PGTABLE_H
#define _LINUX_PGTABLE_H

#ifndef take_ptes
static inline void take_ptes(int nr)
{
	while (nr--)
		take_one();
}
#endif

#ifndef __HAVE_ARCH_PTE_TWIN
static inline int pte_twin(pte_t a, pte_t b)
{
	return a == b;
}
#endif

#ifndef drop_not_present_ptes
static inline void drop_not_present_ptes(int nr) { }
#endif

#ifndef begin_late_mode
#define begin_late_mode()	do {} while (0)
#endif

#ifndef nobody_wants
#define nobody_wants(x)	(x)
#endif

#ifndef CONFIG_SMALL
static inline void not_a_hook(void) { }
#endif
#endif
""",
    "arch/one/include/asm/pgtable.h": """
#define take_ptes take_ptes
static inline void take_ptes(int nr)
{
	take_block(nr);
}
#define __HAVE_ARCH_PTE_TWIN
#define pte_fresh(pte)	((pte) & 1)
""",
    "mm/walk.c": """
/* int commented_out(void) { */
static int walk(struct mm *mm,
		unsigned long addr)
{
	if (addr)
		step(mm);
	/* the end: } */
	return 0;
}

static int steady(void)
{
	return wait("}");	// always
}

SYSCALL_DEFINE2(stroll, int, a, int, b)
{
	return a + b;
}

static void left_behind(void)
{
	rest();
}
""",
}

NEW = {
    "Makefile": "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 2\n",
    "include/linux/pgtable.h": """
#ifndef _LINUX_PGTABLE_H
#define _LINUX_PGTABLE_H

#ifndef take_ptes
static inline void take_ptes(int nr)
{
	while (nr--)
		take_one();
}
#endif

#ifndef __HAVE_ARCH_PTE_TWIN
static inline int pte_twin(pte_t a, pte_t b)
{
	return a == b;
}
#endif

static inline void drop_nonpresent_ptes(int nr) { }

#if !defined(turn_ptes)
static inline void turn_ptes(int nr)
{
	turn();
}
#endif
#endif
""",
    "arch/one/include/asm/pgtable.h": """
#define take_ptes take_ptes
static inline void take_ptes(int nr)
{
	take_block(nr);
}
#define __HAVE_ARCH_PTE_TWIN
#define pte_fresh(pte)	((pte) & 1)
static inline void begin_late_mode(void) { }
""",
    "arch/two/include/asm/tlb.h": "#define turn_ptes turn_ptes\n",
    "mm/walk.c": """
static int walk(struct mm *mm, unsigned long addr)
{
	if (addr)
		step_back(mm);
	return 0;
}

static int steady(void)
{
	return
		wait("}");
}

static int brand_new(void)
{
	return 1;
}
""",
    "mm/stroll.c": """
SYSCALL_DEFINE2(stroll, int, a, int, b)
{
	return b + a;
}
""",
}

TWIN = {
    "core_mm/hookspecs.py": '''"""Hooks."""


@hookspec
def take_ptes(nr: int) -> int:
    """Take `nr` entries with `take_one`."""


@hookspec
def pte_fresh(pte: int) -> int:
    """Every architecture has its own."""


@hookspec
def drop(nr: int) -> int:
    """Drop them (`drop_not_present_ptes`)."""


@hookspec
def mmu_access(addr: int) -> int:
    """The hardware."""
''',
    "core_mm/walk.py": '''"""Walking (mm/walk.c:walk; Linux 6.12)."""


def steady() -> int:
    """The same name."""


def stroll() -> int:
    """Moved since."""


def new() -> int:
    """As brand_new does."""


def old() -> int:
    """No longer (mm/walk.c:left_behind)."""
''',
    "arches/one/pgtable.py": '''"""Entries (asm/pgtable.h)."""


def pte_fresh(pte: int) -> int:
    """A macro."""
''',
}


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write files below a directory; returns it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
