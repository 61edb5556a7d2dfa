"""Limits of calls: a check notices one that is off by one, in either direction."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.limits import limits
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

OFF_BY_ONE = {
    "munmap 0x400048000 0x1000 returned 0; right is ENOMEM": Edit(
        "core_mm.mmap", "MM.map_count[mm] >= MAX_MAP_COUNT:", "MM.map_count[mm] > MAX_MAP_COUNT:"
    ),
    "returned SIGSEGV; right is 0": Edit(
        "core_mm.mmap", "VMA.vm_end[vma] - addr > STACK_RLIMIT", "VMA.vm_end[vma] - addr >= STACK_RLIMIT"
    ),
    "right is EINVAL": Edit("core_mm.file_ops", "size > room - offset", "size > room + 1 - offset"),
}  # fmt: skip


@pytest.mark.parametrize(("says", "edit"), OFF_BY_ONE.items(), ids=OFF_BY_ONE)
def test_a_limit_that_is_off_by_one(says: str, edit: Edit) -> None:
    """What is refused though it is allowed, and what is done though it is not."""
    assert says in told(limits, edit, release="7.3", granule="4k")
