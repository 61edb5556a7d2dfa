"""Completion and help."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mmarch.cli import main


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("run --cpu neoverse-n", "neoverse-n1"),
        ("run --release 6.1", "6.12"),
        ("run --without clear_p", "clear_ptes"),
        ("run --costs ye", "ye2020-norange"),
        ("run --granule 1", "16k"),
        ("run redis", "redis-bgsave"),
    ],
)
def test_completion(words: str, expected: str) -> None:
    """As a shell asks for it."""
    line = f"mmarch {words}"
    environment = {**os.environ, "_MMARCH_COMPLETE": "complete_bash", "COMP_WORDS": line}
    environment["COMP_CWORD"] = str(len(line.split()) - 1)
    done = subprocess.run(
        [sys.executable, "-m", "mmarch"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert expected in done.stdout.split()


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
