"""`--format`: the same answer in the form its reader wants."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import polars
import pytest

import mmarch
from mmarch.cli import main
from mmarch.report.fastpath import marked
from mmarch.report.forms import framed

COMMANDS = {
    "run": ["run"],
    "compare": ["compare", "-c", "release=6.7", "-c", "name=new,release=7.3"],
    "ablate": ["ablate"],
}


@pytest.fixture
def workload(tmp_path: Path) -> str:
    """Two blocks, one given back; unmapped at the end."""
    path = tmp_path / "small.scn"
    built = mmarch.Scenario(name="small").map("A", 32).write("A").madvise("A", "dontneed", 0, 16).unmap("A")
    path.write_text(built.text)
    return str(path)


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest, workload: str) -> list[str]:
    """Each command, on the workload."""
    return [*COMMANDS[request.param], workload]


def out(arguments: list[str], form: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints in a format."""
    assert main([*arguments, "--format", form]) == 0
    return capsys.readouterr().out


def test_letters_have_72_plain_columns(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No line is longer; what was run, and the version, stand below the tables."""
    lines = out(command, "lkml", capsys).splitlines()
    assert max(map(len, lines)) <= 72
    assert lines[-1].startswith(f"mmarch {mmarch.__version__}")
    assert not lines[0].startswith("arm64") and any("arm64, Linux" in line for line in lines[-6:])


def test_markdown_has_tables(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each table has a rule below its headings, and rows of as many cells."""
    text = out(command, "markdown", capsys)
    table = text.split("\n\n")[0].splitlines()
    assert table[1].startswith("| :-- |")
    assert len({line.count("|") for line in table}) == 1


def test_fastpath_is_framed(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A frame of one width, the rule of = below the headings, at most 80 columns."""
    lines = out(command, "fastpath", capsys).splitlines()
    frame = [line for line in lines if line.startswith(("+", "|"))]
    assert len({len(line) for line in frame}) == 1 and len(frame[0]) <= 80
    assert frame[1].startswith("| Benchmark") and set(frame[2]) == {"+", "="}


def test_csv_and_parquet_are_the_frame(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both hold the same rows, with a column for the configuration, the event and the count."""
    text = out(command, "csv", capsys)
    file = tmp_path / "out.parquet"
    assert main([*command, "--format", "parquet", "-o", str(file)]) == 0
    frame = polars.read_parquet(file)
    assert frame.write_csv() == text
    assert {"workload", "release", "event", "count"} <= set(frame.columns)
    assert polars.read_csv(io.StringIO(text)).height == frame.height > 0


def test_json_is_short_for_json(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json`, and both together are fine; another format with it is not."""
    assert main(["run", workload, "--json"]) == 0
    short = capsys.readouterr().out
    assert out(["run", workload], "json", capsys) == short
    assert main(["run", workload, "--json", "--format", "csv"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_page_tables_in_a_letter(capsys: pytest.CaptureFixture[str]) -> None:
    """What a scenario dumps is there, in 72 columns too; in Markdown it is a block of text."""
    fork = str(Path(__file__).parents[3] / "examples" / "scenarios" / "fork.scn")
    letter = out(["run", "-q", fork], "lkml", capsys)
    assert max(map(len, letter.splitlines())) <= 72
    assert letter.count("NG CON UXN DIRTY") + letter.count("NG CON UXN\n  DIRTY") == 3
    assert out(["run", "-q", fork], "markdown", capsys).count("```") == 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--format", "fastpth"], "Did you mean 'fastpath'?"),
        (["run", "--format", "xml"], "It has: table, markdown, lkml, fastpath, json, csv, parquet, folded, perfetto"),
        (["run", "--sanitize", "--format", "csv"], "run --sanitize has no such format. It has: table, json."),
        (["compare", "-c", "", "-c", "", "--format", "folded"], "compare has no such format."),
    ],
)
def test_what_a_command_lacks(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused at once, with the list."""
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_no_parquet_on_a_terminal(workload: str) -> None:
    """Bytes would garble it."""
    leader, follower = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "mmarch", "run", workload, "--format", "parquet"],
        stdout=follower, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(follower)
    os.close(leader)
    assert done.returncode == 2
    assert "stdout is a terminal; add -o FILE" in done.stderr


def test_marks() -> None:
    """Fewer is an improvement, unless it is no cost; from nothing there is no per cent."""
    assert [marked(200, 100), marked(200, 300), marked(7, 7), marked(0, 0)] == [
        "(I) -50.00%",
        "(R) 50.00%",
        "0.00%",
        "",
    ]
    assert [marked(0, 1200), marked(200, 300, fewer_is_better=False)] == ["(R) 1,200", "50.00%"]


def test_frames_continue() -> None:
    """Columns that do not fit stand in another frame, the names of rows repeated."""
    lines = framed(["a", "b", *["x" * 20] * 6], [[["one", "two", *["1"] * 6]]], 2)
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if line.startswith("| one | two")]
    assert len(rows) == lines.count("") + 1 == 3  # two columns of 20 beside the names
    assert sum(row.count(" 1 |") for row in rows) == 6


def test_many_workloads_and_configurations(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    """More than eight, each in a column; a table for each workload."""
    arguments = ["compare", workload, workload]
    for number in range(9):
        arguments += ["-c", f"name=n{number},release=6.12"]
    text = out(arguments, "table", capsys)
    assert text.count("small: ") == 2
    assert "n8/n0" in text and max(map(len, text.splitlines())) <= 80
