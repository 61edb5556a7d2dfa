"""`--json` of map, explain, run --top and run --steps: the numbers of a run, found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import mmarch
from mmarch.cli import main

FORK = str(Path(__file__).parents[3] / "examples" / "scenarios" / "fork.scn")


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]):
    """What a command prints as JSON."""

    def run(*words: str) -> Any:
        assert main([words[0], "-q", *words[1:], "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def result() -> mmarch.Result:
    """Counts of the scenario."""
    return mmarch.run(FORK, engine="linked")


def test_a_map_covers_what_is_mapped(printed) -> None:
    """2 MiB written: ranges of that size in one mapping, 4 KiB of them writable after one page was copied."""
    found = printed("map", FORK, "--at", "cow_one", "--range", "0x200200000-0x200400000")
    assert found["schema"] == "mmarch.map/1"
    (mapping,) = found["mappings"]
    sizes = {item["text"].split()[1]: 0 for item in mapping["ranges"]}
    for item in mapping["ranges"]:
        sizes[item["text"].split()[1]] += item["end"] - item["start"]
    assert sizes == {"ro": (2 << 20) - 4096, "RW": 4096}
    assert mapping["coverage"]["anon-rss"] == 2 << 20


def test_steps_have_every_tlbi(printed, result: mmarch.Result) -> None:
    """As many as are counted in each step, by event."""
    found = printed("run", FORK, "--steps")
    assert [step["name"] for step in found["steps"]] == [step.name for step in result.steps]
    for step, counted in zip(found["steps"], result.steps, strict=True):
        for event in result.groups["tlbi"]:
            seen = sum(tlbi["event"] == event for tlbi in step["tlbis"])
            assert seen == counted.events.get(event, 0)
    erratum = [tlbi["asid"] for tlbi in found["steps"][1]["tlbis"] if tlbi["event"] == "tlbi_repeat"]
    assert erratum == [None, None]


@pytest.mark.parametrize("by", ["op", "hook", "cause", "mapping", "task"])
def test_all_hot_spots_are_all_there_is(printed, by: str) -> None:
    """Their sums are the totals of a recording, most first."""
    found = printed("run", "numpy-pool", "--top", "100000", "--by", by)
    spots, whole = found["spots"], mmarch.run("numpy-pool", engine="linked")
    assert len(spots) == found["all"]
    assert {event: sum(spot[event] for spot in spots) for event in ("tlbi", "unfold", "fault")} == {
        event: whole.total(event) for event in ("tlbi", "unfold", "fault")
    }
    assert [spot["tlbi"] for spot in spots] == sorted((spot["tlbi"] for spot in spots), reverse=True)


def test_stories_count_tlbis(printed, result: mmarch.Result) -> None:
    """Those of one step; two stories are an array."""

    def tlbis(parts: list[Any], times: int = 1) -> int:
        own = sum(times * part["count"] for part in parts if part["text"].startswith("TLBI"))
        return own + sum(tlbis(part["parts"], times * part["count"]) for part in parts)

    step = next(step for step in result.steps if step.name == "cow_one")
    expected = sum(step.events.get(event, 0) for event in result.groups["tlbi"])
    assert tlbis(printed("explain", FORK, "--op", "cow_one")["parts"]) == expected
    both = printed(
        "explain",
        FORK,
        "--op",
        "cow_one",
        "--diff",
        "-c",
        "cpu=neoverse-n1",
        "-c",
        "cpu=neoverse-n1+norepeat_tlbi",
    )
    assert [one["configuration"]["cpu"] for one in both] == [
        "neoverse-n1",
        "neoverse-n1+norepeat_tlbi",
    ]
    assert tlbis(both[1]["parts"]) == expected - 2  # without the erratum that repeats the two waits
