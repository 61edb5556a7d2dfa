"""A real kernel under QEMU; runs only where QEMU, compilers and a kernel are."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from mmarch.cli import main
from mmarch.errors import InputError
from mmarch.kernel import debian, tools
from mmarch.kernel.source import open_kernel

KERNEL = os.environ.get("MMARCH_TEST_KERNEL", "debian:6.12")
ROOT = Path(__file__).parents[3]


def _missing() -> str:
    """Why nothing can be measured here; empty if it can."""
    try:
        tools.qemu(), tools.compiler(), tools.cross_compiler()
    except InputError as error:
        return str(error).split(":", 1)[0]
    return "" if debian.find(KERNEL) else f"{KERNEL} is not in the cache (mmarch kernel get {KERNEL})"


pytestmark = pytest.mark.skipif(bool(_missing()), reason=_missing())


def test_measured_as_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A boot measures what an independent harness measured: operands, conversions, DSBs, PTEs (tests/measured)."""
    import gzip

    output = tmp_path / "m.json"
    scenario = ROOT / "examples" / "scenarios" / "dontneed.scn"
    assert main(["measure", str(scenario), "--kernel", KERNEL, "-o", str(output), "-q"]) == 0
    table = capsys.readouterr().out
    assert re.search(r"madvise +\d+ +0 +– +– ", table)
    with gzip.open(ROOT / "tests" / "measured" / "6.12.107-cloud.neoverse-n1.json.gz") as file:
        by_hand = {
            s["phase"]: s for s in json.load(file)["steps"] if s["scenario"] == "dontneed" and s["order"] == 4
        }
    ours = {step["phase"]: step for step in json.loads(output.read_text())["steps"]}
    assert ours.keys() == by_hand.keys()
    for phase, step in by_hand.items():
        names = ("runs", "valid_pages") if step["type"] == "ptes" else ("tlbi_region", "convert", "dsb_tlb")
        assert {n: ours[phase][n] for n in names} == {n: step[n] for n in names}, phase


def test_what_a_kernel_does_not_show_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    """PTE accesses are neither 0 nor left out in JSON."""
    scenario = str(ROOT / "examples" / "one_pte.scn")
    assert main(["measure", scenario, "--kernel", KERNEL, "--folio-orders", "0", "--json", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["totals"]["pte_read"] is None and document["totals"]["tlbi_vale1is"] > 0


def test_a_signal_ends_the_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A touch behind the end of a file fails with SIGBUS: exit 1, with the line."""
    path = tmp_path / "s.scn"
    path.write_text(
        "scenario s order 0\nfile F tmpfs\ntruncate F 1\nmap A 4 of F shared read write\nwrite A 2 1\nend\n"
    )
    assert main(["measure", str(path), "--kernel", KERNEL, "-q"]) == 1
    assert f"{path}:5: SIGBUS" in capsys.readouterr().err
    assert main(["validate", "--kernel", KERNEL, str(path), "-q"]) == 0, "in the twin, too"


def test_what_was_done_before_the_signal_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three pages fault, the third behind the end of the file: three faults."""
    path = tmp_path / "s.scn"
    path.write_text("scenario s order 0\nfile F tmpfs 2\nmap A 4 of F shared read write\nwrite A\nend\n")
    assert main(["measure", str(path), "--kernel", KERNEL, "-q", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["operations"]["fault"]["events"]["fault"] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cpu", "cortex-a1"], "no such CPU"),
        (["--timeout", "1"], "not done after 1 s"),
    ],
)
def test_what_goes_wrong_is_one_message(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A CPU that QEMU lacks, a boot that takes too long: exit 2."""
    scenario = str(ROOT / "examples" / "scenarios" / "exit64M.scn")
    assert main(["measure", scenario, "--kernel", KERNEL, "-q", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_kernel_beside_twin(capsys: pytest.CaptureFixture[str]) -> None:
    """TLBIs of a kernel and of its twin are in one table, and equal where the scenario runs whole VMAs."""
    arguments = ["compare", "-c", f"kernel={KERNEL}", "-c", "release=6.12", "-q", "--json"]
    assert main([*arguments, str(ROOT / "examples" / "scenarios" / "dontneed.scn")]) == 0
    kernel, twin = json.loads(capsys.readouterr().out)["results"]
    assert kernel["engine"] == "kernel"
    assert (
        kernel["operations"]["madvise"]["events"]["tlbi_vale1is"]
        == twin["operations"]["madvise"]["events"]["tlbi_vale1is"]
    )


def test_another_granule_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A kernel has one page size; release and without are the twin's."""
    scenario = str(ROOT / "examples" / "one_pte.scn")
    for given, said in (
        ("granule=16k", "pages of 4k"),
        ("release=7.3", "cannot be chosen"),
        ("without=clear_ptes", "cannot"),
    ):
        assert main(["compare", "-c", f"kernel={KERNEL},{given}", "-c", "release=6.12", scenario]) == 2
        assert said in capsys.readouterr().err


def test_config_is_known() -> None:
    """Debian's kernels come with their configuration."""
    assert re.fullmatch("[0-9a-f]{64}", open_kernel(KERNEL).config_digest or "")


def test_transcript_of_the_how_to(capsys: pytest.CaptureFixture[str]) -> None:
    """The how-to shows what its command prints, where both of its kernels are in the cache."""
    text = (ROOT / "docs" / "how-to" / "my-kernel-under-the-microscope.md").read_text()
    found = re.search(r"<!-- kernels: mmarch (.*?) -->\n```text\n(.*?)```", text, re.S)
    assert found
    arguments = found[1].split()
    wanted = [word.removeprefix("kernel=") for word in arguments if word.startswith("kernel=")]
    if missing := [name for name in wanted if debian.find(name) is None]:
        pytest.skip(f"not in the cache: {', '.join(missing)}")
    assert main([*arguments, "-q"]) == 0
    assert capsys.readouterr().out == found[2]


def test_twin_does_as_the_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    """A scenario measured now: no step of the twin differs."""
    scenario = str(ROOT / "examples" / "scenarios" / "mprotect.scn")
    assert main(["validate", "--kernel", KERNEL, scenario]) == 0


def test_the_guest_s_own_pages_are_in_no_step(tmp_path: Path) -> None:
    """Not even in a child's first, on a CPU that sets no dirty flag: what it shares is dirty before."""
    path = tmp_path / "s.scn"
    path.write_text("scenario s order 0\nmap A 32\nwrite A 11 3\nfork\nchild: read A 11 3\nreap\nend\n")
    assert main(["validate", "--kernel", KERNEL, "--cpu", "cortex-a72", str(path), "-q"]) == 0


def test_holes_are_punched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """fallocate runs in the guest: the pages of the hole are gone from the mapping, as in the twin."""
    path = tmp_path / "s.scn"
    path.write_text(
        "scenario s order 0\nfile F tmpfs 8\nmap A 8 of F shared read write\nwrite A\n"
        "fallocate F 2 4 punch_hole\nend\n"
    )
    assert main(["validate", "--kernel", KERNEL, str(path), "-q"]) == 0
    assert main(["measure", str(path), "--kernel", KERNEL, "-q"]) == 0
    assert re.search(r"punch_hole.A: 4 of 8 pages mapped", capsys.readouterr().out)
