"""The series keeps the meaning of core-mm, and a copy with a fault in it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmarch.check import Options, Report, check_arch

import mmarch_anon_unmap_batch

from .faults import FAULTS, planted

SOURCE = Path(mmarch_anon_unmap_batch.__file__)


def compared(with_: str, **options: int) -> Report:
    """Random programs on arm64, a sample."""
    return check_arch(
        "arm64",
        Options(only=("meaning.programs",), with_=(with_,), quick=True, **options),  # type: ignore[arg-type]
    )


def test_nothing_differs_but_what_is_declared() -> None:
    """Not in any of 400 programs."""
    report = compared("anon_unmap_batch")
    assert report.ok, report.results[0].message
    assert report.results[0].counts["programs"] == 400
    assert report.results[0].counts["swapped"] > 0
    assert set(report.declared) == {"young_set"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(tmp_path: Path, name: str) -> None:
    """As a difference in what is wrong, after few calls."""
    path = tmp_path / f"{name}.py"
    path.write_text(planted(SOURCE.read_text(), name))
    (result,) = compared(str(path)).results
    assert result.status == "fail", FAULTS[name].what
    assert any(word in result.message for word in FAULTS[name].said), result.message
    assert 3 <= len(result.steps) < 12


def test_faults_are_edits_of_this_text() -> None:
    """Each changes something, and says what."""
    text = SOURCE.read_text()
    copies = {planted(text, name) for name in FAULTS}
    assert len(copies) == len(FAULTS) == 6
    assert text not in copies
