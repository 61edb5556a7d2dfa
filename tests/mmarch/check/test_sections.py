"""The checks of lazy MMU sections, kernel entries, protections and large translations, on code that does otherwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmarch.check.context import Context
from mmarch.check.tiers.permissions import protections
from mmarch.check.tiers.sections import kernel, sections
from mmarch.check.tiers.smoke import tlb
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

LAZY, BARRIERS, CACHE = "core_mm.lazy_mmu", "arches.arm64.lazy_mmu", "arches.arm64.tlb_cache"
WRONG: dict[str, tuple[Callable[[Context], object], Edit]] = {
    "lazy_mmu_mode_pause calls": (sections, Edit(LAZY, "if mach.lazy_paused == 1 and", "if mach.lazy_paused == 2 and")),
    "leaves the mode on": (
        sections, Edit(LAZY, "mach.lazy_enabled > 0 and mach.lazy_paused == 0", "mach.lazy_enabled > 0")
    ),
    "warns 0 times": (sections, Edit(LAZY, "return WARN(W_LAZY_MMU, 1)", "return 0")),
    "has no barrier for table walkers": (kernel, Edit(BARRIERS, "    dsb(ISHST)\n", "    pass\n")),
    "has no barrier for this CPU's": (kernel, Edit(BARRIERS, "    return isb()\n", "    return 0\n")),
    "makes the next section wait": (kernel, Edit(BARRIERS, "        thread_flags.lazy_mmu_pending = 0\n", "")),
    "writable, valid": (protections, Edit("arches.arm64.pgtable", "vm_flags & VM_SHARED and vm_flags & VM_WRITE",
                                          "vm_flags & VM_SHARED")),
    "flush_tlb_page of another keeps": (tlb, Edit(CACHE, "    if tlb_state.large:\n", "    if 0:\n")),
    "flush_tlb_page of the one before drops": (
        tlb, Edit(CACHE, "addr & -cfg.pmd_size, (end +", "addr & -cfg.pmd_size, (2 * end +")
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", WRONG)
def test_what_does_otherwise(words: str) -> None:
    """A pause, a barrier, a protection or a flush that is not as the kernel has it is named."""
    check, edit = WRONG[words]
    assert words in told(check, edit, "arm64", release="7.3")
