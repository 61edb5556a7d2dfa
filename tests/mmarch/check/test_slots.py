"""The second account of swap slots, by hand; and what the check says of an allocator that is wrong."""

from __future__ import annotations

import pytest

from mmarch.check.slots import Slots
from mmarch.check.tiers.frames import slots
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

WRONG = {
    "gets slot": Edit("core_mm.swapfile", "slot + nr <= min(end, cfg.swap_slots)", "slot + nr < end"),
    "slots are in use": Edit("core_mm.swap_state", "mach.swap_used -= 1", "mach.swap_used -= 2"),
}


def test_orders_have_clusters_of_their_own() -> None:
    """The first cluster has the header; single pages go on in theirs while larger folios fill another."""
    account = Slots(4096, 512, False)
    assert [account.take(order) for order in (0, 0, 4, 0, 4)] == [512, 513, 1024, 514, 1040]


def test_a_full_area_has_no_slots() -> None:
    """Nothing is left of 64 slots but what is given back; runs are aligned."""
    account = Slots(64, 512, True)
    assert [account.take(0) for _ in range(3)] == [1, 2, 3]
    assert account.take(4) == 16
    assert account.take(6) == 0
    account.give(2, 0)
    assert account.take(0) == 4


@pytest.mark.parametrize(("says", "edit"), WRONG.items(), ids=WRONG)
def test_what_is_wrong(says: str, edit: Edit) -> None:
    """What differs is named."""
    assert says in told(slots, edit, share=0.04)
