"""The recorded programs of the repository replay everywhere, and the kernel's counts beside them add up."""

from __future__ import annotations

import gzip
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from core_mm import uapi
from mmarch import api
from mmarch.trace.ftrace import load_ftrace
from mmarch.workload import Workload
from tests.support.vma_model import Judge
from tools import trace_counts

ROOT = Path(__file__).parents[3]
NAMES = ["fork-shell", "git-history", "make-c", "node-start", "postgres-parallel", "sqlite-load"]


@pytest.fixture(scope="module", params=NAMES)
def path(request: pytest.FixtureRequest) -> Path:
    """Of one recording."""
    return trace_counts.FOLDER / f"{request.param}{trace_counts.SUFFIX}"


@pytest.fixture(scope="module")
def workload(path: Path) -> Workload:
    """It, loaded."""
    return load_ftrace(path)


def test_there_are_six() -> None:
    """Each with its script and the kernel's counts."""
    assert trace_counts.names() == NAMES
    for name in NAMES:
        assert (trace_counts.FOLDER / f"{name}.sh").is_file()
        assert (trace_counts.FOLDER / f"{name}.counts.csv").is_file()


def test_a_recording_is_small_and_of_some_size(path: Path, workload: Workload) -> None:
    """At most a megabyte; ten thousand faults."""
    assert path.stat().st_size <= 1_000_000
    assert np.count_nonzero(workload.ops[:, 0] == uapi.OP_TOUCH) >= 10_000


def test_a_recording_says_where_it_comes_from_and_names_nobody(path: Path, workload: Workload) -> None:
    """Provenance is in the header; no path, name or directory is anywhere, and the counts have no pids."""
    assert workload.provenance["arch"] == "x86_64"
    assert workload.provenance["lost events"] == "0"
    assert re.fullmatch(r"(ba)?sh|setpriv", workload.provenance["program"])
    with gzip.open(path, "rt") as text:
        body = [line for line in text if not line.startswith("#")]
    assert not [line for line in body if re.search(r"/|\"|comm=[^<]|filename=[^-]", line)]
    assert all(re.match(r" +<\.\.\.>-\d{1,3} ", line) for line in body)
    counts = (path.parent / f"{workload.name}.counts.csv").read_text().splitlines()[1:]
    assert all(re.fullmatch(r"[\w-]+,\d+,\d+,\d+", line) for line in counts)


def test_every_access_lies_in_a_mapping_that_permits_it(workload: Workload) -> None:
    """By an independent model of VMAs: none outside, none forbidden, none beyond a file's end."""
    judge = Judge(workload).run()
    assert (judge.outside, judge.forbidden, judge.beyond, judge.holes) == ([], [], [], [])


@pytest.mark.parametrize(
    ("arch", "granule"), [(arch, granule) for arch in ("generic", "arm64") for granule in ("4k", "16k", "64k")]
)
def test_a_recording_replays(path: Path, workload: Workload, arch: str, granule: str) -> None:
    """Whole, on every page size there is: nothing fails, nobody is left, and what was mapped is unmapped."""
    result = api.run(path, arch=arch, granule=granule)
    assert not result.failures
    exits = int(np.count_nonzero(workload.ops[:, 0] == uapi.OP_EXIT))
    assert result.operations["exit"].count == exits
    assert result.totals["fault"] >= 1000


def test_the_kernel_counted_what_was_recorded(path: Path, workload: Workload) -> None:
    """Task by task: each fault of the trace but those that nobody handled, and one an execve.

    Only the first task has more: what the recorder's child did before its exec.
    """
    with (path.parent / f"{workload.name}.counts.csv").open() as file:
        kernel = [
            int(minor) + int(major) for _, minor, major, _ in (line.split(",") for line in list(file)[1:])
        ]
    recorded = trace_counts.recorded(path, workload)
    beyond = [
        counted - (one.faults - one.disabled + one.execs)
        for counted, one in zip(kernel, recorded, strict=True)
    ]
    assert beyond[1:] == [0] * (len(kernel) - 1)
    assert 0 < beyond[0] < 500


@pytest.mark.slow
def test_the_page_has_these_counts() -> None:
    """Its tables are what the tool writes; the twin's faults are the trace's, but for one in a hundred."""
    programs = [trace_counts.program(name) for name in NAMES]
    text = trace_counts.DOCS.read_text()
    assert trace_counts.page(text, programs) == text
    for one in programs:
        there = sum(each.faults for each in one.recorded)
        assert 0.99 * there < one.twin < there
        largest = max(range(len(one.peaks)), key=one.peaks.__getitem__)
        assert (
            one.cold[largest] - 192 < one.peaks[largest] < one.warm[largest] + 192
        )  # three counters, 64 pages each


def test_the_wheel_has_the_traces_above_this_folder_and_no_other() -> None:
    """These would make it three times as large."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    folder = trace_counts.FOLDER.parent
    there = {f"examples/traces/{each.name}" for each in folder.iterdir() if each.is_file()}
    assert {name for name in wheel["force-include"] if name.startswith("examples/traces")} == there
