"""The guard against slow regressions: operations per page, not seconds."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SLACK = 1.03


def test_operations_per_page() -> None:
    """No kernel executes notably more than the recorded baseline (benchmarks/operations.py --update)."""
    counted = runpy.run_path(str(BENCHMARKS / "operations.py"))["counted"]()
    baseline = json.loads((BENCHMARKS / "operations.json").read_text())
    assert counted.keys() == baseline.keys()
    slower = {name: (baseline[name], now) for name, now in counted.items() if now > SLACK * baseline[name]}
    assert not slower, f"operations a page, before and now: {slower}"
