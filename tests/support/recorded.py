"""Programs to record, and why this machine may not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from mmarch.errors import InputError
from mmarch.trace.assumed import PLAIN
from mmarch.trace.formats import format_of, load_trace
from mmarch.trace.means import choose
from mmarch.trace.recording import Wanted
from mmarch.workload import Workload

AREA = 4 << 20
PROGRAM = f"""
import mmap
area = mmap.mmap(-1, {AREA}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for page in range(0, {AREA}, 4096):
    area[page] = 1
"""
LASTS = """
import mmap, os, sys, threading, time
area = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area.write(bytes(1 << 20))
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("ready", flush=True)
while True:
    if not (child := os.fork()):
        area[:8192] = bytes(8192)
        os._exit(0)
    os.waitpid(child, 0)
    time.sleep(0.01)
"""


@cache
def refusal(name: str) -> str:
    """Why this machine does not permit a means; empty if it does."""
    try:
        with choose.chosen(name, Wanted(Path(os.devnull))):
            return ""
    except InputError as error:
        return str(error)


def needs(name: str) -> pytest.MarkDecorator:
    """Skips where a means is not permitted, saying why."""
    why = refusal(name)
    return pytest.mark.skipif(bool(why), reason=why)


@contextmanager
def lasting() -> Iterator[int]:
    """A process with a thread that has written to 256 pages and forks on."""
    with subprocess.Popen([sys.executable, "-c", LASTS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process.pid
            assert process.poll() is None, "recording has ended it"
        finally:
            process.kill()


def load(path: Path) -> Workload:
    """Whatever format it has."""
    head = path.read_text()
    return load_trace(path, format_of(head), PLAIN, head=head)
