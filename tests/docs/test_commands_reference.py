"""The reference of commands is complete and up to date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from mmarch.cli.app import app
from tools import commands_reference

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
SHELLS = {"--install-completion", "--show-completion"}


def sections() -> dict[str, str]:
    """What the page says below each heading."""
    parts = re.split(r"^## `(.+)`\n", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def every(command: object, words: tuple[str, ...] = ("mmarch",)) -> Iterator[tuple[str, ...]]:
    """The words of every command that does something, `mmarch` itself among them."""
    inner = getattr(command, "commands", {})
    if not inner or len(words) == 1:
        yield words
    for name, item in inner.items():
        yield from every(item, (*words, name))


COMMANDS = list(every(typer.main.get_command(app)))


def test_it_is_up_to_date() -> None:
    """Run `python tools/commands_reference.py` after a change of a command."""
    assert commands_reference.main(["--check"]) == 0


def test_every_command_has_a_section() -> None:
    """In the order of the help, and none that does not exist."""
    assert list(sections()) == [" ".join(words) for words in COMMANDS]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_of_the_help_has_a_row(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """The help is what argparse of the command knows; the page is made from declarations."""
    with pytest.raises(SystemExit):
        app([*words[1:], "--help"])
    options = re.findall(r"^  (?:-\w, )?(--[\w-]+)", capsys.readouterr().out, re.MULTILINE)
    rows = set(re.findall(r"`(--[\w-]+)", sections()[" ".join(words)]))
    assert rows == set(options) - {"--help"} - SHELLS


def test_every_environment_variable_is_explained() -> None:
    """Those that the source reads."""
    source = "".join(path.read_text("utf-8") for path in (ROOT / "mmarch").rglob("*.py"))
    read = set(re.findall(r"\bMMARCH_[A-Z_]+", source)) - {
        "MMARCH_COMPLETE"
    }  # the shell's completion sets it
    assert read == set(re.findall(r"^\| `(MMARCH_[A-Z_]+)`", PAGE, re.MULTILINE))
