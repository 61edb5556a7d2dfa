"""`release`, `ablate --from --to`, `config`: features on the command line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from core_mm.features import feature
from core_mm.releases import RELEASES
from tests.mmarch.conftest import Ran

Cli = Callable[..., Ran]
SCENARIO = str(Path(__file__).parents[3] / "examples" / "one_pte.scn")
MEASURED = Path(__file__).parents[2] / "measured" / "more" / "7.2.12.neoverse-n1.json.gz"
QUIET = ("--folio-orders", "0", "-q")


def test_list(mmarch: Cli) -> None:
    """Every release, with what it comes after."""
    ran = mmarch("release", "list")
    assert ran.code == 0
    assert all(any(line.startswith(name) for line in ran.out.splitlines()) for name in RELEASES)
    found = json.loads(mmarch("release", "list", "--json").out)["releases"]
    assert {item["name"]: item["base"] for item in found}["7.3"] == "7.2"


def test_show(mmarch: Cli) -> None:
    """A release, a feature, or all features; anything else is bad input."""
    assert "tlb_reserve_space (since contpte-v4)" in mmarch("release", "show", "contpte-v4").out
    one = mmarch("release", "show", "zap_batch").out
    assert "requires gather_pairs" in one
    assert feature.table["zap_batch"].source.partition(" ")[0] in one
    assert len(json.loads(mmarch("release", "show", "--arch", "generic", "--json").out)["features"]) == len(
        feature.table
    )
    ran = mmarch("release", "show", "6.13")
    assert (ran.code, ran.out) == (2, "")


def test_diff(mmarch: Cli) -> None:
    """What came and what went, of the architecture too."""
    found = json.loads(mmarch("release", "diff", "7.2", "7.3", "--json").out)
    assert [item["name"] for item in found["went"]] == ["contpte_elide_bbml2"]
    assert "madv_cold_pmd_young" in [item["name"] for item in found["came"]]
    assert mmarch("release", "diff", "7.2", "7.2").out == "no difference\n"
    assert "- contpte_elide_bbml2" in mmarch("release", "diff", "7.2", "7.3").out


def test_trend(mmarch: Cli) -> None:
    """A row for each release; the batch page of the third version is explained by its name."""
    ran = mmarch("release", "trend", SCENARIO, *QUIET)
    assert ran.code == 0, ran.err
    for name in RELEASES:
        assert any(line.startswith(name) for line in ran.out.splitlines())
    made = ran.out.partition("6.7 to contpte-v3")[2].partition("\n\n")[0]
    assert "tlb_get_guaranteed_space: " in made
    assert "-1 batch pages" in made
    assert (
        len(json.loads(mmarch("release", "trend", SCENARIO, *QUIET, "--json").out)["steps"])
        == len(RELEASES) - 1
    )


def test_ablate_between_releases(mmarch: Cli) -> None:
    """The page is what the third version takes: each of the two goes with the other's coming; with neither, none."""
    ran = mmarch(
        "ablate", SCENARIO, "--from", "contpte-v3", "--to", "contpte-v4", *QUIET, "--sort", "batch pages"
    )
    assert ran.code == 0, ran.err
    rows = {line.split()[0]: line.split()[1:3] for line in reversed(ran.out.splitlines()) if line}
    assert rows["tlb_get_guaranteed_space"] == ["1", "1"]
    assert rows["tlb_reserve_space*"] == ["1", "0"]
    assert max(map(len, ran.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "6.12"), "--from and --to go together"),
        (("--from", "6.12", "--to", "7.4"), "Did you mean '7.3'?"),
        (("--from", "6.12", "--to", "7.3", "--sort", "TLBI"), "Did you mean"),
    ],
)
def test_ablate_refuses(mmarch: Cli, arguments: tuple[str, ...], message: str) -> None:
    """Half a pair, an unknown release, an unknown count."""
    ran = mmarch("ablate", SCENARIO, *QUIET, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_config_there_and_back(mmarch: Cli, tmp_path: Path) -> None:
    """What `config` writes, `--config` reads; options beside it win; the result carries it."""
    file = tmp_path / "seven.toml"
    chosen = ("--release", "7.3", "--without", "mremap_batch", "--folio-orders", "0", "-o", str(file))
    assert mmarch("config", *chosen).code == 0
    assert tomllib.loads(file.read_text())["without"] == ["mremap_batch"]
    found = json.loads(mmarch("run", SCENARIO, "--config", str(file), "--json", "-q").out)["configuration"]
    assert (found["release"], found["without"], found["with"]) == ("7.3", ["mremap_batch"], [])
    beside = ("--release", "7.2", "--with", "contpte_elide_bbml3", "--json", "-q")
    found = json.loads(mmarch("run", SCENARIO, "--config", str(file), *beside).out)["configuration"]
    assert (found["release"], found["with"], found["folio_orders"]) == ("7.2", ["contpte_elide_bbml3"], [])


def test_config_refuses(mmarch: Cli, tmp_path: Path) -> None:
    """Exit 2, with file and line, and nothing on stdout."""
    file = tmp_path / "bad.toml"
    file.write_text('arch = "arm64"\nrelase = "7.3"\n')
    ran = mmarch("run", SCENARIO, "--config", str(file))
    assert (ran.code, ran.out) == (2, "")
    assert f"{file}:2: unknown key 'relase'" in ran.err


def test_check_with_features(mmarch: Cli) -> None:
    """A hazard of 6.12 is gone with the feature that mended it, and the report says with what."""
    ran = mmarch(
        "check", "arm64", "--only", "batch.protnone", "--release", "6.12", "--quick", "-q",
        "--with", "pte_mkcont_keeps_type", "--format", "json",
    )  # fmt: skip
    report = json.loads(ran.out)
    assert report["with_"] == ["pte_mkcont_keeps_type"]
    assert [result["status"] for result in report["results"]] == ["xpass"]


def test_check_reads_a_configuration(mmarch: Cli, tmp_path: Path) -> None:
    """Architecture, release, granule and features of the file; an option beside it wins."""
    file = tmp_path / "six.toml"
    file.write_text('arch = "arm64"\nrelease = "6.12"\ngranule = "16k"\nwith = ["mprotect_batch"]\n')
    words = ("check", "--config", str(file), "--only", "algebra.none", "--quick", "-q")
    report = json.loads(mmarch(*words, "--format", "json").out)
    assert (report["arch"], report["granule"], report["with_"]) == ("arm64", "16k", ["mprotect_batch"])
    assert {result["release"] for result in report["results"]} == {"6.12"}
    ran = mmarch(*words, "--release", "7.3", "--granule", "4k")
    assert "granule 4k; with mprotect_batch" in ran.out
    assert "6.12" not in ran.out


VALIDATE = ("validate", "--engine", "interpreted", "-q", "--measured", str(MEASURED))


def test_validate_without_a_feature(mmarch: Cli, tmp_path: Path) -> None:
    """Linux 7.2 was recorded reading a file of ext4 into large folios: a twin without them differs, and says so."""
    assert mmarch(*VALIDATE).code == 0
    ran = mmarch(*VALIDATE, "--without", "ext4_large_folios")
    assert ran.code == 1
    assert ran.out.startswith("the twin without ext4_large_folios\n")
    file = tmp_path / "small.toml"
    file.write_text('without = ["ext4_large_folios"]\n')
    report = json.loads(mmarch(*VALIDATE, "--config", str(file), "--json").out)
    assert report["without"] == ["ext4_large_folios"]
    assert report["totals"]["different"] > 0


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (("--with", "nonsense"), "unknown feature or series 'nonsense'"),
        (("--without", "gather_pairs"), "zap_batch requires gather_pairs; add --without zap_batch"),
    ],
)
def test_validate_refuses_features(mmarch: Cli, features: tuple[str, ...], message: str) -> None:
    """By name, before anything is compared."""
    ran = mmarch(*VALIDATE, *features)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


