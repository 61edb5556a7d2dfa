"""A real program's trace, in both engines."""

from __future__ import annotations

from pathlib import Path

from mmarch.runs.assemble import Request, assemble
from mmarch.runs.configure import Choices, configure
from mmarch.trace.ftrace import load_ftrace
from tests.support.images import image

TRACE = Path(__file__).parents[2] / "examples" / "traces" / "redis-bgsave.ftrace.txt.gz"


def test_bundled_trace_is_equal_to_the_byte() -> None:
    """Results, counts by operation and hook, and all memory."""
    workload = load_ftrace(TRACE)
    setup = configure(Choices(memory="512M"))
    images = []
    for engine in ("interpreted", "linked"):
        machine = assemble(setup, workload, Request(engine=engine, by_hook=True), lambda _: None)
        assert machine.engine == engine
        machine.call("run_operations", 0, len(workload.ops))
        images.append(image(machine.memory))
    assert [name for name in images[0] if images[0][name] != images[1][name]] == []
