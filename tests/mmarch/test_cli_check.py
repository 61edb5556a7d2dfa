"""`mmarch check` and `mmarch run --sanitize`, as a user calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCENARIO = """scenario small
map A 64
write A
fork
child: write A 0..8
reap
unmap A
end
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Memory written, shared, copied and unmapped."""
    path = tmp_path / "small.scn"
    path.write_text(SCENARIO)
    return path


def test_a_tier_of_the_suite(mmarch: Callable[..., Any]) -> None:
    """Exit 0, and machine-readable: every result has an id, a release and a status."""
    ran = mmarch("check", "arm64", "--only", "smoke", "--quick", "-q", "--format", "json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["schema"].startswith("mmarch.check/")
    assert report["complete"] is True
    assert {result["status"] for result in report["results"]} == {"pass"}


def test_an_unknown_check_is_bad_input(mmarch: Callable[..., Any]) -> None:
    """With a suggestion."""
    ran = mmarch("check", "arm64", "--only", "smokey", "-q")
    assert ran.code == 2
    assert "smoke" in ran.err


def test_an_unknown_architecture_is_a_plugin_problem_or_bad_input(mmarch: Callable[..., Any]) -> None:
    """One message, no traceback."""
    ran = mmarch("check", "arm46", "-q")
    assert ran.code in (2, 3)
    assert "arm64" in ran.err
    assert "Traceback" not in ran.err


def test_sanitize_finds_nothing_in_arm64(mmarch: Callable[..., Any], scenario: Path) -> None:
    """And says how many flushes it judged."""
    ran = mmarch("run", "--sanitize", scenario, "--folio-orders", "4")
    assert ran.code == 0, ran.out + ran.err
    assert "0 violations" in ran.out
    assert "superfluous" in ran.out
