"""`param n = 16` in a scenario, `--set n=64` by whoever runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

import mmarch
from mmarch import api
from mmarch.cli import main
from mmarch.errors import InputError
from mmarch.scenario import lower, parse, parse_settings, setting

TEXT = (
    "scenario grown\nparam n = 16\nparam all = 4*n\nmap A all\nwrite A\nstep zap_{n}: dontneed A 0 n\nend\n"
)


def test_a_default_and_what_is_chosen() -> None:
    """Without folios there is a fault a page: 4·16, 4·3, and 5 if `all` itself is chosen."""
    pages = {"": 64, "n=3": 12, "all=5,n=2": 5}
    for text, expected in pages.items():
        settings = parse_settings(filter(None, text.split(",")))
        scenario = setting(parse(TEXT).scenarios[0], settings)
        touched = [row for row in lower(scenario, 4096, 0).workload.ops.tolist() if row[3] == expected]
        assert touched, text


def test_a_value_is_a_size_of_the_language() -> None:
    """With units, names and parameters before it; the label of a step has its pages."""
    for value, pages in (("64K", 16), ("2*block", 32), ("64 KiB", 16)):
        steps = lower(setting(parse(TEXT).scenarios[0], {"n": value}), 4096, 0).workload.steps
        assert steps[-1].label == f"zap_{pages}", value


def test_a_result_names_the_values() -> None:
    """In pages, in its facts and in its title."""
    found = api.run(mmarch.Scenario(TEXT), parameters={"n": 8}, folio_orders=0)
    assert found.workload.parameters == {"n": "8", "all": "32"}
    assert found.workload.title == "grown (n=8, all=32)"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("param page = 3", "s:2:7: 'page' has a meaning already"),
        ("param n = 3\nparam n = 4", "s:3:7: 'n' has a meaning already"),
        ("param n 3", "s:2:9: write: param n = 16"),
        ("param n = ", "the value is missing"),
        ("param n = 3 4", "s:2:13: '4' is too much here"),
        ("param n = m", "s:2:11: unknown amount 'm'"),
        ("param n = 10 KiB", "s:2:11: 10 KiB is not a whole number of 4 KiB pages"),
        ("map A 4\nparam n = 3", "s:3:1: 'param' belongs before the scenario's first operation"),
        ("param n = 3\nlist l 4K 1 2\nfor n in l\ndone", "s:4:5: 'n' is a parameter"),
        ("\n".join(f"param p{i} = 1" for i in range(33)), "s:34:7: more than 32 parameters"),
    ],
)
def test_wrong_lines(lines: str, message: str) -> None:
    """Line, column and fix."""
    with pytest.raises(InputError) as caught:
        lower(parse(f"scenario s\n{lines}\n", "s").scenarios[0], 4096, 0)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "k=2"], "scenario 'grown': unknown parameter 'k'"),
        (["--set", "alll=2"], "Did you mean 'all'?"),
        (["--set", "n"], "--set 'n': write NAME=VALUE"),
        (["--set", "n=2", "--set", "n=3"], "n has the value 2 already; give it once"),
        (["--set", "n=3*"], "parameter n=3*: '3*': it ends too early"),
        (["--set", "n=1KiB"], "parameter n=1 KiB: 1 KiB is not a whole number of 4 KiB pages"),
    ],
)
def test_wrong_settings(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what would be right."""
    file = tmp_path / "grown.scn"
    file.write_text(TEXT)
    assert main(["run", str(file), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_scenario_without_parameters_and_a_trace_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Each says so."""
    with pytest.raises(InputError, match="has no parameter 'n', nor any other; add a line: param n = 16"):
        api.run(mmarch.Scenario(name="s").map("A", 1), parameters={"n": 1})
    assert main(["run", "redis-bgsave", "--set", "n=1"]) == 2
    assert "--set are for scenario files" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["run"], ["run", "--steps"], ["compare", "-c", "", "-c", "release=7.3"], ["map", "--task", "0"],
        ["explain", "--op", "zap_5"], ["ablate"], ["report", "-o", "-"],
    ],
)  # fmt: skip
def test_every_command_that_runs_a_scenario_sets(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A parameter that the file has not is refused by each of them, one that it has is taken."""
    file = tmp_path / "grown.scn"
    file.write_text(TEXT.replace("end\n", ""))
    command, *options = words
    assert main([command, str(file), "--set", "n=5", *options]) == 0
    assert main([command, str(file), "--set", "k=5", *options]) == 2
    assert "unknown parameter 'k'" in capsys.readouterr().err


def test_built_in_python() -> None:
    """The method writes the line."""
    built = mmarch.Scenario(name="s").param("n", "2*block").map("A", "n")
    assert built.text.splitlines()[1] == "param n = 2*block"
    assert api.run(built, parameters={"n": 1}).workload.parameters == {"n": "1"}
