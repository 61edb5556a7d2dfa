"""Bugs of lazy MMU mode, of core-mm (C15 of the history) and of an architecture that lets stores wait."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

WAITING, MOVE = "tests.mutants.waiting", "core_mm.move_page_tables"

# mremap begins a section within its own, which is no bug since 7.0.
INNER = (
    Edit(MOVE, "    set_ptes(mm, new_addr, new_ptep, pte, nr)\n",
         "    lazy_mmu_mode_enable()\n    set_ptes(mm, new_addr, new_ptep, pte, nr)\n    lazy_mmu_mode_disable()\n"),
)  # fmt: skip

MUTANTS = (
    Mutant(
        "C15", "lazy MMU mode is entered in lazy MMU mode (1ef3095b1405)", "stateful.history", INNER,
        arch="generic",
    ),
    Mutant(
        "C15-flush", "where sections nest, the end of the inner one makes nothing happen", "stateful.history",
        (Edit("core_mm.lazy_mmu",
              "    return arch_flush_lazy_mmu_mode() if mach.lazy_enabled else arch_leave_lazy_mmu_mode()\n",
              "    return 0 if mach.lazy_enabled else arch_leave_lazy_mmu_mode()\n"),),
        arch="generic", release="7.3", given=INNER,
    ),
    Mutant(
        "C15-leave", "or it leaves the mode that the outer one is in", "stateful.history",
        (Edit("core_mm.lazy_mmu",
              "    return arch_flush_lazy_mmu_mode() if mach.lazy_enabled else arch_leave_lazy_mmu_mode()\n",
              "    return arch_leave_lazy_mmu_mode()\n"),),
        arch="generic", release="7.3", given=INNER,
    ),
    Mutant(
        "C15-open", "fork does not end its sections", "stateful.history",
        (Edit("core_mm.memory.copy", "    return lazy_mmu_mode_disable()\n", "    return 0\n"),),
        arch="generic", release="7.3",
    ),
    Mutant(
        "L-direct", "mremap reads entries itself instead of with ptep_get (5900ef9f6fac)", "stateful.history",
        (Edit(MOVE, "        pte = ptep_get(old_ptep)\n", "        pte = ptes[old_ptep]\n"),),
        arch="generic", release="7.3",
    ),
    Mutant(
        "L-get", "an architecture's ptep_get does not know what waits to be stored", "batch.lazy",
        (Edit(WAITING, "    return waiting.pte if waiting.ptep == ptep else READ_ONCE(ptep)\n",
              "    return READ_ONCE(ptep)\n"),),
        arch=f"{WAITING}:arch",
    ),
    Mutant(
        "L-leave", "it forgets what waits when a section ends", "batch.lazy",
        (Edit(WAITING, "    hook.arch_flush_lazy_mmu_mode()\n    waiting.lazy = 0\n",
              "    waiting.ptep = 0\n    waiting.lazy = 0\n"),),
        arch=f"{WAITING}:arch",
    ),
    Mutant(
        "L-flush", "it goes on waiting when an inner section ends", "batch.lazy",
        (Edit(WAITING, "    hook.arch_flush_lazy_mmu_mode()\n    waiting.lazy = 0\n",
              "    if waiting.ptep:\n        WRITE_ONCE(waiting.ptep, waiting.pte)\n    waiting.ptep = 0\n"
              "    waiting.lazy = 0\n"),
         Edit(WAITING, "    \"\"\"Make what waits.\"\"\"\n    if waiting.ptep:\n"
              "        WRITE_ONCE(waiting.ptep, waiting.pte)\n    waiting.ptep = 0\n",
              "    \"\"\"Make what waits.\"\"\"\n")),
        arch=f"{WAITING}:arch", release="7.3",
    ),
)  # fmt: skip
