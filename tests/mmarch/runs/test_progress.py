"""A bar fills once, whatever it takes to answer."""

from __future__ import annotations

from pathlib import Path

from mmarch.runs.ablation import ablate
from mmarch.runs.assemble import Request
from mmarch.runs.configure import Choices, configure
from mmarch.runs.run import run_with_saving
from mmarch.runs.workloads import open_workload

SCENARIO = Path(__file__).parents[3] / "examples" / "scenarios" / "munmap_partial.scn"


def rises(seen: list[tuple[int, int]]) -> bool:
    """Of one total throughout, to its end, never back."""
    done = [done for done, _ in seen]
    return len({total for _, total in seen}) == 1 and done == sorted(done) and seen[-1][0] == seen[-1][1]


def test_a_run_and_its_comparison_fill_one_bar() -> None:
    """The run without clear_ptes is the second half of it."""
    setup, seen = configure(Choices()), []
    work = open_workload(str(SCENARIO)).workload(setup)
    result = run_with_saving(work, setup, progress=lambda done, total: seen.append((done, total)))
    assert result.saved is not None
    assert rises(seen)
    assert seen[-1][1] == 2 * len(work.ops)


def test_the_baseline_of_an_ablation_is_counted() -> None:
    """It is the first run of all."""
    setup, seen = configure(Choices()), []
    work = open_workload(str(SCENARIO)).workload(setup)
    found = ablate(work, setup, Request("interpreted"), print, lambda done, total: seen.append((done, total)))
    assert rises(seen)
    assert [done for done, _ in seen] == list(range(1, len(found.withheld) + 2))


def test_reading_tells_bytes(tmp_path: Path) -> None:
    """Of a file, to its end."""
    text = SCENARIO.read_bytes() + b"# more\n" * 90_000
    (tmp_path / "long.scn").write_bytes(text)
    seen: list[tuple[int, int]] = []
    open_workload(str(tmp_path / "long.scn"), progress=lambda done, total: seen.append((done, total)))
    assert rises(seen)
    assert seen[-1] == (len(text), len(text))
