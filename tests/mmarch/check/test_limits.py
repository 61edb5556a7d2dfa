"""Limits of calls: a check notices one that is off by one, in either direction."""

from __future__ import annotations

from multiprocessing import get_context

import pytest

from mmarch.check.context import Context
from mmarch.check.loading import load_named
from mmarch.check.outcome import CheckFailed
from mmarch.check.tiers.limits import limits
from tests.mutants.mutant import Edit, applied

OFF_BY_ONE = {
    "munmap 0x400048000 0x1000 returned 0; right is ENOMEM": Edit(
        "core_mm.mmap", "MM.map_count[mm] >= MAX_MAP_COUNT:", "MM.map_count[mm] > MAX_MAP_COUNT:"
    ),
    "returned SIGSEGV; right is 0": Edit(
        "core_mm.mmap", "VMA.vm_end[vma] - addr > STACK_RLIMIT", "VMA.vm_end[vma] - addr >= STACK_RLIMIT"
    ),
    "right is EINVAL": Edit("core_mm.file_ops", "size > room - offset", "size > room + 1 - offset"),
}  # fmt: skip


def told(edit: Edit) -> str:
    """What the check says of core-mm with this edit."""
    generic = load_named("generic").descriptor
    with applied((edit,)):
        try:
            limits(Context(generic, generic, release="7.3", granule="4k"))
        except CheckFailed as failed:
            return str(failed)
    return "nothing"


@pytest.mark.parametrize(("says", "edit"), OFF_BY_ONE.items(), ids=OFF_BY_ONE)
def test_a_limit_that_is_off_by_one(says: str, edit: Edit) -> None:
    """What is refused though it is allowed, and what is done though it is not."""
    with get_context("fork").Pool(1) as pool:
        assert says in pool.apply(told, (edit,))
