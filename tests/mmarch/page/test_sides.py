"""What a page shows beside a run of the twin: an architecture that only interprets, a kernel, times."""

from __future__ import annotations

import pytest

from mmarch import api
from mmarch.errors import InputError
from mmarch.runs import kernel
from mmarch.runs.costs import load_costs
from tests.mmarch.page.conftest import FORK
from tests.mmarch.page.test_page import held

INTERPRETED = """
@hookimpl
def flush_tlb_all() -> int:
    return len([0]) - 1

arch = descriptor()
"""
PROFILE = """
name = "round"
description = "round numbers"
groups.tlbi = {ns = 1000, source = "assumed: round"}
events.pte_read = {ns = 10, source = "assumed: round"}
"""


@pytest.fixture
def profile(tmp_path):
    """A cost profile of one's own."""
    path = tmp_path / "round.toml"
    path.write_text(PROFILE)
    return str(path)


@pytest.fixture
def booted(monkeypatch):
    """Kernels that need no QEMU: they count what the twin of 6.12 does, but show no reads."""

    def counts(source, choice):
        found = api.run(source, release="6.12")
        totals = {name: count for name, count in found.totals.items() if name not in kernel.UNSEEN}
        return found.model_copy(update={"totals": totals, "unseen": kernel.UNSEEN, "engine": "kernel"})

    choice = kernel.KernelChoice(kernel=None, machine=None)
    monkeypatch.setattr(kernel, "kernel_choice", lambda *given: choice)
    monkeypatch.setattr(kernel, "compare_on", counts)


def notes(browser):
    """What stands below the cards of runs."""
    return browser.texts("#run .note")


def test_an_architecture_that_does_not_link(plugins, browser, tmp_path):
    """Its counts are those of the interpreter, and why there are no page tables is said; nothing is broken."""
    plugins.install(INTERPRETED)
    said = []
    page = tmp_path / "toy.html"
    page.write_text(api.make_page(FORK, arch="toy", note=said.append))
    (run,) = held(page)["runs"]
    assert run["history"] is None and run["result"]["engine"] == "interpreted"
    assert run["result"]["totals"] == dict(api.run(FORK, arch="toy", engine="interpreted").totals)
    assert any("no history" in text for text in said)
    browser.open(page)
    assert browser.errors() == []
    assert "No events over time and no page tables" in notes(browser)[0] and "link" in notes(browser)[0]
    assert browser.run("return ['map', 'causes', 'flame', 'calls'].map((name) => byId(name).hidden)") == [
        True, True, True, False,
    ]  # fmt: skip
    assert browser.texts("#calls tbody tr:last-child th") == ["total"]


def test_beside_one_that_links(plugins, browser, tmp_path):
    """The map is of the run that has one."""
    plugins.install(INTERPRETED)
    page = tmp_path / "both.html"
    page.write_text(api.make_page(FORK, {"toy": {"arch": "toy"}, "arm64": {"arch": "arm64"}}))
    browser.open(page)
    assert [run["history"] is None for run in held(page)["runs"]] == [True, False]
    assert browser.errors() == []
    assert browser.run("return [SIDES.length, byId('map').hidden]") == [1, False]
    assert notes(browser)[0].startswith("toy: No events over time")


def test_a_kernel_beside_the_twin(booted, browser, tmp_path):
    """Counts of both; what a kernel does not show is a dash; page tables are the twin's."""
    page = tmp_path / "kernel.html"
    page.write_text(api.make_page(FORK, {"kernel": {"kernel": "debian:6.12"}, "twin": {"release": "6.12"}}))
    browser.open(page)
    assert browser.errors() == []
    rows = browser.run(
        "return [...document.querySelectorAll('#totals tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))"
    )
    table = {cells[0]: cells[1:] for cells in rows}
    assert table["PTE reads"][0] == "–" and table["PTE reads"][1] != "–"
    assert table["TLBIs"][2] == "="
    assert notes(browser)[0] == f"kernel: No events over time and no page tables: {api.drawing.KERNEL}"


def test_times_are_the_profile_s(browser, tmp_path, profile):
    """The estimate is the sum of counts by price; whose it is, and that it is assumed, is said."""
    page = tmp_path / "costs.html"
    page.write_text(api.make_page(FORK, costs=profile))
    totals = held(page)["runs"][0]["result"]["totals"]
    tlbis = sum(count for name, count in totals.items() if name.startswith("tlbi_"))
    expected = (1000 * tlbis + 10 * totals["pte_read"]) / 1e6
    browser.open(page)
    cards = dict(zip(browser.texts(".card span"), browser.texts(".card strong"), strict=True))
    assert float(cards["ms (estimated)"]) == pytest.approx(expected, abs=5e-4)
    heading = browser.texts("#calls th button")[-1]
    assert heading == "ms (estimated)"
    assert float(browser.texts("#calls tbody tr:last-child td:last-child")[0]) == pytest.approx(
        expected, abs=5e-4
    )
    assert "round numbers" in notes(browser)[0] and "assumed, not measured" in notes(browser)[1]


def test_times_are_those_of_run(profile):
    """The column has the figures that `run --costs` multiplies with."""
    (column,) = (each for each in held(api.make_page(FORK, costs=profile))["columns"] if "prices" in each)
    arm64 = api.load_arch("arm64").descriptor
    assert column["prices"] == {
        event: figure.ns for event, figure in load_costs(profile, arm64).figures.items()
    }


def test_a_kernel_has_no_price(profile):
    """Refused before anything boots."""
    with pytest.raises(InputError, match="a kernel's counts have no price"):
        api.make_page(FORK, [{"kernel": "debian:6.12"}, {}], costs=profile)
