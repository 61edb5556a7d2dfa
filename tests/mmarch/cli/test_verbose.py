"""-v says what was read, and on stderr alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmarch.cli import main

SCENARIO = str(Path(__file__).parents[3] / "examples" / "one_pte.scn")
RUN = ["run", "--folio-orders", "none", SCENARIO]


@pytest.mark.parametrize("arguments", [["-v", *RUN], [*RUN, "-v"], ["--verbose", *RUN]])
def test_what_is_read(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever it stands; the answer is the same, and the next command is silent again."""
    assert main(RUN) == 0
    usual = capsys.readouterr()
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.out == usual.out
    assert f"mmarch: read: workload {SCENARIO}\n" in told.err
    assert "mmarch: read: arch 'arm64' (mmarch " in told.err
    assert told.err.count("read: arch 'arm64'") == 1
    assert "read:" not in usual.err
    assert main(RUN) == 0
    assert capsys.readouterr().err == usual.err


def test_costs_and_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that options name are told as well."""
    config = tmp_path / "c.toml"
    assert main(["config", "-o", str(config)]) == 0
    assert main(["-v", *RUN, "--config", str(config), "--costs", "ye2020-norange"]) == 0
    told = capsys.readouterr().err
    assert f"read: configuration {config}\n" in told
    assert "ye2020-norange.toml\n" in told
