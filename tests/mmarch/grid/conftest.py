"""A small grid: a scenario with a parameter, on two CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

SCENARIO = "scenario grown\nparam n = 4\nmap A 2*n\nwrite A\ndontneed A 0 n\nend\n"
SPEC = """
[axes]
workload = "*.scn"
cpu = ["neoverse-n1", "neoverse-n2"]

[axes.set]
n = { first = 1, last = 4, times = 2 }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the SPEC and its scenario lie; the store goes beside them."""
    (tmp_path / "grown.scn").write_text(SCENARIO)
    (tmp_path / "grid.toml").write_text(SPEC)
    return tmp_path
