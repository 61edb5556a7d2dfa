"""Mistakes of people who wrote an architecture, rather than of Linux: values, swap entries, flushes, stores."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

PGTABLE, TLBFLUSH, CONTPTE = "arches.arm64.pgtable", "arches.arm64.tlbflush", "arches.arm64.contpte"
RISCV = "mmarch_riscv_svnapot"


def pgtable(old: str, new: str) -> tuple[Edit, ...]:
    """An edit of arm64's pgtable.py."""
    return (Edit(PGTABLE, old, new),)


MUTANTS = (
    Mutant(
        "W-noexec", "no-execute is inverted: code faults, data can be executed", "algebra.execute",
        pgtable("    executable = vm_flags & VM_EXEC\n", "    executable = not vm_flags & VM_EXEC\n"),
    ),
    Mutant(
        "W-noexec-generic", "the same on a plain layout", "algebra.execute",
        (Edit("arches.generic.pte", "prot | EXEC if vm_flags & VM_EXEC else prot",
              "prot if vm_flags & VM_EXEC else prot | EXEC"),),
        arch="generic",
    ),
    Mutant(
        "W-modify-exec", "pte_modify forgets no-execute: what was code stays code", "algebra.execute",
        pgtable("(pte & ~MODIFY_MASK) | (newprot & MODIFY_MASK)",
                "(pte & ~(MODIFY_MASK & ~PTE_UXN)) | (newprot & MODIFY_MASK & ~PTE_UXN)"),
    ),
    Mutant(
        "W-mkdirty", "pte_mkdirty makes a read-only entry dirty for the hardware, which writes through it",
        "algebra.permits",
        pgtable("    return pte & ~PTE_RDONLY if pte & PTE_WRITE else pte\n\n\n@hookimpl\ndef pte_mkclean",
                "    return pte & ~PTE_RDONLY\n\n\n@hookimpl\ndef pte_mkclean"),
    ),
    Mutant(
        "W-modify-dirty",
        "pte_modify leaves an entry writable, dirty for software and clean for hardware (3c0696076aad)",
        "algebra.permits",
        pgtable("    if pte & PTE_DIRTY:\n        pte = pte_mkdirty(pte)\n    return pte\n", "    return pte\n"),
    ),
    Mutant(
        "W-wrprotect", "pte_wrprotect leaves an entry dirty for the hardware, which goes on writing", "algebra.permits",
        pgtable("    return (pte & ~PTE_WRITE) | PTE_RDONLY\n", "    return pte & ~PTE_WRITE\n"),
        share=1.0,
    ),
    Mutant(
        "W-wrprotect-batch", "only ptep_set_wrprotect does", "batch.wrprotect",
        pgtable("        pte = cmpxchg(ptep, old, pte_wrprotect(old))\n",
                "        pte = cmpxchg(ptep, old, (pte_wrprotect(old) & ~PTE_RDONLY) | (old & PTE_RDONLY))\n"),
    ),
    Mutant(
        "W-pmd-range", "flush_pmd_tlb_range flushes the first of several PMDs", "tlb.pmd-ranges",
        (Edit(TLBFLUSH, "VMA.vm_mm[vma], start, end, cfg.pmd_size, 0, 2)",
              "VMA.vm_mm[vma], start, start + cfg.pmd_size, cfg.pmd_size, 0, 2)"),),
    ),
    Mutant(
        "W-pmd-hint", "it gives the level of PTEs", "tlb.pmd-ranges",
        (Edit(TLBFLUSH, "VMA.vm_mm[vma], start, end, cfg.pmd_size, 0, 2)",
              "VMA.vm_mm[vma], start, end, cfg.pmd_size, 0, 3)"),),
        cpu="neoverse-n2",
    ),
    Mutant(
        "W-swap-zero", "swap slot 0 is encoded as an empty entry", "algebra.swap",
        pgtable("    return (entry << SWP_OFFSET_SHIFT) | SWP_TYPE\n", "    return entry << SWP_OFFSET_SHIFT\n"),
    ),
    Mutant(
        "W-swap-narrow", "a swap entry has fewer bits than core-mm uses", "algebra.swap",
        pgtable("    return pte >> SWP_OFFSET_SHIFT\n", "    return (pte >> SWP_OFFSET_SHIFT) & ((1 << 24) - 1)\n"),
    ),
    Mutant(
        "W-swap-riscv", "the same on RISC-V", "algebra.swap",
        (Edit(f"{RISCV}.swap", "    return pte >> SWP_OFFSET_SHIFT\n",
              "    return (pte >> SWP_OFFSET_SHIFT) & ((1 << 40) - 1)\n"),),
        arch=f"{RISCV}:arch",
    ),
    Mutant(
        "W-access-flags", "a write fault on a block flushes one page of it", "tlb.spurious",
        (Edit(CONTPTE, "    return __flush_tlb_range(mm, base, base + cont_size(), cfg.page_size, 1, 3)\n",
              "    return __flush_tlb_range(mm, base, base + cfg.page_size, cfg.page_size, 1, 3)\n"),),
    ),
    Mutant(
        "W-access-flags-7.x", "and the local flush of 7.x does", "tlb.spurious",
        (Edit(CONTPTE, "        return local_flush_tlb_range(mm, base, base + cont_size(), cfg.page_size, 3)\n",
              "        return local_flush_tlb_range(mm, base, base + cfg.page_size, cfg.page_size, 3)\n"),),
        release="7.3", share=1.0,
    ),
    Mutant(
        "W-unset", "what only a CPU feature does that no CPU model has (erratum 2645198) leaves entries in place",
        "batch.modify-prot-one",
        (Edit(CONTPTE, "            return hook.ptep_clear_flush(vma, addr, ptep)\n", "            return pte\n"),),
        share=0.5,
    ),
    Mutant(
        "W-store", "an entry is cleared past core_mm.rwonce: nothing counts it, no oracle sees it", "load.stores",
        (Edit(f"{RISCV}.raw", "import cfg\n", "import cfg, ptes\n"),
         Edit(f"{RISCV}.raw", "    return decode(xchg(ptep, 0), ptep)\n",
              "    old = ptes[ptep]\n    ptes[ptep] = 0\n    return decode(old, ptep)\n")),
        arch=f"{RISCV}:arch",
    ),
    Mutant(
        "W-list", "a hook returns a list", "load.results",
        pgtable("    return pte & PTE_AF != 0\n", "    return [pte & PTE_AF != 0]\n"),
    ),
)  # fmt: skip
