"""`mmarch run --sanitize`: our architectures break no rule, and a plugin that does is told where, by what and how."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mmarch.conftest import Ran
from tests.support.plugins import Plugins

ROOT = Path(__file__).parents[3]
SCENARIOS = sorted((ROOT / "examples" / "scenarios").glob("*.scn"))
FORK = ROOT / "examples" / "scenarios" / "fork.scn"
RELEASES = ("6.12", "7.3")

LEAVES_ONE_OUT = """
from core_mm.mm_types import MM, VMA, cfg
from core_mm.tlb_model import Tlbi, TlbModel
from core_mm.vmstat import ARCH_EVENT, LOG_TLBI, count, write_log

PAGE, ALL, SPACE = ARCH_EVENT, ARCH_EVENT + 2, ARCH_EVENT + 1
SKIPPED = {skipped:#x}

def one(mm: int, addr: int) -> int:
    count(PAGE, 1)
    return write_log(LOG_TLBI, PAGE, addr, 1, MM.asid[mm])

@hookimpl
def flush_tlb_page(vma: int, addr: int) -> int:
    if addr == SKIPPED:
        return 0
    for _ in range({times}):
        one(VMA.vm_mm[vma], addr)
    return 0

@hookimpl
def flush_tlb_mm(mm: int) -> int:
    count(SPACE, 1)
    return write_log(LOG_TLBI, SPACE, 0, 0, MM.asid[mm])

@hookimpl
def flush_tlb_all() -> int:
    count(ALL, 1)
    return write_log(LOG_TLBI, ALL, 0, 0, 0)

@hookimpl
def flush_tlb_range(vma: int, start: int, end: int) -> int:
    addr = start
    while addr < end:
        flush_tlb_page(vma, addr)
        addr += cfg.page_size
    return 0

arch = descriptor(
    event_groups=dict.fromkeys(("tlbi_page", "tlbi_mm", "tlbi_all"), "tlbi"),
    tlb_model=TlbModel(
        tlbi={{"tlbi_page": Tlbi(scope="pages"), "tlbi_mm": Tlbi(scope="asid"), "tlbi_all": Tlbi(scope="all")}},
        synchronous=True,
    ),
)
"""


def clean(mmarch: Callable[..., Ran], *arguments: str | Path) -> int:
    """Nothing is wrong, core-mm is in order; how many flushes were judged."""
    ran = mmarch("run", "--sanitize", "-q", "--json", *arguments)
    assert ran.code == 0, ran.out + ran.err
    document = json.loads(ran.out)
    assert document["found"] == 0 and document["violations"] == document["broken"] == []
    assert all(document["superfluous"].get(event, 0) <= n for event, n in document["flushes"].items())
    return sum(document["flushes"].values())


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("arch", ["arm64", "generic"])
@pytest.mark.parametrize(
    "scenario", [path for path in SCENARIOS if path.stem in ("fork", "mremap", "pageout")]
)
def test_scenarios(mmarch: Callable[..., Ran], scenario: Path, arch: str, release: str) -> None:
    """A few, on each run of the tests."""
    assert clean(mmarch, "--arch", arch, "--release", release, scenario) > 0


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("arch", ["arm64", "generic"])
def test_every_scenario(mmarch: Callable[..., Ran], arch: str, release: str) -> None:
    """All that are shipped, with the folios that they are meant for."""
    for scenario in SCENARIOS:
        wanted = re.search(r"^orders (\S+)", scenario.read_text(), re.M)
        folios = wanted[1] if wanted and wanted[1] != "any" else "4"
        clean(mmarch, "--arch", arch, "--release", release, "--folio-orders", folios, scenario)


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("arch", ["arm64", "generic"])
@pytest.mark.parametrize("trace", ["redis-bgsave", pytest.param("numpy-pool", marks=pytest.mark.campaign)])
def test_bundled_traces(mmarch: Callable[..., Ran], trace: str, arch: str, release: str) -> None:
    """Real programs."""
    assert clean(mmarch, "--arch", arch, "--release", release, trace) > 1000


def install(plugins: Plugins, skipped: int = 0, times: int = 1) -> None:
    """A plugin that flushes pages, except one, several times each after a copy."""
    plugins.install(LEAVES_ONE_OUT.format(skipped=skipped, times=times))


def test_the_plugin_as_it_should_be(plugins: Plugins, mmarch: Callable[..., Ran]) -> None:
    """Without its mistake there is nothing to say, so that the next test is about the mistake."""
    install(plugins)
    assert clean(mmarch, "--arch", "toy", FORK) > 0


SKIPPED = 0x200205000  # the sixth page of A, which starts at the first huge page's address after 0x200000000


def test_a_missing_flush(plugins: Plugins, mmarch: Callable[..., Ran]) -> None:
    """The report names the event, the hook, the PTE before and after, the flush, the line of the scenario."""
    install(plugins, SKIPPED)
    ran = mmarch("run", "--sanitize", "-q", "--arch", "toy", FORK)
    assert ran.code == 1
    text = re.sub(r"\n +", " ", ran.out)
    assert re.search(r"^\w+(-\w+)?: .*may", text, re.M)
    assert re.search(r"at +operation \d+ \(\w+\)", text)
    assert re.search(rf"mm \d+, address {SKIPPED:#x}", text)
    assert re.search(r"PTE 0x[0-9a-f]+: 0x[0-9a-f]{16} -> 0x[0-9a-f]{16}", text)
    assert "in ptep_clear_flush" in text
    assert f"missing TLB flush of leaf entries of 1 page at {SKIPPED:#x}, ASID 0x1: there was none" in text
    assert re.search(r"line +\S*fork\.scn:\d+", text)
    assert max(map(len, ran.out.splitlines())) <= 80 + len(str(FORK))


def test_the_same_as_json(plugins: Plugins, mmarch: Callable[..., Ran]) -> None:
    """The entry before maps a frame, the one after does not; the place is in the scenario."""
    install(plugins, SKIPPED)
    ran = mmarch("run", "--sanitize", "-q", "--json", "--arch", "toy", FORK)
    assert ran.code == 1
    document = json.loads(ran.out)
    assert document["schema"] == "mmarch.sanitize/1"
    first = document["violations"][0]
    assert first["address"] == SKIPPED
    assert first["before"] != 0 and first["before"] != first["after"]
    assert first["cause"]["hook"] == "ptep_clear_flush"
    assert first["place"].startswith(f"{FORK}:")
    assert document["found"] >= len(document["violations"]) > 0


def test_superfluous_flushes_are_counted(plugins: Plugins, mmarch: Callable[..., Ran]) -> None:
    """The 512 pages of A are copied once each: of two flushes after each copy, one is for nothing."""
    install(plugins, times=2)
    ran = mmarch("run", "--sanitize", "-q", "--json", "--arch", "toy", FORK)
    assert ran.code == 0
    document = json.loads(ran.out)
    assert document["superfluous"] == {"tlbi_page": 512}
    assert json.loads(mmarch("run", "--sanitize", "-q", "--json", FORK).out)["superfluous"] == {}


def test_an_architecture_without_a_model(plugins: Plugins, mmarch: Callable[..., Ran]) -> None:
    """There is nothing to judge by; the error says what is missing."""
    plugins.install("arch = descriptor()\n")
    ran = mmarch("run", "--sanitize", "-q", "--arch", "toy", FORK)
    assert ran.code == 3
    assert "tlb_model" in ran.err
