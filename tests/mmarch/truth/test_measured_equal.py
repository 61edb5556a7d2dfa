"""The twin does what real kernels were measured to do, step by step, in both engines."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from mmarch.scenario import load, lower
from mmarch.truth import exempt
from mmarch.truth.observe import Twin
from mmarch.truth.validate import DIFFERENT, EXEMPT, FIRST_ADDRESS, Report, bundled, validate

pytestmark = pytest.mark.optimized

BUNDLE = bundled()
EXEMPTIONS = exempt.load(BUNDLE.exemptions)
TWIN = Twin()


@cache
def report(path: Path) -> Report:
    """One measurement against the linked twin."""
    return validate([path], BUNDLE.scenarios, TWIN, EXEMPTIONS, BUNDLE.measurements)


@pytest.mark.slow
@pytest.mark.parametrize("path", BUNDLE.measurements, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_unexpected_difference(path: Path) -> None:
    """Every step is equal, or exempt with evidence."""
    different = {
        (row.release, result.step.scenario, result.step.order, result.step.phase)
        for row in report(path).rows
        for result in row.results
        if result.verdict == DIFFERENT
    }
    assert different == set()


@pytest.mark.slow
@pytest.mark.parametrize("path", BUNDLE.measurements, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_at_least_99_of_100(path: Path) -> None:
    """Exempt steps counted as different, too; of memory that is aged in the background, 97 of 100."""
    found = report(path)
    steps = sum(len(row.results) for row in found.rows)
    exempted = found.count(EXEMPT)
    assert found.count(DIFFERENT) <= steps / 100
    assert exempted <= steps * 3 / 100


@pytest.mark.slow
def test_no_exemption_is_idle() -> None:
    """An exemption of a step that is equal would hide the next difference."""
    assert [entry for path in BUNDLE.measurements for entry in report(path).unused] == []


@pytest.mark.parametrize(
    ("release", "cpu", "page_size", "order", "file"),
    [
        ("6.12", "cortex-a72", 4096, 4, "madv_free.scn"),
        ("7.3", "neoverse-n2", 4096, 9, "madv_cold.scn"),
        ("7.3", "neoverse-n1", 4096, 4, "mremap.scn"),
        ("6.12", "neoverse-n2", 4096, 4, "shmem.scn"),
        ("7.3", "neoverse-n2", 4096, 4, "pageout.scn"),
    ],
)
def test_engines_observe_the_same(release: str, cpu: str, page_size: int, order: int, file: str) -> None:
    """Instructions, barriers, calls and descriptors are equal in the interpreted and the linked engine."""
    path = next(path for path in BUNDLE.scenarios if path.name == file)
    scenario = load(path).scenarios[0]
    lowered = lower(scenario, page_size, order, scenario.kinds[0], FIRST_ADDRESS)
    runs = [
        Twin(engine=engine).run(lowered.workload, release, cpu, page_size, order)
        for engine in ("linked", "interpreted")
    ]
    assert runs[0] == runs[1]
