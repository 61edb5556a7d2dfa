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


def test_programs_are_reproducible() -> None:
    """Seed and number decide everything."""
    assert program(3, 5) == program(3, 5) != program(4, 5)
