"""The table of the README is what its command counts, and the series changes nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import mmarch
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
NAME = "lazy_mmu_with_ptes"
EVENTS = ("lazy_sections", "lazy_entries", "lazy_ranges")


def table() -> dict[str, tuple[int, ...]]:
    """System call -> its row."""
    rows = re.findall(r"^\| (\w+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", README, re.M)
    return {name: tuple(int(cell.replace(",", "")) for cell in cells) for name, *cells in rows}


@pytest.fixture(scope="module")
def runs() -> tuple[mmarch.Result, ...]:
    """The bundled trace without and with it."""
    sides = [{"release": "7.3"}, {"release": "7.3", "with_": NAME}]
    return mmarch.compare("", sides, engine="linked").results


def test_the_table(runs: tuple[mmarch.Result, ...]) -> None:
    """Every system call that has a section."""
    counted = {
        name: tuple(operation.events[event] for event in EVENTS)
        for name, operation in runs[1].operations.items()
        if "lazy_sections" in operation.events
    }
    assert counted == table()


def test_nothing_else_changes(runs: tuple[mmarch.Result, ...]) -> None:
    """Every other count is that of the release."""
    plain, told = ({k: n for k, n in result.totals.items() if k not in EVENTS} for result in runs)
    assert plain == told


def test_a_range_is_of_256_entries(runs: tuple[mmarch.Result, ...]) -> None:
    """At least one a section, and no more than the entries ask for."""
    sections, entries, ranges = (runs[1].totals[event] for event in EVENTS)
    assert sections <= ranges <= sections + entries // 256


def test_exit_invalidates_each_address_space_once(runs: tuple[mmarch.Result, ...]) -> None:
    """What the README says of it."""
    events = runs[1].operations["exit"].events
    assert f"where {events['tlbi_aside1is']} address spaces end" in " ".join(README.split())
