"""The tutorial is executed: its files written, its edits made, its commands run in an environment of their own."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.pages import ROOT, Block, blocks

TUTORIAL = ROOT / "docs" / "tutorial" / "an-architecture-in-30-minutes.md"
WRAPPERS = {
    "pip": 'exec python -m pip install --quiet --no-deps --no-build-isolation --no-index "${@:2}"',
    "mmarch": 'exec python -m mmarch "$@"',
    "pytest": 'exec python -m pytest -p no:cacheprovider "$@"',
}


class Reader:
    """Someone who follows the tutorial."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "env", with_pip=False)
        self.at, self.said, self.environment = folder, "", dict(os.environ)
        programs = folder / "env" / "bin"
        for name, line in WRAPPERS.items():
            (programs / name).write_text(f"#!/bin/bash\n{line}\n")
            (programs / name).chmod(0o755)
        site = next((folder / "env" / "lib").glob("python*/site-packages"))
        (site / "parent.pth").write_text("".join(f"{path}\n" for path in sys.path if path))
        self.environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.environment["NO_COLOR"] = "1"
        self.environment.pop("PYTHONPATH", None)

    def do(self, block: Block) -> None:
        """What a block asks for."""
        if block.kind == "sh":
            self.run(block)
        elif block.mark == "prints":
            self.expect(block.text)
        elif path := block.after("file:"):
            (self.at / path).write_text(block.text)
        elif path := block.after("append to:"):
            (self.at / path).write_text((self.at / path).read_text() + "\n\n" + block.text)
        elif path := block.after("replace in:"):
            replace(self.at / path, block.text)
        elif path := block.after("edit:"):
            edit(self.at / path, block.text)
        else:
            assert block.mark == "", f"what does {block.mark!r} mean?"

    def run(self, block: Block) -> None:
        """Its lines, one by one; the last one fails if the block is marked so."""
        for line in block.text.splitlines():
            if line.startswith("cd "):
                self.at /= line.removeprefix("cd ")
                continue
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=self.at,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=1200,
            )
            self.said = done.stdout + done.stderr
            expected = 1 if block.mark == "fails" else 0
            assert done.returncode == expected, f"{line!r} exited {done.returncode}:\n{self.said[-4000:]}"

    def expect(self, text: str) -> None:
        """Each line stands in what was printed last; white space does not count, … is anything."""
        said = " ".join(self.said.split())
        for line in text.splitlines():
            pattern = ".*".join(re.escape(" ".join(part.split())) for part in line.split("…"))
            assert re.search(pattern, said), f"no {line!r} in\n{self.said[-4000:]}"


def replace(path: Path, text: str) -> None:
    """Each function of `text` takes the place of its namesake; what comes before the first goes before it."""
    source, new = path.read_text(), ast.parse(text)
    functions = [node for node in new.body if isinstance(node, ast.FunctionDef)]
    assert len(functions) == 1, "one function at a time"
    (old,) = [
        n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == functions[0].name
    ]
    lines = source.splitlines()
    first = min([old.lineno, *(d.lineno for d in old.decorator_list)])
    path.write_text("\n".join([*lines[: first - 1], *text.splitlines(), *lines[old.end_lineno :]]) + "\n")


def edit(path: Path, diff: str) -> None:
    """Lines with - become lines with +, where they and the lines without either stand together."""
    lines = diff.splitlines()
    before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
    source = path.read_text()
    assert source.count(before) == 1, f"{before!r} stands {source.count(before)} times in {path}"
    path.write_text(source.replace(before, after))


@pytest.mark.campaign
@pytest.mark.slow
def test_the_tutorial_works(tmp_path: Path) -> None:
    """From the first block to the last."""
    reader = Reader(tmp_path)
    for block in blocks(TUTORIAL):
        reader.do(block)


def test_excerpts_are_of_the_template() -> None:
    """A Python block that is not for a file shows what `mmarch arch new` writes."""
    folder = ROOT / "mmarch" / "data" / "arch_template"
    texts = [path.read_text() for path in folder.rglob("*.py.txt")]
    shown = [block.text for block in blocks(TUTORIAL) if block.kind == "python" and not block.mark]
    assert shown
    assert all(any(excerpt in text for text in texts) for excerpt in shown)