CONFIGURED = (
    ["run"], ["compare"], ["ablate"], ["map"], ["explain"], ["check"], ["validate"], ["config"], ["release", "trend"],
)  # fmt: skip


@pytest.mark.parametrize("words", CONFIGURED, ids=" ".join)
def test_every_command_with_a_configuration_takes_features(mmarch: Cli, words: list[str]) -> None:
    """Its help names --config, --with and --without."""
    text = mmarch(*words, "--help").out
    assert all(f"  {option} " in text for option in ("--config", "--with", "--without"))


def test_validate_measurements_of_one_cpu(mmarch: Cli) -> None:
    """--cpu and --release choose among measurements; what none has is refused with those there are."""
    several = (*VALIDATE, "--measured", str(MEASURED.with_name("6.12.107.neoverse-n1.file_end.json.gz")))
    for option, value, kept in (("--release", "7.2", {"7.2"}), ("--cpu", "neoverse-n1", {"6.12", "7.2"})):
        ran = mmarch(*several, option, value, "--json")
        assert (ran.code, {row["release"] for row in json.loads(ran.out)["rows"]}) == (0, kept)
    ran = mmarch(*several, "--cpu", "neoverse-n2")
    assert (ran.code, ran.out) == (2, "")
    assert (
        ran.err
        == "mmarch: --cpu: unknown measured CPU 'neoverse-n2'. Did you mean 'neoverse-n1'? Known: neoverse-n1.\n"
    )
