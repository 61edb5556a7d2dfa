"""What a worker of the suite is busy with is shown where the suite runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mmarch import waiting
from mmarch.check.process import Lost, Worker

# A worker that links twice, of which it tells in one breath with its answer, and then dies in a step.
WORKER = """
import sys
for line in sys.stdin:
    if "die" in line:
        sys.stdout.write('{"step": ["1.3", "linking 7 functions", 2.5]}\\nlast wor')
        sys.stdout.flush()
        sys.exit(3)
    sys.stdout.write(
        '{"step": ["1.1", "linking 5 functions", 1.5]}\\n{"step": ["1.1", "", 0.0]}\\n'
        '{"step": ["1.2", "waiting for another linker", 0.0]}\\n{"step": ["1.2", "", 0.0]}\\n'
        '{"loaded": true, "status": "pass"}\\n'
    )
    sys.stdout.flush()
"""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """With the process above."""

    def popen(arguments: list[str], **how: object) -> subprocess.Popen[bytes]:
        return really([arguments[0], "-c", WORKER], **how)  # type: ignore[call-overload, no-any-return]

    really = subprocess.Popen
    assert sys.executable
    monkeypatch.setattr("mmarch.check.process.subprocess.Popen", popen)
    made = Worker("toy", "generic")
    yield made
    made.stop()


def test_steps_come_before_the_answer_and_end(worker: Worker) -> None:
    """Links, with their estimates, are shown as this process's own; of a process that dies too."""
    log: list[tuple[str, float] | str] = []

    @contextmanager
    def show(what: str, seconds: float) -> Iterator[None]:
        log.append((what, seconds))
        yield
        log.append(f"end of {what}")

    told = [
        ("linking 5 functions", 1.5), "end of linking 5 functions",
        ("waiting for another linker", 0.0), "end of waiting for another linker",
    ]  # fmt: skip
    with waiting.shown_by(show):
        assert worker.run({"check": "x"}, 5) == {"loaded": True, "status": "pass"}
        assert log == told + told  # the architecture was loaded first
        del log[:]
        with pytest.raises(Lost, match="kills its process"):
            worker._ask({"check": "die"}, 5)
    assert log == [("linking 7 functions", 2.5), "end of linking 7 functions"]
