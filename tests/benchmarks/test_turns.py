"""What `benchmarks/against_native.py --against` makes of its arguments and of its figures."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def turns():
    """The names of turns.py."""
    return runpy.run_path(str(BENCHMARKS / "turns.py"))


@pytest.fixture
def arguments(monkeypatch):
    """What against_native.py makes of a command line."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    return runpy.run_path(str(BENCHMARKS / "against_native.py"))["arguments"]


def test_ratio_is_the_median_of_the_rounds(turns) -> None:
    """One round that a neighbour disturbed, on either side, does not move it."""
    assert turns["ratio"]([(10.0, 9.0), (10.0, 40.0), (80.0, 8.0)]) == pytest.approx(0.9)


def test_ratios_are_of_one_round_each(turns) -> None:
    """A machine that slows down between rounds slows both: medians apart would give 3/2."""
    assert turns["ratio"]([(1.0, 1.0), (2.0, 2.0), (9.0, 3.0), (2.0, 3.0), (1.0, 1.0)]) == 1.0


def test_table_has_a_row_an_operation_and_marks_what_is_slower(turns) -> None:
    """Names as in the table against the kernel; 1.05 is no more than 1.05."""
    found = {
        "arm64 7.3": {"mprotect_rw": [(10.0, 10.6)], "child_exit": [(20.0, 21.0)]},
        "generic 7.3": {"mprotect_rw": [(8.0, 2.0)], "child_exit": [(8.0, 8.0)]},
    }
    heading, first, second = turns["compared"](found)
    assert heading == ["", "arm64 7.3 old", "new", "new / old", "generic 7.3 old", "new", "new / old"]
    assert first == ["mprotect rw", "10.0", "10.6", "1.06 !", "8.0", "2.0", "0.25"]
    assert second == ["child exit", "20.0", "21.0", "1.05", "8.0", "8.0", "1.00"]
    assert turns["slower"](found) == ["arm64 7.3 mprotect rw: 1.06"]


@pytest.mark.parametrize("rounds", [1, 2, 3, 7, 21])
def test_every_round_has_a_start(turns, rounds) -> None:
    """The starts share the rounds, and none does more than one more than another."""
    shares = [turns["share"](rounds, start) for start in range(turns["STARTS"])]
    assert sum(shares) == rounds
    assert max(shares) - min(shares) <= 1


def test_arguments(arguments, tmp_path) -> None:
    """The interpreter of the other installation, and more rounds than against the kernel."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    options = arguments(["--against", str(tmp_path), "--sizes", "64,128", "--orders", "0"])
    assert (options.against, options.rounds, options.sizes, options.orders) == (python, 21, [64, 128], [0])
    assert arguments([]).rounds == 5
    assert arguments(["--rounds", "2"]).against is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--against", "/nowhere"], "no /nowhere/bin/python; give a virtual environment that has mmarch"),
        (["--rounds", "0"], "--rounds 0: there must be one"),
        (["--sizes", "64M"], "invalid integers value: '64M'"),
    ],
)
def test_wrong_arguments(arguments, capsys, given, message) -> None:
    """Exit code 2, and what is wrong."""
    with pytest.raises(SystemExit) as stopped:
        arguments(given)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
