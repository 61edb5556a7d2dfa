"""The page as a file: what it holds, what it must not hold, what it is made from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mmarch import api
from mmarch.errors import InputError
from mmarch.page.pack import pack, steps
from tests.mmarch.page.conftest import FORK, ROOT

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def held(page: Path | str) -> dict:
    """The data that a page holds."""
    text = page if isinstance(page, str) else page.read_text()
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def unpack(text: str) -> list[int]:
    """Written anew from the definition of source maps' VLQs."""
    found, value, shift = [], 0, 0
    for letter in text:
        digit = DIGITS.index(letter)
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            found.append(-(value >> 1) if value & 1 else value >> 1)
            value, shift = 0, 0
    return found


def test_numbers_are_packed_as_in_source_maps():
    """The examples of the source map documents: 0, 1, -1, 123, 16; and both ends of what a page holds."""
    assert pack([0, 1, -1, 123, 16]) == "ACD2HgB"
    numbers = [0, 15, -16, 31, 32, 1 << 52, -(1 << 52), 7]
    assert unpack(pack(numbers)) == numbers
    assert np.cumsum(unpack(steps(numbers))).tolist() == numbers
    assert pack([]) == ""


def test_a_page_holds_the_result(folder, redis, capsys):
    """The very numbers of `run --json`."""
    from mmarch.cli import main

    assert main(["run", "--json", "-q"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert held(redis)["runs"][0]["result"] == result


def test_the_size_of_a_page(redis):
    """At most 3 MB for the bundled trace."""
    assert redis.stat().st_size <= 3_000_000


def test_a_page_needs_nothing_else(redis):
    """No address, no file, no style or script of another place."""
    text = redis.read_text()
    assert not re.search(
        r"""(?:src|href)\s*=\s*["'](?!#)|@import|url\(|fetch\(|XMLHttpRequest|WebSocket""", text
    )
    assert "default-src 'none'" in text


def test_the_counts_of_a_history_add_up(redis):
    """TLBIs, unfolds, installs and faults of all positions, of all causes and of all stacks are those of the result."""
    run = held(redis)["runs"][0]
    totals, past = run["result"]["totals"], run["history"]
    tlbis = sum(totals.get(event, 0) for event in run["result"]["groups"]["tlbi"])
    expected = [tlbis, totals["unfold"], totals.get("fold", 0), totals["cont_install"], totals["fault"]]
    assert [sum(unpack(column)) for column in past["counts"]] == expected
    for which, count in (("tlbi", tlbis), ("unfold", totals["unfold"]), ("fault", totals["fault"])):
        assert sum(row[which] for row in past["causes"]) == count
        assert sum(path[0] for path in past["stacks"]["paths"][which]) == count


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "</script><b>x", "{{script}}", "<!--<script>", "é\u2028"]
)
def test_a_name_is_text(name):
    """Whatever a workload is called, the page has one script of data and one that runs, and the name is in the data."""
    result = api.run(api.open_workload(ROOT / "examples" / "scenarios" / "fork.scn"))
    named = result.model_copy(update={"workload": result.workload.model_copy(update={"name": name})})
    text = api.make_page(named)
    assert len(re.findall("<script", text)) == len(re.findall("</script>", text)) == 2
    assert held(text)["runs"][0]["result"]["workload"]["name"] == name


def test_four_runs_are_the_most(fork):
    """More than four have no room, and it says so before anything runs."""
    with pytest.raises(InputError, match="1 to 4 runs side by side, not 5"):
        api.make_page("redis-bgsave", [{}] * 5)


NAMES = {
    "releases": ([{"release": "6.7"}, {"release": "7.3"}], ["6.7", "7.3"]),
    "what follows is left out": (
        [{"arch": "generic"}, {}, {"granule": "16k"}],
        ["generic, 4k", "arm64, 4k", "arm64, 16k"],
    ),
    "folios": ([{"folio_orders": 4}, {"folio_orders": "none"}], ["folios 64K (order 4)", "folios none"]),
    "hooks": ([{}, {"without": "pte_needs_flush"}], ["without nothing", "without pte_needs_flush"]),
    "alike": ([{}, {}], ["A", "B"]),
}


@pytest.mark.parametrize("which", NAMES)
def test_runs_are_named_by_what_differs(which):
    """Each under a name of its own, as short as it can be."""
    configurations, names = NAMES[which]
    workload = api.open_workload(ROOT / "examples" / "scenarios" / "populate.scn", backing="anon")
    text = api.make_page(workload, configurations)
    assert [run["name"] for run in held(text)["runs"]] == names


def test_a_terminal_gets_no_page(mmarch, monkeypatch):
    """A page on a terminal helps nobody: exit 2, with what to do, before any work."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    ran = mmarch("report")
    assert ran.code == 2 and "add -o report.html" in ran.err


def test_options_that_need_each_other(mmarch, tmp_path):
    """--from without --to, one -c alone, prices of a kernel, a kernel of none: exit 2, and what to write instead."""
    for words, expected in (
        (["--from", "6.7"], "--from and --to go together"),
        (["-c", "release=6.7"], "one is given by options"),
        (["-c", "kernel=Image", "-c", "", "--costs", "ye2020-norange"], "a kernel's counts have no price"),
        (["-c", "kernel=/nowhere/Image", "-c", ""], "/nowhere/Image"),
        (["--costs", "ye2020"], "ye2020-norange"),
    ):
        ran = mmarch("report", str(FORK), "-o", tmp_path / "x.html", *words)
        assert ran.code == 2 and expected in ran.err and not (tmp_path / "x.html").exists()
