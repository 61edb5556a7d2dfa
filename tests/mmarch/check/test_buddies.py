"""The second account of the allocator, by hand; and what the check says of an allocator that is wrong."""

from __future__ import annotations

import pytest

from mmarch.check.buddies import Buddies
from mmarch.check.tiers.frames import frames
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

WRONG = {
    "of the list of free blocks of order": Edit(
        "core_mm.page_alloc", "pfn = min(pfn, buddy)", "pfn = max(pfn, buddy)"
    ),
    "the number of free frames": Edit(
        "core_mm.page_alloc", "mach.free_pages += 1 << order", "mach.free_pages += 1"
    ),
    "the references to a free block": Edit(
        "core_mm.page_alloc", "PAGE.refcount[pfn] = 0", "PAGE.refcount[pfn] = 1"
    ),
    "is hidden": Edit("core_mm.page_alloc", "pfn + (1 << order) if pfn else 0", "pfn + 1 if pfn else 0"),
    "in use for good": Edit("core_mm.page_alloc", "PAGE.refcount[taken] = 1", "PAGE.refcount[taken] = 2"),
}


def test_buddies_become_one() -> None:
    """Of 2047 frames the first is alone: blocks of 1, 2, 4 … 1024, and again after what was taken came back."""
    account = Buddies(2047, 9, 0, 0)
    before = [list(blocks) for blocks in account.lists]
    assert [len(blocks) for blocks in before] == [1] * 10 + [0]
    taken = [account.take(3) for _ in range(4)]
    assert taken == [8, 16, 24, 32]
    for frame in taken:
        account.give(frame, 3)
    assert [sorted(blocks) for blocks in account.lists] == before
    assert account.free() == 2047


def test_single_frames_come_from_the_smallest_block() -> None:
    """The lowest first; what was freed last is taken next."""
    account = Buddies(2047, 9, 0, 0)
    assert [account.take(0) for _ in range(4)] == [1, 2, 3, 4]
    account.give(2, 0)
    assert [account.take(0), account.take(0)] == [2, 5]


def test_fragmented_memory_has_lost_frames() -> None:
    """One in every block as large as a huge page, where all have lost one."""
    account = Buddies(1023, 9, 100, 7)
    assert sorted(frame // 512 for frame in account.taken) == [0, 1]
    assert account.free() == 1021


@pytest.mark.parametrize(("says", "edit"), WRONG.items(), ids=WRONG)
def test_what_is_wrong(says: str, edit: Edit) -> None:
    """What differs is named."""
    assert says in told(frames, edit, share=0.04)
