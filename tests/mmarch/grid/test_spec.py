"""SPEC.toml: axes, filters, and what is wrong with one before any point runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mmarch.errors import InputError
from mmarch.grid.plan import Plan, plan
from mmarch.grid.spec import read
from mmarch.grid.works import place
from mmarch.runs.workloads import bundled_traces

from .conftest import SCENARIO


def planned(folder: Path, text: str) -> Plan:
    """The plan of a SPEC beside the scenarios."""
    path = folder / "grid.toml"
    path.write_text(text)
    return plan(read(path))


def values(made: Plan, axis: str) -> list[str]:
    """What an axis is at each point, in order."""
    return [point[axis] for point, _ in made.each()]


def test_a_grid_is_the_product_of_its_axes(folder: Path) -> None:
    """Two CPUs and three values of n."""
    made = planned(folder, (folder / "grid.toml").read_text())
    assert (made.points, len(made.digests), made.left_out) == (6, 6, 0)
    assert values(made, "n") == ["1", "2", "4"] * 2
    assert values(made, "cpu") == ["neoverse-n1"] * 3 + ["neoverse-n2"] * 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{ first = 1, last = 9, times = 3 }", ["1", "3", "9"]),
        ("{ first = 1, last = 9, step = 4 }", ["1", "5", "9"]),
        ("{ last = 2 }", ["0", "1", "2"]),
        ('[1, "2*block"]', ["1", "2*block"]),
        ("7", ["7"]),
    ],
)
def test_ways_to_write_values(folder: Path, given: str, expected: list[str]) -> None:
    """Lists, ranges, powers, or one."""
    made = planned(folder, f'[axes]\nworkload = "grown.scn"\n[axes.set]\nn = {given}\n')
    assert values(made, "n") == expected


def test_filters_leave_points_out(folder: Path) -> None:
    """`only` has to match, `exclude` must not; texts with *, numbers from first to last."""
    base = (folder / "grid.toml").read_text()
    made = planned(
        folder,
        f'{base}\n[[only]]\ncpu = "*-n2"\n[[exclude]]\ncpu = ["neoverse-n2"]\nn = {{ first = 2 }}\n',
    )
    assert [(point["cpu"], point["n"]) for point, _ in made.each()] == [("neoverse-n2", "1")]
    assert made.left_out == 5


def test_equal_points_have_one_digest(folder: Path) -> None:
    """A feature that a release has already adds nothing, and a scenario without the parameter is the same for all."""
    (folder / "other.scn").write_text("scenario other\nmap A 1\nend\n")
    made = planned(
        folder,
        '[axes]\nworkload = "*.scn"\nrelease = ["6.12", "7.3"]\nwith = ["", "mprotect_batch"]\n'
        "[axes.set]\nn = [1, 2]\n",
    )
    # grown: 2 n × (6.12 without, 6.12 with, 7.3); other: the same three
    assert (made.points, len(made.digests)) == (16, 2 * 3 + 3)


def test_what_comes_with_mmarch_is_found_wherever_it_is(folder: Path) -> None:
    """Its place is not that of the machine that made the plan."""
    work = planned(folder, '[axes]\nworkload = "redis-bgsave"\n').works[0].work
    assert (work.path, work.label) == ("", "redis-bgsave")
    assert place(work) == bundled_traces()["redis-bgsave"]


def test_an_axis_is_a_configuration(folder: Path) -> None:
    """Every option of a configuration; lists are joined with +, or lists of their own."""
    made = planned(
        folder,
        '[axes]\nworkload = "grown.scn"\narch = "arm64"\ngranule = "16k"\nfolio-orders = [["none"], "64K,2M"]\n'
        'without = ["", "clear_ptes+wrprotect_ptes"]\nmemory = "1G"\nseed = [3]\n',
    )
    point = [one for _, one in made.each()][-1]
    assert (point.choices.granule, point.choices.memory, point.choices.seed) == ("16k", "1G", 3)
    assert (
        point.choices.without == ("clear_ptes", "wrprotect_ptes") and point.choices.folio_orders == "64K,2M"
    )


def test_each_scenario_of_a_file_is_a_workload(folder: Path) -> None:
    """On each kind of memory, unless the axes of these names choose."""
    (folder / "grown.scn").write_text(f"{SCENARIO}scenario second\nkinds anon tmpfs\nmap A 1\n")
    assert values(planned(folder, '[axes]\nworkload = "*.scn"\n'), "backing") == ["anon", "anon", "tmpfs"]
    made = planned(folder, '[axes]\nworkload = "*.scn"\nscenario = "sec*"\nbacking = "tmpfs"\n')
    assert [(point["scenario"], point["backing"]) for point, _ in made.each()] == [("second", "tmpfs")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[axes]\ncpus = 1", "grid.toml:2: unknown axis 'cpus'. Did you mean 'cpu'?"),
        ('[axes]\ncpu = ["neoverse-n1",\n "neovrse-n2"]', "grid.toml:3: cpu = 'neovrse-n2': unknown cpu"),
        ('[axes]\nrelease = "6.13"', "grid.toml:2: release = '6.13': unknown release"),
        ('[axes]\narch = "arm65"', "grid.toml:2: arch = 'arm65'"),
        ('[axes]\ngranule = ["4k", "8k"]', "grid.toml:2: granule = '8k': unknown granule"),
        ('[axes]\nwith = "mprotect_bach"', "grid.toml:2: with = 'mprotect_bach': unknown feature or series"),
        ('[axes]\nwith = "./mine.py"', "with has the path './mine.py'; a sweep names installed series"),
        ('[axes]\nwithout = "clear_pte"', "grid.toml:2: without = 'clear_pte'"),
        ("[axes]\nfolio-orders = 77", "grid.toml:2: folio-orders = '77'"),
        ("[axes]\nseed = -1", "grid.toml:2: seed = '-1': a seed is a whole number"),
        ("[axes]\nseed = [1, 1]", "grid.toml:2: seed has '1' twice"),
        ("[axes]\nseed = []", "grid.toml:2: seed has no values, so there are no points"),
        ("[axes]\nseed = { first = 5, last = 3 }", "grid.toml:2: seed has no values from 5 to 3"),
        ("[axes]\nseed = { first = 5 }", "grid.toml:2: seed is {'first': 5}; write { first = 0, last = 9 }"),
        ("[axes]\nseed = { first = 0, last = 9, times = 2 }", "grid.toml:2: seed never gets from 0 to 9"),
        ("[axes]\nseed = { first = 0, last = 99999999999 }", "at most 1,000,000"),
        ("[axes]\nseed = { last = 3, stp = 1 }", "unknown key of seed 'stp'. Did you mean 'step'?"),
        ("[axes]\nseed = 1.5", "grid.toml:2: seed has the value 1.5"),
        ('[axes]\nworkload = "*.txt"', "grid.toml:2: workload = '*.txt': no file in"),
        ('[axes]\nworkload = "gone.scn"', "grid.toml:2: workload = 'gone.scn': no such workload"),
        ('[axes]\nworkload = "grown.scn"\nscenario = "grwn"', "grid.toml:3: scenario = 'grwn': unknown scenario"),
        ('[axes]\nworkload = "grown.scn"\n[axes.set]\nm = 1', "grid.toml:4: unknown parameter 'm'. Known: n."),
        ('[axes]\nworkload = "grown.scn"\n[axes.set]\nn = "3*"', "grid.toml:4: n = '3*': parameter n=3*"),
        ("[axs]\ncpu = 1", "grid.toml:1: unknown table 'axs'. Did you mean 'axes'?"),
        ("", "grid.toml:1: no axes"),
        ("[axes\n", "grid.toml: not TOML"),
        ("[axes]\nseed = 1\n[[only]]\nsed = 1", "grid.toml:4: unknown axis 'sed'. Did you mean 'seed'?"),
        ("[axes]\nseed = 1\n[[exclude]]\nseed = 1", "grid.toml:3: [[exclude]]: the filters leave no point of 1"),
        ("[axes]\nseed = 1\n[[only]]\nseed = 2", "grid.toml:4: unknown value of seed '2'. Known: 1."),
        ("[axes]\nseed = 1\n[[only]]\ncpu = '*'", "grid.toml:4: [[only]] cpu: this SPEC has no such axis"),
        (
            "[axes]\nseed = { last = 99 }\n[[only]]\nseed = { first = 100, last = 200 }",
            "grid.toml:4: unknown value of seed '100 to 200'. It has 100, from 0 to 99.",
        ),
        ("[axes]\nrelease = 6.12", "grid.toml:2: release has the value 6.12, no whole number; write text in quotes"),
        ("[axes]\nseed = 1\n[[exclude]]\n", "grid.toml:3: [[exclude]] names no axis"),
        ("[axes]\nseed = 1\n[[exclude]]\nseed = { frst = 1 }", "seed = {'frst': 1}: numbers are { first = 1"),
        ("[axes]\nseed = { last = 99999 }\nmemory = [\"1G\", \"2G\", \"3G\", \"4G\"]\nrelease = [\"6.12\", \"7.3\"]\n"
         'cpu = ["neoverse-n1", "neoverse-n2"]\nwithout = ["", "clear_ptes", "wrprotect_ptes", "pte_batch_hint"]',
         "6,400,000 points, at most 5,000,000"),
        ('[axes]\nrelease = ["6.7", "6.12"]\nwith = ["", "nonsense"]', "grid.toml:3: with = 'nonsense'"),
        ('[axes]\narch = ["arm64", "generic"]\ncpu = "neoverse-n1"', "a point cannot be: arch = 'generic'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_exit_2_before_any_point_runs(
    folder: Path, mmarch: Callable[..., tuple[int, str, str]], text: str, message: str
) -> None:
    """With its line; nothing is written."""
    (folder / "grid.toml").write_text(text)
    code, out, err = mmarch("sweep", folder / "grid.toml", "-o", folder / "store", "-q")
    assert (code, out) == (2, "")
    assert message in err
    assert not (folder / "store").exists()


def test_a_spec_that_is_no_text_or_too_large(folder: Path) -> None:
    """Neither is read whole."""
    for data, message in ((b"\xff\xfe\xff", "not UTF-8"), (b"#" * (2 << 20), "larger than 1024 KiB")):
        (folder / "grid.toml").write_bytes(data)
        with pytest.raises(InputError, match=message):
            read(folder / "grid.toml")


def test_a_dry_run_counts_and_estimates(folder: Path, mmarch: Callable[..., tuple[int, str, str]]) -> None:
    """Points, those left out and those that are equal; nothing is written."""
    spec = folder / "grid.toml"
    spec.write_text(f'{spec.read_text()}\n[[exclude]]\nn = 4\ncpu = "*-n2"\n')
    code, out, _ = mmarch("sweep", spec, "--dry-run", "-q")
    assert code == 0
    assert "grid.toml:5points;1leftoutbyfilters" in "".join(out.split())  # folded at 80 columns
    assert "5 to count, about 1 s on" in out and "ms a point and core" in out
    assert sorted(path.name for path in folder.iterdir()) == ["grid.toml", "grown.scn"]
