"""`run` and `run --sanitize` speak of the same flushes, and of the same part of a scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from core_mm import uapi
from mmarch.runs.assemble import Request
from mmarch.runs.configure import Choices, configure
from mmarch.runs.run import run
from mmarch.runs.workloads import open_workload
from mmarch.sanitize.run import sanitize

ROOT = Path(__file__).parents[3]
REQUEST = Request("interpreted", madvise=True)


@pytest.mark.parametrize("cpu", ["neoverse-n1", "cortex-a72", "neoverse-n2"])
def test_flushes_agree(cpu: str) -> None:
    """By event, those that an erratum repeats too; a setup is in neither."""
    setup = configure(Choices(cpu=cpu))
    work = open_workload(str(ROOT / "examples" / "scenarios" / "munmap_partial.scn")).workload(setup)
    assert not work.measured().all()
    result, seen = run(work, setup, REQUEST), sanitize(work, setup, REQUEST)
    counted = {event: result.totals[event] for event in result.groups["tlbi"] if event in result.totals}
    assert counted and counted == seen.flushes
    assert ("tlbi_repeat" in counted) == (setup.arch.descriptor.cpus[cpu].features.get("repeat_tlbi", 0) == 1)


def test_setup_and_end_are_not_counted(tmp_path: Path) -> None:
    """Only the step is: one page given back is one operation, one fault less than with the setup."""
    path = tmp_path / "a.scn"
    path.write_text("scenario a\nsetup: map A 16\nsetup: write A\nstep one: dontneed A 3 1\nend\n")
    setup = configure(Choices())
    work = open_workload(str(path)).workload(setup)
    result = run(work, setup, REQUEST)
    assert work.ops[work.measured()][:, 0].tolist() == [uapi.OP_MADVISE]
    assert (result.workload.operations, result.workload.unmeasured) == (1, len(work.ops) - 1)
    assert set(result.operations) == {"madvise"}
    assert "fault" not in result.totals
