"""Tables: at most 80 columns, sums set off."""

from __future__ import annotations

import os

import pytest

from mmarch.table import WIDTH, number, table, wrap


def test_numbers_are_right_aligned() -> None:
    """Text left, numbers right, a rule above the sum."""
    assert table(["call", "n"], [["fork", "7"], ["total", "1,234"]], total=True) == [
        "call       n",
        "fork       7",
        "------------",
        "total  1,234",
    ]


def test_wide_tables_continue_below() -> None:
    """The first column is repeated, and no line is too long."""
    headings = ["call", *(f"column {i:02}" for i in range(12))]
    lines = table(headings, [["munmap", *map(str, range(100, 112))]])
    assert max(map(len, lines)) <= WIDTH
    assert [line for line in lines if line.startswith("call")] == [line for line in lines if "column" in line]
    shown = " ".join(lines).split()
    assert all(shown.count(str(i)) == 1 for i in range(100, 112))


def test_number() -> None:
    """Commas every three digits."""
    assert number(1234567) == "1,234,567"


def test_wrap_keeps_options_whole() -> None:
    """No break inside a hyphenated word."""
    assert all(len(line) <= WIDTH for line in wrap("--folio-orders " * 20))
    assert "--folio-orders" in wrap("--folio-orders " * 20)[0].split()


def test_tables_follow_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 120 columns more stands side by side, and text stays readable; without a terminal it is 80."""
    headings = ["call", *(f"column {i:02}" for i in range(9))]
    rows = [["munmap", *map(str, range(100, 109))]]
    narrow = table(headings, rows)
    with open(os.devnull, "w") as out:
        monkeypatch.setattr("os.get_terminal_size", lambda fd: os.terminal_size((120, 50)))
        monkeypatch.setattr("sys.stdout", out)
        wide, text = table(headings, rows), wrap("word " * 60)
    assert (len(narrow), len(wide)) == (5, 2)
    assert WIDTH < max(map(len, wide)) <= 120
    assert WIDTH < max(map(len, text)) <= 100
