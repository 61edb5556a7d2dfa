"""Prices fitted to times: what is known comes back, what cannot be told is refused, what is held out is predicted."""

from __future__ import annotations

import builtins
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmarch
from mmarch.cli import main
from mmarch.errors import InputError
from mmarch.papers.fit import solve
from tests.mmarch.papers.test_letters import SERIES


def table(path: Path, groups: str, *times: str) -> Path:
    """A table of times."""
    head = f'name = "own"\ndescription = "d"\n[groups]\n{groups}\n'
    path.write_text(head + "".join(f'[[times]]\nname = "t{n}"\n{text}\n' for n, text in enumerate(times)))
    return path


TWO = 'flush = ["tlbi"]\nread = ["pte_read"]'


def test_prices_that_are_exact_come_back(tmp_path: Path) -> None:
    """3 ns a read and 400 ns a TLBI, of three times."""
    rows = [(10, 100), (1, 1000), (5, 5)]
    times = [f"ns = {400 * t + 3 * r}\ncounts = {{ tlbi = {t}, pte_read = {r} }}" for t, r in rows]
    found = mmarch.fit_costs(table(tmp_path / "x.toml", TWO, *times))
    assert found.prices == pytest.approx({"flush": 400, "read": 3})
    assert found.margins == pytest.approx({"flush": 0, "read": 0}, abs=1e-9)


def test_no_price_is_negative() -> None:
    """Where the best line would have one, it is zero, and the other carries all."""
    prices, margins = solve(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([10.0, 9.0, 8.0]))
    assert prices[1] == 0 and 8 < prices[0] < 10
    assert margins[1] == 0 < margins[0]


def test_the_interval_is_student_s() -> None:
    """One group, times of 9 and 11 ns an event, relative errors: by hand, with t of one degree of freedom, 12.706."""
    prices, margins = solve(np.array([[1.0], [1.0]]), np.array([9.0, 11.0]))
    weights = [1 / 9, 1 / 11]
    price = sum(weights) / sum(w * w for w in weights)
    variance = sum((w * price - 1) ** 2 for w in weights)
    assert prices[0] == pytest.approx(price)
    assert margins[0] == pytest.approx(12.7062 * math.sqrt(variance / sum(w * w for w in weights)), rel=1e-4)


ONE = "ns = 100\ncounts = { tlbi = 1, pte_read = 1 }"


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([ONE], "1 times for 2 groups"),
        ([ONE, ONE + "\nheld_out = true"], "1 times for 2 groups"),
        ([ONE, "ns = 200\ncounts = { tlbi = 2, pte_read = 2 }"], "cannot be told apart"),
        (["ns = 5\ncounts = { tlbi = 1 }"] * 2, "no time has events of group read"),
        (["ns = 5"], "give ns and counts, or paper and row"),
        (['paper = "mprotect-m3"\nrow = "folios"'], "unknown row 'folios'"),
        (['paper = "contpte-v6"\nrow = "fork"'], "percents"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, times: list[str], said: str) -> None:
    """Fewer data than groups, groups in one proportion, groups in no time, times of nothing."""
    with pytest.raises(InputError, match=said):
        mmarch.fit_costs(table(tmp_path / "x.toml", TWO, *times))


@pytest.mark.parametrize(
    ("name", "other", "price"), [("m3", "mremap", 2174), ("m3-mremap", "mprotect", 2187)]
)
def test_one_letter_predicts_the_other(name: str, other: str, price: int) -> None:
    """A conversion on M3 is 5.7 s by 40 by 65,536, or 0.7 s by 10,000 by 32, and each gives the other within 1 %."""
    found = mmarch.fit_costs(name, with_=SERIES)
    assert found.prices["conversion"] == pytest.approx(price, abs=1)
    points = {point.time.name: point for point in found.points}
    assert points[f"{other}, 64K"].time.held_out and abs(points[f"{other}, 64K"].off) < 0.01
    assert -0.6 < points["reclaim, 64K"].off < -0.5  # a miss that stays
    assert points["mprotect, 4K"].predicted == 0 > points["mprotect, 4K"].ns
    assert found.margins == {}


def test_the_command_prints_misses_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """And writes a profile that names its data, which run takes."""
    profile = tmp_path / "m3.toml"
    assert main(["costs", "fit", "m3", "-q", "--with", SERIES, "--profile", str(profile)]) == 0
    out = capsys.readouterr().out
    assert "no interval" in out and "-55.5%" in out and "held out" in out
    figures = mmarch.show_costs(str(profile)).figures
    assert figures["fold"] == figures["unfold"] and figures["fold"].ns == pytest.approx(2174.4, abs=0.1)
    assert "mprotect, 64K" in figures["fold"].source


def test_without_the_series_its_time_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """And that is said."""
    assert main(["costs", "fit", "m3", "-q"]) == 0
    assert "reclaim, 64K: left out; its counts need series anon_unmap_batch" in " ".join(
        capsys.readouterr().out.split()
    )


def test_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install."""
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'mmarch\[fit\]'"):
        mmarch.fit_costs(table(tmp_path / "x.toml", 'flush = ["tlbi"]', "ns = 5\ncounts = { tlbi = 1 }"))
