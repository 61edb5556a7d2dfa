"""The table of the README is what its commands count."""

from __future__ import annotations

import re
from pathlib import Path

import mmarch
import pytest

HERE = Path(__file__).parents[1]
EVENTS = {
    "PTE reads": ("pte_read",),
    "PTE writes": ("pte_write",),
    "unfolds": ("unfold",),
    "TLBIs": (),
    "DSBs": (),
}
MACHINES = ({"cpu": "range"}, {"cpu": "norange"}, {"arch": "generic"})


def table() -> dict[str, list[int]]:
    """Rows of the README's table."""
    rows = re.findall(r"^\| ([\w ]+?) \| ([\d,]+ \|.*) \|$", (HERE / "README.md").read_text(), re.M)
    return {name: [int(cell.replace(",", "")) for cell in cells.split(" | ")] for name, cells in rows}


@pytest.mark.parametrize("column", range(3))
def test_the_table(column: int) -> None:
    """Both columns of a machine."""
    sides = [{"release": "7.3"}, {"release": "7.3", "with_": "anon_unmap_batch"}]
    found = mmarch.compare(str(HERE / "pageout.scn"), sides, memory="2G", engine="linked", **MACHINES[column])
    assert set(table()) == set(EVENTS)
    for name, cells in table().items():
        for result, cell in zip(found.results, cells[2 * column :], strict=False):
            groups = {"TLBIs": "tlbi", "DSBs": "barrier"}
            events = EVENTS[name] or result.groups[groups[name]]
            assert sum(result.totals.get(event, 0) for event in events) == cell, name
