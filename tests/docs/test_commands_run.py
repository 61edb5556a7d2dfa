"""The commands in the documentation exist, run, and print what the pages say.

A `console` block has commands after `$` and below each what it prints, on stdout, and on stderr too if the block is
marked `<!-- exits N -->`. `…` stands for anything in a line, alone for any lines; MMARCH_FILL_README=1 writes outputs
without `…` anew. In an `sh` block each line that begins with `mmarch` is run, unless it is marked
`<!-- not run: WHY -->`. A block marked `<!-- file: NAME -->` is written where the page's commands run, and one marked
`<!-- edit: NAME -->` is a diff of such a file; `<!-- shows: NAME -->` is a part of it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_commands_reference import sections
from tests.docs.test_tutorial import edit
from tests.support import forks
from tests.support.pages import PAGES, ROOT, Block, blocks

FILL = bool(os.environ.get("MMARCH_FILL_README"))
ELSEWHERE = {"an-architecture-in-30-minutes.md"}  # executed by test_tutorial.py
EXITS = re.compile(r"exits (\d+)")
ROWS = {words: set(re.findall(r"`(--?[\w-]+)", text)) for words, text in sections().items()}
ANYWHERE = {"-h", "--help", *ROWS["mmarch"], "--install-completion", "--show-completion"}


def console(text: str) -> list[tuple[str, str]]:
    """Commands of a console block, and what each prints."""
    parts = re.split(r"^\$ ((?:.*\\\n)*.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def lines(block: Block) -> list[str]:
    """Lines of a block that call mmarch."""
    if block.kind == "console":
        return [command for command, _ in console(block.text)]
    return (
        [line for line in block.text.splitlines() if line.startswith("mmarch ")] if block.kind == "sh" else []
    )


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """As in a terminal of 80 columns."""
    words = shlex.split(command.replace("\\\n", " "), comments=True)
    assert words[0] == "mmarch", f"a page may call mmarch, not {words[0]!r}"
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    return forks.run(*words[1:], cwd=folder, environment=environment)


PAGES_THAT_RUN = [
    page
    for page in PAGES
    if page.name not in ELSEWHERE
    and any(lines(block) and not block.after("not run:") for block in blocks(page))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_THAT_RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    """One after the other, in a folder of their own, beside which the examples lie."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for block in blocks(page):
        if name := block.after("file:"):
            (tmp_path / name).write_text(block.text)
        elif name := block.after("edit:"):
            edit(tmp_path / name, block.text)
        elif name := block.after("shows:"):
            assert block.text in (tmp_path / name).read_text()
        elif not block.after("not run:"):
            follow(page, block, tmp_path)


def follow(page: Path, block: Block, folder: Path) -> None:
    """Run what a block asks for, and compare."""
    expected = EXITS.match(block.mark)
    code = int(expected[1]) if expected else 0
    if block.kind == "sh":
        for line in lines(block):
            done = run(line, folder)
            assert done.returncode == code, f"{line}\n{done.stderr}"
    elif block.kind == "console":
        for command, output in console(block.text):
            done = run(command, folder)
            assert done.returncode == code, f"{command}\n{done.stderr}"
            compare(page, command, output, done.stdout + (done.stderr if code else ""))


def compare(page: Path, command: str, said: str, printed: str) -> None:
    """What a page says a command prints with what it prints; or write it there."""
    if FILL and "…\n" not in said and said != printed:
        head = f"$ {command}\n"
        page.write_text(page.read_text("utf-8").replace(head + said, head + printed, 1), "utf-8")
    else:
        assert re.fullmatch(pattern(said), printed), f"{command}\nprints\n{printed}"


def pattern(said: str) -> str:
    """Of what a page says: `…` alone in a line is any lines, else anything within its own."""
    parts = []
    for line in said.splitlines():
        parts.append(r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n")
    return "".join(parts)


def test_an_ellipsis_is_all_that_may_differ() -> None:
    """Of the comparison itself."""
    assert re.fullmatch(pattern("a … c\n…\nz\n"), "a bb c\nmore\nlines\nz\n")
    assert not re.fullmatch(pattern("a … c\n…\nz\n"), "a bb d\nmore\nz\n")
    assert not re.fullmatch(pattern("a\nz\n"), "a\nmore\nz\n")


def mentioned(page: Path) -> Iterator[str]:
    """Calls of mmarch in blocks and in the text."""
    for block in blocks(page):
        yield from lines(block)
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from (call.replace("\\|", "|") for call in re.findall(r"`(mmarch [^`\n]+)`", text))


def unknown(call: str) -> str:
    """What is wrong with a call: no such command, or options that it has not; empty if it is right."""
    words = re.split(r" -- | #| \| ", call.replace("\\\n", " "))[0].replace("[", " ").split()
    words = [word for word in words if word not in ROWS["mmarch"]]
    named = [word for word in words[1:3] if re.fullmatch(r"[a-z]+", word)]
    sizes = (size for size in (2, 1) if any(f"{name} ".startswith(prefix(named[:size])) for name in ROWS))
    name = prefix(named[: next(sizes, 0)])
    if words[1:] and words[1][0].islower() and name == prefix([]):
        return f"{call}: no such command"
    known = {option for command, rows in ROWS.items() if f"{command} ".startswith(name) for option in rows}
    given = {word.strip("],;") for word in words if re.match(r"--?[a-zA-Z]", word)}
    wrong = {option.partition("=")[0] for option in given} - known - ANYWHERE
    return f"{call}: no {', '.join(sorted(wrong))}" if wrong else ""


def prefix(words: list[str]) -> str:
    """How the names of commands begin that these words call."""
    return " ".join(["mmarch", *words, ""])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_mentioned_exist(page: Path) -> None:
    """With their options, wherever they stand in a page, run or not."""
    assert [wrong for call in mentioned(page) if (wrong := unknown(call))] == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    """Of the check itself: a command, a word of a group, an option of another command."""
    assert unknown("mmarch walk") and unknown("mmarch run --older 6.12") and unknown("mmarch --walk")
    assert not unknown("mmarch arch show NAME --hooks") and not unknown("mmarch release …")
