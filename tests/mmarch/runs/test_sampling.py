"""Coverage over time, out of the memory of a running machine."""

from __future__ import annotations

from collections import Counter

import pytest

import mmarch
from mmarch.history import coverage

KIB = 1024


def test_every_operation_of_a_short_run() -> None:
    """Two folios of 64 KiB; one page of one is given back, which breaks its block; then all of it."""
    scenario = mmarch.Scenario(name="s").map("A", 32).write("A").madvise("A", "dontneed", 3, 1).unmap("A")
    samples = mmarch.run(scenario, folio_orders=4).coverage
    assert [one.operation for one in samples] == list(range(len(samples)))
    samples = samples[-4:]  # before them, the process begins
    whole = (
        "anon-rss",
        "anon-thp-pte-aligned-64kB",
        "anon-cont-pte-aligned-64kB",
        "anon-cont-pte-folded-64kB",
    )
    half = dict.fromkeys(whole[1:], 64 * KIB)
    assert [dict(one.bytes) for one in samples] == [
        {},
        dict.fromkeys(whole, 128 * KIB),
        {"anon-rss": 124 * KIB, **half, "anon-thp-pte-partial": 60 * KIB},
        {},
    ]
    assert samples[2].share("thp-pte-aligned") == pytest.approx(64 / 124)
    assert samples[0].share("thp-pte-aligned") == 0


def test_a_folio_that_lies_askew_is_not_aligned() -> None:
    """A folio that is moved to one page further is whole, but nothing of it can be folded."""
    scenario = mmarch.Scenario("scenario s\nmap A 16\nreserve B 64\nwrite A\nmove A to B 1\n")
    last = mmarch.run(scenario, folio_orders=4).coverage[-1]
    assert dict(last.bytes) == dict.fromkeys(("anon-rss", "anon-thp-pte-unaligned-64kB"), 64 * KIB)


@pytest.mark.parametrize("orders", ["4", "9"])
def test_as_a_history_has_it(orders: str) -> None:
    """The log leads to the same bytes as the page tables that lie in memory, at each of the moments."""
    result = mmarch.run("redis-bgsave", folio_orders=orders, engine="linked")
    history = mmarch.record_history("redis-bgsave", folio_orders=orders)
    assert len(result.coverage) == 16
    for one in result.coverage:
        mms = {mm: task for task, mm in history.tasks(one.operation).items()}
        found: Counter[str] = Counter()
        for task in mms.values():
            found += coverage(history.tables(one.operation, task))
        assert dict(one.bytes) == dict(found)


def test_frames_of_coverage() -> None:
    """A row for each key of each moment."""
    frame = mmarch.run(mmarch.Scenario(name="s").map("A", 32).write("A"), folio_orders=4).coverage_frame()
    assert frame.filter(key="anon-rss").select("bytes").to_series().to_list() == [128 * KIB]
