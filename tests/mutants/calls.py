"""Mistakes in what system calls refuse and mean, in arguments of hooks, and in code that only measuring runs."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

MUTANTS = (
    Mutant(
        "A-refs-zero", "clear_refs takes 0, which means nothing", "stateful.errors",
        (Edit("core_mm.task_mmu", "if what < CLEAR_REFS_ALL or", "if what < 0 or"),),
        arch="generic",
    ),
    Mutant(
        "A-refs-kind", "clear_refs of anonymous memory ages the pages of files too", "stateful.clear-refs",
        (Edit("core_mm.task_mmu", "        return int(VMA.vm_file[vma] != 0)\n", "        return 0\n"),),
        arch="generic",
    ),
    Mutant(
        "A-noreplace", "MAP_FIXED_NOREPLACE looks at the first page alone", "stateful.errors",
        (Edit("core_mm.mmap", "find_vma_intersection(mm, addr, addr + size):\n        return -EEXIST",
              "find_vma_intersection(mm, addr, addr + cfg.page_size):\n        return -EEXIST"),),
        arch="generic",
    ),
    Mutant(
        "A-remap-next", "mremap refuses to move next to where the pages are", "stateful.borders",
        (Edit("core_mm.mremap", "if addr + old_len > new_addr and", "if addr + old_len >= new_addr and"),),
        arch="generic",
    ),
    Mutant(
        "A-remap-over", "and moves over the last page of where they are", "stateful.errors",
        (Edit("core_mm.mremap", "if addr + old_len > new_addr and",
              "if addr + old_len - cfg.page_size > new_addr and"),),
        arch="generic",
    ),
    Mutant(
        "A-remap-swap", "or leaves behind what is in swap", "stateful.history",
        (Edit("core_mm.move_page_tables", "        if not pte_none(pte):\n            force_flush",
              "        if pte_present(pte):\n            force_flush"),),
        arch="generic",
    ),
    Mutant(
        "A-protect-hole", "mprotect steps over a hole", "stateful.errors",
        (Edit("core_mm.mprotect", "    if vma == 0 or VMA.vm_start[vma] > start:\n        return -ENOMEM\n", ""),
         Edit("core_mm.mprotect", "            error = -ENOMEM\n", "            at = end\n")),
        arch="generic",
    ),
    Mutant(
        "A-locked", "MADV_DONTNEED takes locked pages away", "stateful.errors",
        (Edit("core_mm.madvise", "else VM_PFNMAP | VM_LOCKED\n", "else VM_PFNMAP\n"),),
        arch="generic",
    ),
    Mutant(
        "A-address", "a fault tells set_ptes the address of another page", "stateful.random",
        (Edit("core_mm.memory.fault", "    set_ptes(mm, address, ptep, entry, nr)\n",
              "    set_ptes(mm, address + cfg.page_size, ptep, entry, nr)\n"),),
        arch="generic",
    ),
    Mutant(
        "A-unwatched", "flushes are counted one by one where nobody asks for their addresses", "differential.watched",
        (Edit("arches.arm64.tlbflush", "    for _ in range(pages if step == 1 else -(-pages // step)):\n",
              "    for _ in range(pages):\n"),),
    ),
    Mutant(
        "A-stack-gap", "a stack grows down to what is mapped below", "stateful.stack",
        (Edit("core_mm.mmap", "if addr - VMA.vm_end[prev] < STACK_GUARD_PAGES << cfg.page_shift:",
              "if addr < VMA.vm_end[prev]:"),),
        arch="generic",
    ),
    Mutant(
        "A-stack-limit", "and without end", "stateful.stack",
        (Edit("core_mm.mmap", "VMA.vm_end[vma] - addr > STACK_RLIMIT or",
              "VMA.vm_end[vma] - addr > STACK_RLIMIT << 1 or"),),
        arch="generic",
    ),
    Mutant(
        "A-heap", "the heap grows into the mapping above", "stateful.heap",
        (Edit("core_mm.mmap", "find_vma_intersection(mm, oldbrk, newbrk + cfg.page_size)", "newbrk == 0"),),
        arch="generic",
    ),
    Mutant(
        "A-grow", "mremap populates the pages by which a locked mapping grows one page short", "stateful.remap",
        (Edit("core_mm.mremap", "        mm_populate(mm, addr + old_len, new_len - old_len)\n    return addr\n",
              "        mm_populate(mm, addr + old_len, new_len - old_len - cfg.page_size)\n    return addr\n"),),
        arch="generic",
    ),
    Mutant(
        "A-dontfork", "fork copies what MADV_DONTFORK keeps from the child", "stateful.inherited",
        (Edit("core_mm.fork", "        if not VMA.vm_flags[mpnt] & VM_DONTCOPY:\n", "        if mpnt:\n"),),
        arch="generic",
    ),
    Mutant(
        "A-reclaim-locked", "MADV_PAGEOUT takes locked pages that a neighbour's range ends with", "stateful.errors",
        (Edit("core_mm.madvise", "        if flags & (VM_LOCKED | VM_PFNMAP):\n", "        if flags & VM_PFNMAP:\n"),),
        arch="generic",
    ),
    Mutant(
        "A-whole-table", "mremap hangs a table of tables in its new place before it takes it out of the old one",
        "stateful.whole-tables",
        (Edit("core_mm.move_page_tables", "    store(old_pudp, 0)\n    store(new_pudp, pud)\n",
              "    store(new_pudp, pud)\n    store(old_pudp, 0)\n"),),
    ),
    Mutant(
        "A-account", "mprotect does not account memory that becomes writable, which keeps mappings apart",
        "stateful.merges", (Edit("core_mm.mprotect", "            flags |= VM_ACCOUNT\n", "            pass\n"),),
        arch="generic",
    ),
    Mutant(
        "A-room", "fallocate takes a range that begins within a file's room and ends behind it", "stateful.errors",
        (Edit("core_mm.fallocate", "size > room - offset", "size > room + offset"),), arch="generic",
    ),
)
