"""Results say whether a kernel was compared, and what rests on research alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core_mm.releases import RELEASES, has
from mmarch.measurement import evidence
from mmarch.report.rests_on import of_releases
from mmarch.runs.configure import Choices, configure
from mmarch.runs.rests_on import dated
from mmarch.runs.result import Result
from tests.mmarch.conftest import Ran
from tools.feature_evidence import machines, measured, shows

Cli = Callable[..., Ran]
KNOWN = configure(Choices()).known
SCENARIO = str(Path(__file__).parents[3] / "examples" / "one_pte.scn")
QUIET = (SCENARIO, "--folio-orders", "0", "-q")


def test_machines_are_those_of_the_bundled_measurements() -> None:
    """`python -m tools.feature_evidence --machines` writes them anew; each release names a kernel that was measured."""
    assert evidence.evidence().machines == machines()
    compared = {name: release.measured for name, release in RELEASES.items() if release.measured}
    assert compared.keys() == measured().keys()
    assert all(kernel in evidence.kernels(name) for name, kernel in compared.items())


def test_evidence_is_of_features_and_measured_releases() -> None:
    """Every feature that a release of Linux has was tried, and is shown at releases that were measured."""
    tried = {name for name, item in KNOWN.items() if evidence.is_linux(item.since)}
    shown = evidence.evidence().shown
    assert shown.keys() == tried
    assert {name for names in shown.values() for name in names} <= measured().keys()


@pytest.mark.parametrize(("release", "feature"), [("6.16", "mprotect_batch"), ("6.17", "mprotect_batch")])
def test_evidence_is_found_again(release: str, feature: str) -> None:
    """Batched mprotect: with it 6.16's measurements are not met, and without it 6.17's are not."""
    assert release in evidence.evidence().shown[feature]
    assert shows(KNOWN, release, feature)


def test_where_a_feature_came() -> None:
    """Between two measured kernels, and by research; a release without a kernel rests on research where both differ."""
    found = dated(KNOWN["mprotect_batch"], "6.12", "7.3")
    assert found and (found.release, found.before, found.after) == ("6.17", "6.16.12", "6.17.13")
    assert dated(KNOWN["mprotect_batch"], "6.17", "7.3") is None
    six = evidence.research(KNOWN.values(), "6.7")
    assert "zap_batch" in six and "mprotect_batch" not in six
    assert "zap_batch" not in evidence.research(KNOWN.values(), "6.12")


def test_a_stable_kernel_may_have_what_the_next_release_lacks() -> None:
    """6.12.y and 6.17.y have pte_mkwrite_keeps_clean, 6.16.12 has not: each stands for itself."""
    item = KNOWN["pte_mkwrite_keeps_clean"]
    assert [has(name, item) for name in ("6.12", "6.16", "6.17")] == [True, False, True]
    assert evidence.stretch(item, "6.16") == ("6.16",)
    assert evidence.stretch(item, "6.18")[0] == "6.17"


def test_a_series_has_what_no_kernel_shows() -> None:
    """contpte-v3's own features are in no stretch of releases; what it lacks as 6.7 does, is in 6.7's."""
    assert evidence.stretch(KNOWN["fork_cont_batch"], "contpte-v3") == ()
    assert "6.7" in evidence.stretch(KNOWN["zap_batch"], "contpte-v3")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--release", "6.12"), "release 6.12: compared with Linux 6.12.107 on cortex-a55, "),
        (("--release", "6.7"), "release 6.7: compared with no kernel; "),
        (("--with", "mprotect_batch"), "no kernel is like 6.12 with mprotect_batch"),
        (("--arch", "generic"), "release 6.12: core-mm compared with Linux 6.12.107 on "),
    ],
)
def test_a_run_says_it(mmarch: Cli, options: tuple[str, ...], said: str) -> None:
    """Below its tables."""
    ran = mmarch("run", *QUIET, *options)
    assert ran.code == 0, ran.err
    assert said in " ".join(ran.out.split())


def test_json_has_it_and_older_json_is_read(mmarch: Cli) -> None:
    """`rests_on` of the schema; a result from before has none."""
    document = json.loads(mmarch("run", *QUIET, "--json").out)
    assert "6.12.107" in document["rests_on"]["kernels"] and document["rests_on"]["arch"] == "arm64"
    del document["rests_on"]
    assert Result.model_validate(document).rests_on is None


def test_a_comparison_says_it_of_each_release(mmarch: Cli) -> None:
    """Once, however many configurations have it."""
    ran = mmarch(
        "compare", *QUIET, "-c", "release=6.7", "-c", "release=6.12", "-c", "release=6.12,cpu=neoverse-n2"
    )
    assert [ran.out.count(f"\nrelease {name}: ") for name in ("6.7", "6.12")] == [1, 1]


def test_many_releases_in_a_line() -> None:
    """For sweeps: those with a kernel, those without, and changed ones."""
    said = of_releases(["6.7", "6.12", "6.16"], True)
    assert said.startswith(
        "compared: 6.12 with Linux 6.12.107, 6.16 with Linux 6.16.12; with no kernel: 6.7; "
    )
    assert "points with features added or left out are like no kernel" in said
