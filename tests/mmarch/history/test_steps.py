"""`mmarch run FILE.scn --steps`."""

from __future__ import annotations

from pathlib import Path

import mmarch
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


def test_a_plain_run_shows_steps_and_dumps(capsys):
    """Without --steps: the same numbers a step as out of the history, but for writes of upper tables; the same map."""
    assert main(["run", "-q", FORK]) == 0
    plain = capsys.readouterr().out.splitlines()
    assert max(map(len, plain)) <= 80
    assert main(["run", "-q", FORK, "--steps"]) == 0
    told = capsys.readouterr().out.splitlines()
    for name in ("fork", "cow_one", "cow_all", "child_exit", "munmap"):
        rows = ([line.split() for line in lines if line.startswith(f"{name} ")] for lines in (plain, told))
        first, other = (found[0] for found in rows)
        assert [first[0], first[1], *first[3:]] == [other[0], other[1], *other[3:]]
    tables = [line for line in plain if line.startswith("0x") and "PTE" in line]
    assert tables and tables == [line for line in told if line.startswith("0x") and "PTE" in line]
    assert "after_cow_one, task 0:" in plain


def test_steps_add_up_to_the_totals():
    """Every event of a run is one of a step's; a scenario without steps has a row for each line and no dumps."""
    result = mmarch.run(FORK, engine="linked")
    for event, total in result.totals.items():
        assert sum(step.events.get(event, 0) for step in result.steps) == total
    lines = mmarch.Scenario(name="s").map("A", 32).write("A").unmap("A")
    steps = mmarch.run(lines).steps
    assert [step.name for step in steps] == ["000 map A 32", "001 write A", "002 unmap A"]
    assert not any(step.dumps for step in steps)
