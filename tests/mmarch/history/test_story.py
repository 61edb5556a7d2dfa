"""`mmarch explain`: what it tells against what the counters of the same operation say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mmarch.cli import main
from mmarch.history.story import Call, tell
from mmarch.runs.assemble import Request, assemble
from mmarch.runs.configure import Choices, configure
from mmarch.runs.workloads import open_workload

FORK = str(Path(__file__).parents[3] / "examples" / "scenarios" / "fork.scn")


def told(call: Call, times: int = 1) -> Counter[str]:
    """First words of the lines of a story, each as often as it happened."""
    found: Counter[str] = Counter()
    for part in call.parts:
        number = times * part.count
        if part.function is None:
            found[part.text.split()[0]] += number
        found += told(part, number)
    return found


@pytest.mark.parametrize("step", ["fork", "cow_one", "cow_all", "child_exit", "munmap"])
def test_a_story_leaves_nothing_out(step):
    """PTE reads and writes, TLBIs, DSBs and unfolds of a step are those that a linked run counts."""
    setup = configure(Choices(folio_orders="4"))
    source = open_workload(FORK)
    work = source.workload(setup)
    row = work.find(step)
    machine = assemble(setup, work, Request("linked", madvise=True), lambda _: None)
    machine.call("run_operations", 0, row)
    machine.memory.arrays["counters"][:] = 0
    machine.call("run_operations", row, row + 1)
    names = setup.arch.descriptor.event_groups
    events = setup.arch.descriptor.events
    total = {
        g: sum(machine.total(e) for e in events if names.get(e.split("_")[0] + "_") == g)
        for g in names.values()
    }
    lines = told(tell(work, setup, row, Request(madvise=True), lambda _: None).top)
    assert lines["TLBI"] == total["tlbi"]
    assert lines["DSB"] == total["barrier"]
    assert lines["read"] == machine.total("pte_read")
    assert lines["unfold"] == machine.total("unfold")


def test_a_story_names_calls_hooks_entries_and_reasons(capsys):
    """The page that is written after a fork: sixteen TLBIs on one line, with the reason, in 80 columns."""
    assert main(["explain", "-q", FORK, "--op", "cow_one"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    joined = " ".join(text.split())
    assert "ptep_clear_flush() [hook, generic]" in joined
    assert (
        "16 x TLBI VALE1IS ASID 0x1 0x200210000 to 0x20021f000; contpte_convert: Break before make" in joined
    )
    assert "contpte_convert() in arch/arm64/mm/contpte.c" in joined
    assert "unfold block at 0x200210000" in joined


def test_two_stories_side_by_side(capsys):
    """Lines that differ are marked: 7.x stops gathering early."""
    options = ["--diff", "-c", "release=6.12", "-c", "release=7.3"]
    assert main(["explain", "-q", FORK, "--op", "line:9", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("17 x read" in line and " | " in line and "17" not in line.split("|")[1] for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--op", "99"], "valid: 0 to"),
        (["--op", "cow"], "cow_one"),
        (["--op", "line:3"], "have some"),
        (["--op", "0", "--diff"], "two configurations"),
    ],
)
def test_explain_outside_the_run(options, said, capsys):
    """Exit 2, and what is valid."""
    assert main(["explain", "-q", FORK, *options]) == 2
    assert said in capsys.readouterr().err


def test_an_operation_that_does_nothing(capsys):
    """It is said, and why, on either side; an access to what is mapped is the CPU's own business."""
    assert main(["explain", "-q", "redis-bgsave", "--op", "9000"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Nothing: 0x7f5a7985e000 is mapped as the access needs it" in out and "in Linux" not in out
    sides = ["-c", "release=6.12", "-c", "release=7.3"]
    assert main(["explain", "-q", "redis-bgsave", "--op", "9000", "--diff", *sides]) == 0
    assert "Nothing" in capsys.readouterr().out
