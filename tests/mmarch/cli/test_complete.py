"""Completion and help."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmarch import table
from mmarch.cli import main
from tests.support import forks


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run --cpu neoverse-n", "neoverse-n1"),
        ("run --release 6.1", "6.12"),
        ("run --without clear_p", "clear_ptes"),
        ("run --costs ye", "ye2020-norange"),
        ("run --granule 1", "16k"),
        ("run redis", "redis-bgsave"),
        ("run --cpu neoverse-n2+norep", "neoverse-n2+norepeat_tlbi"),
        ("run --with mprotect_b", "mprotect_batch"),
        ("run --without mprotect_b", "mprotect_batch"),
        ("check arm64 --only tlb.r", "tlb.random"),
        ("check arm64 --only gath", "gather"),
        ("run examples/one_pte.scn --scenario one", "one_pte"),
        ("compare -c rel", "release="),
        ("compare --format fa", "fastpath"),
        ("ablate --from 6.1", "6.12"),
        ("release diff 6.12 7", "7.3"),
        ("release show mprotect_b", "mprotect_batch"),
        ("cpu show neoverse-n2+k", "neoverse-n2+kpti"),
        ("costs show ye", "ye2020-norange"),
        ("help com", "compare"),
        ("help arch sh", "show"),
        ("compare -c kernel=examples/one", "examples/one_pte.scn"),
        ("compare -c cpu=neoverse-n", "neoverse-n1"),
        ("compare -c cpu = neoverse-n", "neoverse-n1"),
        ("compare -c release = 7.3,gran", "7.3,granule="),
        ("compare -c release=7.3,with=mprotect_batch+mremap_b", "mprotect_batch+mremap_batch"),
        ("compare -c arch=generic,cpu=", "generic"),
    ],
)
def test_completion(words: str, expected: str) -> None:
    """As a shell asks for it."""
    line = f"mmarch {words}"
    environment = {**os.environ, "_MMARCH_COMPLETE": "complete_bash", "COMP_WORDS": line}
    environment["COMP_CWORD"] = str(len(line.split()) - 1)
    assert expected in forks.run(environment=environment).stdout.split()


def test_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The same text as with --help; a wrong name gets a suggestion."""
    assert main(["run", "--help"]) == 0
    usual = capsys.readouterr().out
    assert main(["help", "run"]) == 0
    assert capsys.readouterr().out.split() == usual.split()
    assert main(["help", "arch", "show"]) == 0
    assert "mmarch arch show" in capsys.readouterr().out
    assert main(["help", "rum"]) == 2
    assert "Did you mean 'run'?" in capsys.readouterr().err


def test_completion_of_whole_words() -> None:
    """Shells that do not part words at = get all of it."""
    environment = {
        **os.environ,
        "_MMARCH_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    environment["_TYPER_COMPLETE_ARGS"] = "mmarch compare -c release=7.3,cpu=neoverse-n1"
    done = subprocess.run(
        [sys.executable, "-m", "mmarch"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert "release=7.3,cpu=neoverse-n1" in done.stdout.split()


def test_a_file_is_80_wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the terminal that the command was typed in."""
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((200, 50)))
    assert table.width() == 200
    narrow = tmp_path / "narrow"
    assert main(["arch", "list", "-o", str(narrow)]) == 0
    assert main(["costs", "list", "-o", str(narrow)]) == 0
    lines = narrow.read_text().splitlines()
    assert max(map(len, lines)) <= table.WIDTH
    assert len(lines) > 2  # each profile in two, which 200 columns hold in one
    assert table.width() == 200
