"""Features switched one by one, by hand and by the command."""

from __future__ import annotations

from pathlib import Path

from mmarch.runs.assemble import Request
from mmarch.runs.between import between, switched_off, switched_on
from mmarch.runs.configure import Choices, configure
from mmarch.runs.result import FeatureAblation
from mmarch.runs.run import run
from mmarch.runs.workloads import Source, open_workload

SCENARIOS = Path(__file__).parents[3] / "examples" / "scenarios"
KNOWN = configure(Choices()).known


def source(name: str) -> Source:
    """A bundled scenario."""
    return open_workload(str(SCENARIOS / f"{name}.scn"), "", "anon")


def ablated(name: str, older: str, newer: str) -> FeatureAblation:
    """Of a scenario."""
    pair = [configure(Choices(release=release)) for release in (older, newer)]
    work = source(name).workload(pair[0])
    return between(work, *pair, Request("linked"), lambda _: None, lambda done, total: None)


def test_each_alone_in_both_directions() -> None:
    """As two runs by hand would: the release with --with, and the newer one with --without."""
    found = ablated("mprotect", "6.12", "7.3")
    single = next(item for item in found.singles if item.feature == "mprotect_batch")
    counts = {}
    for label, choices in {
        "old": Choices(release="6.12"), "old+": Choices(release="6.12", with_=("mprotect_batch",)),
        "new": Choices(release="7.3"), "new-": Choices(release="7.3", without=("mprotect_batch",)),
    }.items():  # fmt: skip
        setup = configure(choices)
        counts[label] = run(source("mprotect").workload(setup), setup, Request("linked")).total("tlbi")
    assert counts["old"] > counts["old+"]
    assert single.on["tlbi"] == counts["old"] - counts["old+"]
    assert single.off.get("tlbi", 0) == counts["new-"] - counts["new"]
    assert found.total["tlbi"] == counts["old"] - counts["new"]


def test_the_remainder_is_what_is_left() -> None:
    """Total minus the sum of the singles, for either direction and every count."""
    found = ablated("fork", "6.12", "7.3")
    for counts, rest in (("on", found.remainder_on), ("off", found.remainder_off)):
        for event in {*found.total, *(name for single in found.singles for name in getattr(single, counts))}:
            parts = sum(getattr(single, counts).get(event, 0) for single in found.singles)
            assert rest.get(event, 0) == found.total.get(event, 0) - parts


def test_only_what_differs() -> None:
    """7.3 adds four features and loses one, on arm64."""
    names = {single.feature for single in ablated("mremap", "7.2", "7.3").singles}
    assert names == {
        "madv_cold_pmd_young", "contpte_elide_bbml3", "contpte_invalid_unfolded", "contpte_elide_bbml2",
        "fault_keeps_lru_batches",
    }  # fmt: skip


def test_switching_takes_along() -> None:
    """On with what it requires and without what it excludes; off with what requires it."""
    six = configure(Choices(release="6.12")).features
    assert switched_on(KNOWN, six, "file_unmap_batch") - six == {
        "file_unmap_batch", "lazyfree_unmap_batch", "tlbbatch_ranges",
    }  # fmt: skip
    assert switched_off(KNOWN, six, "gather_pairs") == six - {"gather_pairs", "zap_batch"}
    third = configure(Choices(release="contpte-v3")).features
    assert switched_on(KNOWN, third, "tlb_reserve_space") == {"tlb_reserve_space", "fork_cont_batch"}
