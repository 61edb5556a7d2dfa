"""Code that does not end is stopped and named, in either engine, and the process goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from core_mm import uapi
from mmarch.engine import hanging, stopping
from mmarch.engine.machine import Config, Machine
from mmarch.errors import PluginError
from mmarch.plugins import load_arch
from mmarch.runs import ablation
from mmarch.runs.assemble import roots
from mmarch.runs.configure import Setup
from mmarch.runs.result import Result
from mmarch.workload import Workload
from tests.mmarch.conftest import Ran
from tests.support.plugins import Plugins, line_of

BODY = """
from core_mm.rwonce import READ_ONCE

@hookimpl
def ptep_get_lockless(ptep: int) -> int:
    return settled(ptep, READ_ONCE(ptep))

def settled(ptep: int, pte: int) -> int:
    again = 1
    while again:
        again = same(ptep, pte)  #AT loop
    return pte

def same(ptep: int, pte: int) -> int:
    return READ_ONCE(ptep) == pte

arch = descriptor()
"""
FAULT, TOUCHED = 3, 0x10000000


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A second is long enough, to find the place too, and what hangs in one test is none of the next one's."""
    monkeypatch.setenv("MMARCH_HANG", "1")
    monkeypatch.setattr(hanging, "LOOKING", 1.0)
    before = stopping._stopped
    yield
    stopping._stopped = before


def machine(arch: str, engine: str) -> Machine:
    """One that will take a write and a read fault."""
    rows = np.zeros((4, uapi.COLUMNS), np.int64)
    rows[0, :2] = uapi.OP_SPAWN, 1
    rows[1, :8] = uapi.OP_MMAP, 1, TOUCHED, 0x100000, 3, 0x32, -1, 0
    rows[2, :5] = uapi.OP_TOUCH, 1, TOUCHED, 1, 1
    rows[3, :5] = uapi.OP_TOUCH, 1, TOUCHED + 0x1000, 1, 1
    config = Config(load_arch(arch).descriptor, load_arch("generic").descriptor, memory=64 << 20)
    made = Machine(config, engine, roots(), operations=rows)
    made.call("boot")
    return made


@pytest.mark.parametrize("engine", ["linked", "interpreted"])
def test_it_is_stopped_and_named(plugins: Plugins, engine: str) -> None:
    """With the operation, the hook and the line of the loop; the next machine of the process runs as always."""
    path = plugins.install(BODY)
    line = line_of(path, "#AT loop")
    with pytest.raises(
        PluginError, match=r"MM024: .* operation \d \(fault\) .* in ptep_get_lockless: settled "
    ) as raised:
        machine("toy", engine).call("run_operations", 0, 4)
    assert any(f"({path}:{number})" in str(raised.value) for number in (line - 1, line))
    assert machine("generic", engine).call("run_operations", 0, 4) == 0


def test_a_loop_of_core_mm_is_named_with_what_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook whose answer keeps core-mm going is not under way for long, and seen all the same."""
    monkeypatch.setattr(hanging, "LOOKING", 0.2)
    core: dict[str, object] = {"__name__": "core_mm.zap"}
    plugin: dict[str, object] = {"__name__": "mmarch_toy.pte"}
    exec(compile("def hint():\n for _ in range(1000): pass\n return 0", "pte.py", "exec"), plugin)
    exec(compile("def zap():\n nr = 0\n while not nr:\n  nr = hint()", "zap.py", "exec"), core)
    core["hint"] = plugin["hint"]
    zap = cast("Callable[[], None]", core["zap"])
    assert hanging.place(zap, {"mmarch_toy"}) == " in zap (zap.py:4), which calls hint (pte.py:2)"


def test_each_thread_is_stopped(plugins: Plugins) -> None:
    """Two at once, in the linked engine, which runs them at the same time."""
    plugins.install(BODY)
    machines = [machine("toy", "linked") for _ in range(2)]
    errors: list[BaseException] = []

    def run(one: Machine) -> None:
        try:
            one.call("run_operations", 0, 4)
        except PluginError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["MM024" in str(error) for error in errors] == [True, True]


def test_a_child_process_is_watched_too(plugins: Plugins) -> None:
    """A fork has no watchdog until it runs something."""
    plugins.install(BODY)
    machine("generic", "linked").call("run_operations", 0, 4)
    made = machine("toy", "linked")
    child = os.fork()
    if not child:
        try:
            made.call("run_operations", 0, 4)
        except PluginError:
            os._exit(3)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_a_command_says_so(plugins: Plugins, mmarch: Callable[..., Ran], tmp_path: Path) -> None:
    """`run` and `ablate`, with the exit code of a wrong plugin."""
    plugins.install(BODY)
    scenario = tmp_path / "fault.scn"
    scenario.write_text("scenario fault order 0\nmap A 16\nwrite A\nend\n")
    for command in ("run", "ablate"):
        ran = mmarch(command, "--arch", "toy", str(scenario), "--engine", "linked", "--folio-orders", "none")
        assert ran.code == 3
        assert "MM024: arch toy does not come to an end" in ran.err
        assert "in ptep_get_lockless" in ran.err


def test_ablate_says_without_what(
    mmarch: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hook that was withheld when something did not end, which the arch's own code does."""
    counted = ablation.run

    def run(workload: Workload, setup: Setup, *others: Any) -> Result:
        if setup.configuration.without:
            raise PluginError("MM024", "arch arm64 does not come to an end")
        return counted(workload, setup, *others)

    monkeypatch.setattr(ablation, "run", run)
    scenario = tmp_path / "fault.scn"
    scenario.write_text("scenario fault order 0\nmap A 1\nwrite A\nend\n")
    ran = mmarch("ablate", str(scenario), "--engine", "interpreted", "--folio-orders", "none")
    assert ran.code == 3
    assert re.search(r"MM024: without \w+: arch arm64 does not", ran.err)


def test_workers_end_with_whoever_started_them(plugins: Plugins, tmp_path: Path) -> None:
    """A suite that is killed outright leaves no process behind, although its worker is in an endless loop."""
    plugins.install(BODY)
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-m", "mmarch", "check", "toy", "--only", "lockless.read", "-q"]
    environment = {**os.environ, "PYTHONPATH": path, "MMARCH_HANG": "600"}
    suite = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL)
    while not (workers := children(suite.pid)):
        assert suite.poll() is None
        time.sleep(0.1)
    suite.send_signal(signal.SIGKILL)
    suite.wait()
    until = time.monotonic() + 60
    while any(alive(worker) for worker in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [worker for worker in workers if alive(worker)]


def children(pid: int) -> list[int]:
    """Processes that it started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether a process runs, not only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_threads_that_come_at_once_share_the_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose handler the signal calls is whom the watchdog tells of a thread."""
    monkeypatch.setattr(stopping, "_doors", [])
    made = []

    class Slow:
        """Doors that take their time."""

        def __init__(self, engine: str) -> None:
            time.sleep(0.05)
            made.append(engine)

    monkeypatch.setattr(stopping, "Doors", Slow)
    threads = [threading.Thread(target=stopping.doors, args=(lambda text: text,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(stopping._doors) == 1
