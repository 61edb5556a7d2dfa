"""A check that fails takes along those that stand on it, and no others."""

from __future__ import annotations

from mmarch.check import Options
from mmarch.check import run as suite
from mmarch.check.premises import PREMISES, stands_on
from mmarch.check.registry import TIERS
from mmarch.check.report import render
from mmarch.check.run import FIRST_TIERS
from mmarch.check.suite import checks
from tests.support.plugins import Plugins

NARROW = """
@hookimpl
def pte_to_swp_entry(pte: int) -> int:
    return (pte >> 12) & 0xffffff

arch = descriptor()
"""


def test_every_name_exists() -> None:
    """Premises are checks of the first tiers; what stands on them are checks and tiers."""
    known = {item.id for item in checks()}
    for premise, dependents in PREMISES.items():
        assert premise in known
        assert premise.partition(".")[0] in FIRST_TIERS
        assert set(dependents) <= known | set(TIERS)


def test_a_tier_or_a_check_stands_on_it() -> None:
    """By its own id, or by its tier's."""
    assert stands_on("stateful.random", "algebra.swap")
    assert stands_on("tlb.reclaim", "algebra.swap")
    assert not stands_on("tlb.munmap", "algebra.swap")
    assert not stands_on("tlb.munmap", "tlb.fork")


def test_what_has_nothing_to_do_with_it_goes_on(plugins: Plugins) -> None:
    """An architecture whose swap entries are too narrow: the rest is checked, and one line says what is not."""
    plugins.install(NARROW)
    report = suite.check("toy", Options(quick=True, releases=("6.12",)))
    status = {result.check: result.status for result in report.results}
    assert [id for id, is_ in status.items() if is_ == "fail"] == ["algebra.swap"]
    skipped = {result.check for result in report.results if result.reason.startswith("algebra.swap fails")}
    assert skipped == {id for id in status if stands_on(id, "algebra.swap")} - {
        result.check for result in report.results if "no tlb_model" in result.reason
    }
    assert status["batch.clear"] == status["gather.capacity"] == "pass"
    text = render(report, "table")
    assert "bit 24 of 46" in text
    assert "skipped, algebra.swap fails, on which they stand: batch.clear-swap" in text
