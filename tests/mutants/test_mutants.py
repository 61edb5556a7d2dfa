"""Every bug of the catalogue is noticed by its check, which has nothing to say against the source as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from mmarch.check.suite import checks
from tests.mutants import CATALOGUE, PARTS
from tests.mutants.process import Runner, setting
from tests.mutants.rows import RECENT, ROWS
from tests.mutants.table import PAGE, mutants_of, page

LAST = {"C": 16, "T": 11, "B": 14, "H": 4}
HISTORY = [f"{letter}{number}" for letter, last in LAST.items() for number in range(1, last + 1)]
MOST_MISSING = 12


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """One for all."""
    started = Runner()
    yield started
    started.stop()


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOGUE)
def test_caught(runner: Runner, name: str) -> None:
    """The check fails with the bug, for a reason that it gives, and passes without, with the same seed."""
    outcome = runner.ask(name)
    assert outcome["status"] == "fail", f"{CATALOGUE[name].bug}: {outcome}"
    assert outcome["message"]
    sound = runner.sound(*setting(name))
    assert sound["status"] == "pass", sound


def test_every_check_named_exists() -> None:
    """A mutant that names no check would never be caught."""
    known = {item.id for item in checks()}
    assert {mutant.check for mutant in CATALOGUE.values()} <= known


def test_no_two_mutants_share_an_id() -> None:
    """The one would hide the other."""
    assert len(CATALOGUE) == sum(len(part.MUTANTS) for part in PARTS)


def test_the_history_is_complete() -> None:
    """Every row has mutants or says what is missing, not both."""
    assert list(ROWS) == HISTORY
    assert [id for id, row in ROWS.items() if bool(row.missing) == bool(mutants_of(id))] == []
    assert sum(bool(row.missing) for row in ROWS.values()) <= MOST_MISSING


def test_what_is_recent_has_its_mutants() -> None:
    """Or says what the twin does not have."""
    named = {name for _, _, by in RECENT if not isinstance(by, str) for name in by}
    assert named <= set(CATALOGUE)


def test_the_page_is_that_of_the_catalogue() -> None:
    """docs/conformance/mutants.md is made anew when the catalogue changes: python -m tests.mutants.table."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == page()
    history = text.partition("## The mutants, one by one")[0]
    assert sorted(re.findall(r"^\| ([CTBH]\d+) \|", history, re.M)) == sorted(HISTORY)
