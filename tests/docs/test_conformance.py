"""The page about the conformance suite names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from core_mm.descriptor import CAPABILITIES
from mmarch.check import FORMATS, checks
from mmarch.check.registry import TIERS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "conformance"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_tiers_are_listed_in_order() -> None:
    """A row for each."""
    tiers = PAGE.partition("## Tiers")[2].partition("## Levels")[0]
    assert tuple(re.findall(r"^\| (\w+) \| ", tiers, re.M))[1:] == TIERS


def test_commands_name_checks_that_exist() -> None:
    """Wherever the page says --only or check =."""
    known = {*TIERS, *(item.id for item in checks())}
    named = re.findall(r"--only ([\w.-]+)|check = \"([\w.-]+)\"", PAGE)
    assert {one or other for one, other in named} <= known
    assert set(re.findall(r"--format (\w+)", PAGE)) <= set(FORMATS)


def test_links_lead_somewhere() -> None:
    """Relative ones."""
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", PAGE)
    assert len(targets) > 3
    assert [target for target in targets if not (FOLDER / target).exists()] == []


def test_the_figures_are_filled_in() -> None:
    """All mutants are caught; two cores need five minutes at most."""
    figures = PAGE.partition("<!-- figures -->")[2].partition("<!-- /figures -->")[0]
    caught = re.search(r"\| mutants caught / all \| (\d+) / (\d+) \|", figures)
    assert caught and caught[1] == caught[2]
    assert re.search(r"\| `mmarch check arm64` \| \d+ s \(", figures)
    assert "no violation" in figures


def test_every_check_says_what_it_is_about() -> None:
    """A property as a sentence, and who relies on it; capabilities that exist."""
    for item in checks():
        assert item.title.endswith("."), item.id
        assert item.source or item.hooks, item.id
        assert item.requires <= set(CAPABILITIES), item.id
