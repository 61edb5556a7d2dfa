"""`mmarch check` and `mmarch run --sanitize`, as a user calls them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmarch.check.context import Context
from mmarch.check.layouts import ranges
from mmarch.check.loading import load_named
from tests.support.plugins import Plugins

SCENARIO = """scenario small
map A 64
write A
fork
child: write A 0..8
reap
unmap A
end
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Memory written, shared, copied and unmapped."""
    path = tmp_path / "small.scn"
    path.write_text(SCENARIO)
    return path


def test_a_tier_of_the_suite(mmarch: Callable[..., Any]) -> None:
    """Exit 0, and machine-readable: every result has an id, a release and a status."""
    ran = mmarch("check", "arm64", "--only", "smoke", "--quick", "-q", "--format", "json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["schema"].startswith("mmarch.check/")
    assert report["complete"] is True
    assert {result["status"] for result in report["results"]} == {"pass"}


def test_an_unknown_check_is_bad_input(mmarch: Callable[..., Any]) -> None:
    """With a suggestion."""
    ran = mmarch("check", "arm64", "--only", "smokey", "-q")
    assert ran.code == 2
    assert "smoke" in ran.err


def test_an_unknown_architecture_is_a_plugin_problem_or_bad_input(mmarch: Callable[..., Any]) -> None:
    """One message, no traceback."""
    ran = mmarch("check", "arm46", "-q")
    assert ran.code in (2, 3)
    assert "arm64" in ran.err
    assert "Traceback" not in ran.err


def repro(out: str) -> list[str]:
    """The command after the word `again`."""
    (line,) = [line for line in out.splitlines() if line.startswith("  again   ")]
    return shlex.split(line.removeprefix("  again   "))


BROKEN = """
@hookimpl
def pte_mkold(pte: int) -> int:
    return pte

arch = descriptor()
"""


@pytest.mark.parametrize("options", [[], ["--quick", "--seed", "7"], ["--level", "all", "--granule", "4k"]])
def test_the_line_that_shows_it_again(
    mmarch: Callable[..., Any], plugins: Plugins, options: list[str]
) -> None:
    """It names nothing that is the default, and prints the same failure once more."""
    plugins.install(BROKEN)
    first = mmarch("check", "toy", "--only", "algebra.young", "--release", "6.12", "-q", *options)
    assert first.code == 1
    command = repro(first.out)
    assert command[:6] == ["mmarch", "check", "toy", "--only", "algebra.young", "--release"]
    assert ("--seed" in command) == ("--seed" in options) and ("--quick" in command) == ("--quick" in options)
    assert "--level" not in command and "--operations" not in command
    again = mmarch(*command[1:], "-q")
    assert again.code == 1
    shown = [out.out[out.out.index("FAIL") :] for out in (first, again)]
    assert shown[0] == shown[1]


def test_a_check_that_is_named_runs_whatever_its_level(mmarch: Callable[..., Any]) -> None:
    """Nothing would run otherwise, which looks like success."""
    ran = mmarch("check", "arm64", "--only", "load.links", "--release", "6.12", "-q", "--format", "json")
    report = json.loads(ran.out)
    assert [(result["level"], result["status"]) for result in report["results"]] == [("should", "pass")]


def test_a_larger_share_contains_the_smaller_one() -> None:
    """So that what fails in a sample fails in a run of that check alone, which looks at more."""
    arch, generic = load_named("arm64").descriptor, load_named("generic").descriptor
    seen: set[tuple[int, int]] = set()
    for share in (0.0005, 0.0024, 0.04, 0.06, 0.5, 1.0):
        context = Context(arch, generic, seed=3, share=share, name="batch.clear")
        batches = set(ranges(context, 16, "mixed"))
        assert seen <= batches
        seen = batches
    assert len(seen) == 48 * 49 // 2  # every start in three blocks with every length that fits


def test_random_operations(mmarch: Callable[..., Any]) -> None:
    """As many as one asks for; the report says how many flushes were judged."""
    asked = ("--only", "tlb.random", "--operations", "1500", "--release", "7.3")
    ran = mmarch("check", "arm64", *asked, "-q", "--format", "json")
    report = json.loads(ran.out)
    assert ran.code == 0, report
    assert report["operations"] == 1500
    assert [result["did"].startswith("1,500 operations (") for result in report["results"]] == [True]


def test_random_operations_find_a_missing_flush(mmarch: Callable[..., Any], plugins: Plugins) -> None:
    """And leave out what the failure does not need: an access, the call that should have flushed, little more."""
    plugins.install(
        """
        from arches.generic import arch as generic

        @hookimpl
        def tlb_flush(tlb: int) -> int:
            return 0

        events = ("tlbi_page", "tlbi_mm", "tlbi_all")
        arch = descriptor(tlb_model=generic.tlb_model, event_groups=dict.fromkeys(events, "tlbi"))
        """
    )
    ran = mmarch("check", "toy", "--only", "tlb.random", "--release", "6.12", "-q", "--format", "json")
    (result,) = json.loads(ran.out)["results"]
    assert result["status"] == "fail"
    assert "missing TLB flush" in result["message"]
    assert 3 <= len(result["steps"]) <= 12


def test_skips_are_explained(mmarch: Callable[..., Any]) -> None:
    """Once for each reason."""
    ran = mmarch("check", "generic", "--only", "contiguous", "--release", "6.12", "-q", "--quick")
    assert ran.code == 0
    assert "skipped, the architecture does not claim contiguous: contiguous." in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_notes_are_of_what_is_wrong(mmarch: Callable[..., Any], plugins: Plugins) -> None:
    """stderr has a line for each failure and none for what passes."""
    plugins.install(BROKEN)
    ran = mmarch("check", "toy", "--only", "algebra", "--release", "6.12", "--quick")
    notes = [line for line in ran.err.splitlines() if line.startswith("mmarch: ")]
    assert "mmarch: fail algebra.young [6.12]" in notes
    assert not [line for line in notes if line.startswith("mmarch: pass")]


def test_sanitize_finds_nothing_in_arm64(mmarch: Callable[..., Any], scenario: Path) -> None:
    """And says how many flushes it judged."""
    ran = mmarch("run", "--sanitize", scenario, "--folio-orders", "4")
    assert ran.code == 0, ran.out + ran.err
    assert "0 violations" in ran.out
    assert "superfluous" in ran.out
