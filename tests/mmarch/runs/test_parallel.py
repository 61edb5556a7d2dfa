"""Independent runs on all cores."""

from __future__ import annotations

import pytest

from mmarch.runs.parallel import cores, each


def test_order_is_that_of_the_items() -> None:
    """Whatever finishes first."""
    assert each(lambda n: n * n, [3, 1, 2], jobs=2) == [9, 1, 4]


def test_progress_counts_to_the_end() -> None:
    """One call an item."""
    seen: list[tuple[int, int]] = []
    each(str, [1, 2, 3], lambda done, total: seen.append((done, total)), jobs=2)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_first_error_is_raised() -> None:
    """And nothing is swallowed."""
    with pytest.raises(ZeroDivisionError):
        each(lambda n: 1 // n, [1, 0, 1], jobs=2)


def test_jobs_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """$MMARCH_JOBS, if it is a number above 0."""
    monkeypatch.setenv("MMARCH_JOBS", "3")
    assert cores() == 3
    monkeypatch.setenv("MMARCH_JOBS", "none")
    assert cores() >= 1
