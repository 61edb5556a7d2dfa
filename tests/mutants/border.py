"""Bugs of hooks that 7.3 has: entries compared, leaves cleared, pages on their way to and from swap."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

MUTANTS = (
    Mutant(
        "S-same", "pte_same compares frames alone", "algebra.same",
        (Edit("arches.generic.pgtable", "    return pte_a == pte_b\n",
              "    return hook.pte_pfn(pte_a) == hook.pte_pfn(pte_b)\n"),),
        arch="generic",
    ),
    Mutant(
        "P-flush", "huge_pmd_needs_flush never asks for a flush", "algebra.needs-flush",
        (Edit("arches.arm64.pmd", "    return pte_needs_flush(oldpmd, newpmd)\n", "    return 0\n"),),
        release="7.3",
    ),
    Mutant(
        "P-clear", "a leaf is read and not cleared", "batch.pmd-clear",
        (Edit("arches.generic.pmd", "    return PMD_xchg(pmdp, 0)\n", "    return PMD_READ_ONCE(pmdp)\n"),),
        arch="generic",
    ),
    Mutant(
        "P-invalidate", "x86 needs no flush to invalidate a leaf, and forgets to do it", "batch.pmd-clear",
        (Edit("mmarch_x86.pmd", "    return PMD_xchg(pmdp, pmd_mkinvalid(PMD_READ_ONCE(pmdp)))\n",
              "    return PMD_READ_ONCE(pmdp)\n"),),
        arch="mmarch_x86:arch",
    ),
    Mutant(
        "S-prepare", "reclaim writes to swap without asking the architecture what else to keep", "stateful.history",
        (Edit("core_mm.reclaim", "    if arch_prepare_to_swap(folio):\n        return 0, top\n", ""),),
        arch="generic",
    ),
    Mutant(
        "S-restore", "a fault maps what it read from swap without giving the rest back", "stateful.history",
        (Edit("core_mm.memory.swap_fault",
              "    arch_swap_restore(pte_to_swp_entry(orig) - idx - (page - folio), folio)\n", ""),),
        arch="generic",
    ),
    Mutant(
        "S-restore-shmem", "nor does shared memory", "stateful.history",
        (Edit("core_mm.shmem", "    arch_swap_restore(slot - (index - first), folio)\n", ""),),
        arch="generic",
    ),
    Mutant(
        "S-invalidate", "what was kept for a slot outlives it", "stateful.history",
        (Edit("core_mm.swap_state", "    return arch_swap_invalidate_page(0, slot)\n", "    return 0\n"),),
        arch="generic",
    ),
    Mutant(
        "S-area", "swapoff does not tell that the area is gone", "stateful.history",
        (Edit("core_mm.swapoff", "    return arch_swap_invalidate_area(0)\n", "    return 0\n"),),
        arch="generic",
    ),
    Mutant(
        "S-area-early", "or before what is in it came back", "stateful.history",
        (Edit("core_mm.swapoff", "    mach.swap_off = 1\n",
              "    mach.swap_off = 1\n    arch_swap_invalidate_area(0)\n"),),
        arch="generic",
    ),
    Mutant(
        "Y-walk", "a walk does not set the accessed flag of the table", "stateful.aging",
        (Edit("arches.arm64.mmu", "        ptes[pmd_off(mm, addr)] |= PTE_AF\n", "        pass\n"),),
        cpu="range+haft", release="7.3",
    ),
    Mutant(
        "Y-claim", "the flag of tables is looked at on a CPU that never sets it", "stateful.aging",
        (Edit("arches.arm64.pgtable", "    return arch_feature.table_access_flag and cpu.haft\n", "    return 1\n"),),
        release="7.3",
    ),
    Mutant(
        "Y-leaf", "clearing the flag of a table turns it into a leaf, as the default for leaves does", "stateful.aging",
        (Edit("arches.arm64.pmd", "    PMD_WRITE_ONCE(pmdp, pte_mkold(pmd))\n",
              "    PMD_WRITE_ONCE(pmdp, hook.pmd_mkhuge(pte_mkold(hook.pmd_pte(pmd))))\n"),),
        cpu="range+haft", release="7.3",
    ),
    Mutant(
        "Y-shared", "the second mapping under a table is passed over, since the first has cleared its flag",
        "stateful.aging",
        (Edit("core_mm.vmscan", "                if not by_table or pmdp == cleared:\n",
              "                if not by_table:\n"),),
        cpu="range+haft", release="7.3",
    ),
)  # fmt: skip
