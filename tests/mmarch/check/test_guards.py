"""The check of what guards of core-mm stand for, on a core-mm without one of them."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.guards import guards
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

WITHOUT = {
    "a mapping that a new range makes larger": Edit(
        "core_mm.vma_merge", "    if flags & VM_SPECIAL:", "    if 0:"
    ),
    "a mapping that takes over its neighbour": Edit(
        "core_mm.vma_merge", "(VMA.vm_flags[vma] | flags) & VM_SPECIAL", "VMA.vm_flags[vma] & VM_SPECIAL"
    ),
    "can_change_pte_writable()": Edit("core_mm.mprotect", "    if pte_protnone(pte):\n", "    if 0:\n"),
    "can_change_pmd_writable()": Edit("core_mm.huge_memory", "VM_WRITE or pte_protnone(entry):", "VM_WRITE:"),
    "vm_ops_needs_writenotify()": Edit(
        "core_mm.vma", "if inode == 0:\n        return 0", "if inode == 0:\n        return 1"
    ),
    "do_anonymous_page()": Edit(
        "core_mm.memory.fault",
        "if VMA.vm_flags[vma] & VM_SHARED:\n        return VM_FAULT_SIGBUS",
        "if 0:\n        return 0",
    ),
    "whether it is writable, dirty": Edit(
        "core_mm.memory.fault",
        "    if VMA.vm_flags[vma] & VM_WRITE:\n        entry",
        "    if VMA.vm_flags[vma]:\n        entry",
    ),
    "expand_stack()": Edit(
        "core_mm.mmap",
        "VMA.vm_start[vma] <= addr:\n        return vma",
        "VMA.vm_start[vma] <= addr:\n        return 0",
    ),
    "a table that is moved to another's place": Edit(
        "core_mm.move_page_tables",
        "if ptes[new_pmdp]:\n        return 0",
        "if ptes[new_pmdp] == 1:\n        return 0",
    ),
    "mapped 1 times": Edit(
        "core_mm.rmap", "return PAGE.mapcount[folio] > 1\n    if", "return PAGE.mapcount[folio] > 0\n    if"
    ),
    "a large folio that nobody's mapping maps": Edit(
        "core_mm.rmap",
        "if not mm:\n        PAGE.index[folio + 1] = 1",
        "if not mm:\n        PAGE.index[folio + 1] = 0",
    ),
    "dirty and young for the child": Edit(
        "core_mm.memory.copy", "        pte = pte_mkclean(pte)\n    return", "        pass\n    return"
    ),
}


@pytest.mark.parametrize(("says", "edit"), WITHOUT.items(), ids=WITHOUT)
def test_a_guard_that_is_missing(says: str, edit: Edit) -> None:
    """What happens in its place is named."""
    assert says in told(guards, edit, release="7.3")
