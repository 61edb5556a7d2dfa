"""What the check of calls without memory says of a core-mm that is wrong."""

from __future__ import annotations

import pytest

from mmarch.check.tiers.short import short
from tests.mmarch.check.edited import told
from tests.mutants.mutant import Edit

WRONG = {
    "slots: ": Edit("core_mm.shmem", "swapped_range(filemap_get_swap(inode, i), 0)", "0"),
    "order of others": Edit(
        "core_mm.shmem", "first = index & (-1 << order)\n    for", "first = index & (-2 << order)\n    for"
    ),
    "whether the area is given up": Edit("core_mm.swapoff", "mach.swap_off = 0", "mach.swap_off = 1"),
    "folio_dup_swap() at slot": Edit(
        "core_mm.swapfile", "first >= cfg.fail_dup_swap", "first > cfg.fail_dup_swap"
    ),
    "folio_free_swap() of nobody's": Edit(
        "core_mm.swap_state", "if swap_map[slot + i]:", "if swap_map[slot - i]:"
    ),
    "a new folio is on a list": Edit("core_mm.lru", "& PG_LRU != 0", "& PG_LRU != 1"),
    "orders 0b1 of": Edit("core_mm.thp", "enabled & ~ORDERS_BELOW_ANON", "enabled"),
}


@pytest.mark.parametrize(("says", "edit"), WRONG.items(), ids=WRONG)
def test_what_is_wrong(says: str, edit: Edit) -> None:
    """What differs is named."""
    assert says in told(short, edit, share=0.04)
