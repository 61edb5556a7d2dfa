"""Random programs are legal, and the same for the same seed."""

from __future__ import annotations

import pytest

from mmarch.scenario import lower, parse
from mmarch.truth.observe import Twin
from mmarch.truth.random_programs import program


@pytest.mark.parametrize("number", range(25))
def test_programs_are_legal(number: int) -> None:
    """The twin executes each of them without an error."""
    scenario = parse(program(1, number)).scenarios[0]
    order = (scenario.orders or (0,))[0]
    workload = lower(scenario, 4096, order).workload
    seen = Twin(engine="interpreted").run(workload, "6.12", "neoverse-n1", 4096, order)
    assert (len(seen), seen[-1].failed) == (len(workload.steps), "")


def test_orders_are_mixed() -> None:
    """A program in three has several orders enabled at once, and the twin then has folios of several sizes."""
    found = [parse(program(1, number)).scenarios[0] for number in range(30)]
    assert [bool(one.beside) for one in found] == [number % 3 == 0 for number in range(30)]
    assert len({one.orders + one.beside for one in found if one.orders and one.beside}) > 2


def test_folios_of_several_sizes() -> None:
    """A fault takes the largest enabled order that fits its VMA: a region of 40 pages has folios of 16 and of 4."""
    text = "scenario s order 4\nbeside 2\nmap A 40\nwrite A\nend\n"
    workload = lower(parse(text).scenarios[0], 4096, 4).workload
    write = Twin(engine="interpreted").run(workload, "6.12", "neoverse-n1", 4096, 4)[1]
    assert write.calls["contpte_set_ptes"] == 2 + 2


def test_programs_are_reproducible() -> None:
    """Seed and number decide everything."""
    assert program(3, 5) == program(3, 5) != program(4, 5)
