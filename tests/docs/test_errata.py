"""The errata page: its summary is what its tables say, and these are what it says of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "errata.md").read_text()
BLOCK = re.compile(r"<!-- output: mmarch compare (?P<command>.*?) -->\n```text\n(?P<text>.*?)```", re.DOTALL)
REPEAT = re.compile(
    r"--release (?P<linux>\S+) -c cpu=neoverse-(?P<core>\S+)\+norepeat_tlbi -c \S+ (?P<trace>\S+)$"
)
CORES = {"n1": "Neoverse N1", "n2": "Neoverse N2"}


def counts(text: str, event: str) -> tuple[int, int]:
    """Of configurations A and B."""
    row = next(line for line in text.splitlines() if line.startswith(event))
    a, b = (int(cell.replace(",", "")) for cell in row.split()[1:3])
    return a, b


def tables() -> list[tuple[str, str, str, str]]:
    """Trace, core, release and text of the tables of erratum 4118414."""
    return [
        (found["trace"], CORES[found["core"]], found["linux"], text)
        for command, text in BLOCK.findall(PAGE)
        if (found := REPEAT.search(command)) and found["core"] in CORES
    ]


def row(trace: str, core: str, linux: str, text: str) -> str:
    """A line of the summary."""
    cells = []
    for event in ("TLBIs", "DSBs"):
        without, having = counts(text, event)
        cells += [f"{without:,}", f"{having:,}", f"+{100 * (having - without) / without:.0f} %"]
    return f"| {trace} | {core} | {linux} | {' | '.join(cells)} |"


def test_the_summary_is_what_the_tables_say() -> None:
    """Row by row."""
    summary = [line for line in PAGE.splitlines() if line.startswith(("| redis", "| numpy"))]
    assert len(summary) == 8
    assert summary == [row(*table) for table in tables()]


@pytest.mark.parametrize("text", [text for command, text in BLOCK.findall(PAGE) if "norepeat" in command])
def test_a_wait_costs_one_of_each(text: str) -> None:
    """B has as many TLBIs more as it has DSBs more, and all of them are repetitions."""
    more = [b - a for a, b in (counts(text, event) for event in ("TLBIs", "DSBs", "  repeat"))]
    assert more[0] == more[1] == more[2] > 0


def test_the_upper_bound_is_the_number_of_waits() -> None:
    """Of erratum 4193714, on a CPU that has BBM level 3."""
    redis, numpy = (
        f"{b - a:,}"
        for a, b in (counts(text, "DSBs") for command, text in BLOCK.findall(PAGE) if "+bbml3" in command)
    )
    assert f"at most {redis} rounds on redis-bgsave and {numpy} on numpy-pool" in PAGE


def test_isolation_doubles_all_but_the_repeated() -> None:
    """Those of user addresses twice; a repeated one, of which there is one for every wait, stays single."""
    plain, isolated = counts(
        next(text for command, text in BLOCK.findall(PAGE) if "+kpti" in command), "TLBIs"
    )
    repeated = next(b - a for a, b in [counts(tables()[1][3], "TLBIs")])
    assert tables()[1][:3] == ("redis-bgsave", "Neoverse N1", "7.3")
    assert isolated - repeated == 2 * (plain - repeated)
