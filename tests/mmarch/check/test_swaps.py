"""What the check of swap by hand says of a core-mm that is wrong."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.swaps import swap
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

WRONG = {
    "its flags": Edit(
        "core_mm.shmem", "PG_UPTODATE | PG_SWAPBACKED | PG_DIRTY)", "PG_SWAPBACKED | PG_DIRTY)"
    ),
    "write_orders(0, 1)": Edit("core_mm.shmem", "return (2 << order) - 1", "return (2 << order) - 2"),
    "swapoff()": Edit("core_mm.swapoff", "range(1, cfg.swap_slots)", "range(1)"),
    "pages that can be written": Edit(
        "core_mm.swapoff", "while addr < end:\n        ptep", "while addr <= end:\n        ptep"
    ),
    "next_miss() from": Edit("core_mm.readahead", "< XA_CHUNK_SIZE", "<= XA_CHUNK_SIZE"),
    "its folio, slot, references": Edit(
        "core_mm.folio_split", "private + i if private else 0", "private if private else 0"
    ),
    "a fault behind the end": Edit(
        "core_mm.filemap", "return 0, VM_FAULT_SIGBUS", "return 1, VM_FAULT_SIGBUS"
    ),
    "the order of entry": Edit(
        "core_mm.memory.swap_fault", "mask = (1 << order) - 1", "mask = (2 << order) - 1"
    ),
}


def test_what_is_right() -> None:
    """Nothing is said of core-mm as it is."""
    assert (
        told(
            swap,
            Edit(
                "core_mm.shmem",
                "order = swapped_order(inode, index)",
                "order = swapped_order(inode, index) + 0",
            ),
        )
        == ""
    )


@pytest.mark.parametrize(("says", "edit"), WRONG.items(), ids=WRONG)
def test_what_is_wrong(says: str, edit: Edit) -> None:
    """What differs is named."""
    assert says in told(swap, edit)


def test_the_frame_of_a_block() -> None:
    """Where each entry of a block holds the block's first frame, the place in it counts."""
    edit = Edit("core_mm.memory.access", "pte_pfn(ptes[other]) != page", "pte_pfn(ptes[other]) == page")
    assert "the frame of entry 1" in told(swap, edit, "arm64")
