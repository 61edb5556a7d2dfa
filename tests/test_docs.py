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
BLOCK = re.compile(r"<!-- output: (?P<command>.*?) -->\n```\w*\n(?P<text>.*?)```", re.DOTALL)
UNFILLED = "(to be filled in)\n"
FILL = bool(os.environ.get("MMARCH_FILL_README"))


def blocks() -> list[tuple[str, str]]:
    """Commands and what the README says they print."""
    return [(found["command"], found["text"]) for found in BLOCK.finditer((ROOT / "README.md").read_text())]


@pytest.mark.parametrize(("command", "text"), blocks(), ids=lambda value: value[:40])
def test_readme_shows_real_output(command: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every block after `<!-- output: COMMAND -->` is what the command prints."""
    if text == UNFILLED and not FILL:
        pytest.skip("not filled in yet; run with MMARCH_FILL_README=1")
    assert shlex.split(command)[0] == "mmarch"
    assert main(shlex.split(command)[1:]) == 0
    out = capsys.readouterr().out
    if FILL:
        fill(command, text, out)
    else:
        assert out == text


def fill(command: str, old: str, new: str) -> None:
    """Write what the command printed into the README."""
    head = f"<!-- output: {command} -->\n```text\n"
    readme = ROOT / "README.md"
    readme.write_text(readme.read_text().replace(head + old, head + new))


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


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
