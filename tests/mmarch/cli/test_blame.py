"""Errors say which option the value came from."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from mmarch import api
from mmarch.errors import InputError
from tests.mmarch.conftest import Ran

Cli = Callable[..., Ran]
FORK = str(Path(__file__).parents[3] / "examples" / "scenarios" / "fork.scn")
WRONG = {
    "arch": "nonsense", "release": "9", "cpu": "nonsense", "granule": "8k", "folio-orders": "1", "with": "nonsense",
    "without": "nonsense",
}  # fmt: skip


def refused(ran: Ran) -> str:
    """The one line of an error that is bad input."""
    assert (ran.code, ran.out) == (2, "")
    lines = [line for line in ran.err.splitlines() if line]
    assert len(lines) == 1, ran.err
    return lines[0]


@pytest.mark.parametrize("key", WRONG)
@pytest.mark.parametrize(
    "command", [("run", FORK), ("ablate", FORK), ("explain", "--op", "3", FORK), ("config",)]
)
def test_an_option(mmarch: Cli, command: tuple[str, ...], key: str) -> None:
    """Of every command that takes a configuration, and every value that is looked up or read."""
    assert refused(mmarch(*command, f"--{key}", WRONG[key])).startswith(f"mmarch: --{key}: ")


@pytest.mark.parametrize("key", WRONG)
def test_a_key_of_a_configuration(mmarch: Cli, key: str) -> None:
    """The second of two, as it was given; beside a right key."""
    wrong = f"{key}={WRONG[key]}" + (",granule=4k" if key != "granule" else ",arch=arm64")
    assert refused(mmarch("compare", FORK, "-c", "release=7.3", "-c", wrong)).startswith(
        f"mmarch: -c {wrong!r}: "
    )


@pytest.mark.parametrize("key", ["arch", "release", "cpu", "granule"])
def test_a_key_of_a_file(mmarch: Cli, tmp_path: Path, key: str) -> None:
    """Its line."""
    file = tmp_path / "bad.toml"
    file.write_text(f'memory = "1G"\n{key} = "{WRONG[key]}"\n')
    assert refused(mmarch("run", FORK, "--config", file)).startswith(f"mmarch: {file}:2: unknown {key} ")


def test_a_key_of_a_file_that_an_option_makes_wrong(mmarch: Cli, tmp_path: Path) -> None:
    """generic has no such CPU."""
    file = tmp_path / "n1.toml"
    file.write_text('cpu = "neoverse-n1"\n')
    assert refused(mmarch("run", FORK, "--config", file, "--arch", "generic")).startswith(
        f"mmarch: {file}, cpu: "
    )


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("run", FORK, "--memory", "1"), "--memory"),
        (("run", FORK, "--memory", "much"), "--memory"),
        (("run", FORK, "--folio-orders", "some"), "--folio-orders"),
        (("run", FORK, "--with", "clear_ptes"), "--with"),
        (("run", FORK, "--without", "set_ptes"), "--without"),
        (("run", FORK, "--cpu", "neoverse-n2+nonsense"), "--cpu"),
        (("run", FORK, "--costs", "nonsense"), "--costs"),
        (("run", FORK, "--scenario", "nonsense"), "--scenario"),
        (("run", FORK, "--backing", "nonsense"), "--backing"),
        (("ablate", FORK, "--from", "9", "--to", "7.3"), "--from"),
        (("ablate", FORK, "--from", "6.12", "--to", "9"), "--to"),
        (("report", FORK, "-o", "report.html", "--from", "6.12", "--to", "9"), "--to"),
        (("explain", FORK, "--op", "999"), "--op"),
        (("check", "arm64", "--release", "9"), "--release"),
        (("check", "arm64", "--cpu", "nonsense"), "--cpu"),
        (("check", "arm64", "--granule", "8k"), "--granule"),
        (("check", "arm64", "--with", "nonsense"), "--with"),
        (("check", "arm64", "--without", "nonsense"), "--without"),
        (("compare", FORK, "--release", "9", "-c", "cpu=neoverse-n1", "-c", "cpu=neoverse-n2"), "--release"),
        (("explain", FORK, "--op", "3", "--diff", "-c", "release=9", "-c", "release=7.3"), "-c 'release=9'"),
        (("cpu", "show", "neoverse-n1", "--arch", "nonsense"), "--arch"),
    ],
)
def test_whatever_else_is_looked_up(
    mmarch: Cli, words: tuple[str, ...], option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers, sizes, names within a workload, pairs of releases."""
    monkeypatch.chdir(tmp_path)
    assert refused(mmarch(*words)).startswith(f"mmarch: {option}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [("cpu", "show", "nonsense"), ("release", "diff", "9", "7.3"), ("arch", "show", "x")]
)
def test_an_argument_has_no_option(mmarch: Cli, words: tuple[str, ...]) -> None:
    """The message says what is unknown, and that is enough."""
    assert refused(mmarch(*words)).startswith("mmarch: unknown ")


def test_a_notebook_gave_no_option() -> None:
    """There the error knows the keyword, also from another process, and the name of the configuration."""
    with pytest.raises(InputError, match=r"^unknown release '9'\.") as caught:
        api.compare(FORK, {"old": {"release": "6.12"}, "new": {"release": "9"}})
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.parameter, error.configuration) == ("release", "new")
