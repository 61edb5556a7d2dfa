"""`mmarch run FILE.scn --steps`."""

from __future__ import annotations

from pathlib import Path

from mmarch.cli import main

FORK = str(Path(__file__).parents[3] / "examples" / "scenarios" / "fork.scn")


def test_steps_are_rows_with_their_flushes_and_dumps(capsys):
    """One page written after a fork: one fault, one unfold, 16 TLBIs of the block and one of the page, N1's repeats."""
    assert main(["run", "-q", FORK, "--steps", "--cpu", "neoverse-n2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    heading = next(line.split() for line in lines if line.startswith("step"))
    assert heading == ["step", "faults", "entry", "writes", "folds", "unfolds", "TLBIs", "DSBs"]
    cow_one = next(line.split() for line in lines if line.startswith("cow_one") and len(line.split()) > 1)
    assert cow_one[1] == "1" and cow_one[4] == "1"
    assert "  after_cow_one, task 0:" in lines
    assert sum(" 1920K PTE " in line and " CON " in line for line in lines) == 1


def test_a_trace_has_no_steps(capsys):
    """Exit 2."""
    assert main(["run", "-q", "--steps"]) == 2
    assert "has no steps" in capsys.readouterr().err
