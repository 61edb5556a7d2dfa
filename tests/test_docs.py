"""The documentation says what the program does."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from mmarch import errors
from mmarch.cli import main

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"<!-- output: (?P<command>[^\n]+?) -->\n```\w*\n(?P<text>.*?)```", re.DOTALL)
UNFILLED = "(to be filled in)\n"
FILL = bool(os.environ.get("MMARCH_FILL_README"))


PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
Shown = tuple[Path, str, str]


def blocks() -> list[Shown]:
    """Pages, commands on them, and what the page says they print."""
    return [
        (page, found["command"], found["text"])
        for page in PAGES
        for found in BLOCK.finditer(page.read_text())
        if found["command"] != "COMMAND"
    ]


def test_pages_show_output() -> None:
    """The test below has something to hold them to."""
    assert {page.name for page, _, _ in blocks()} >= {"README.md", "errata.md"}


@pytest.mark.parametrize(
    ("page", "command", "text"), blocks(), ids=lambda value: getattr(value, "name", str(value)[:40])
)
def test_pages_show_real_output(
    page: Path, command: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every block after `<!-- output: COMMAND -->` is what the command prints."""
    if text == UNFILLED and not FILL:
        pytest.skip("not filled in yet; run with MMARCH_FILL_README=1")
    assert shlex.split(command)[0] == "mmarch"
    assert main(shlex.split(command)[1:]) == 0
    out = capsys.readouterr().out
    if FILL:
        fill(page, command, text, out)
    else:
        assert out == text


def fill(page: Path, command: str, old: str, new: str) -> None:
    """Write what the command printed into the page."""
    head = f"<!-- output: {command} -->\n```text\n"
    page.write_text(page.read_text().replace(head + old, head + new))


def test_every_error_code_is_documented() -> None:
    """Codes in the source and codes in the reference are the same."""
    source = "".join(path.read_text() for path in (ROOT / "mmarch").rglob("*.py"))
    page = (ROOT / "docs" / "reference" / "error-codes.md").read_text()
    assert set(re.findall(r'"(MM\d{3})"', source)) == set(re.findall(r"^\| (MM\d{3}) \|", page, re.M))


def test_every_exit_code_is_documented() -> None:
    """Codes of the error tree, and that of Ctrl-C."""
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()
    codes = {str(value) for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert set(re.findall(r"^\| (\d+) \|", page, re.M)) == codes | {"130"}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
