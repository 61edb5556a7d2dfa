"""Ctrl-C while Python can raise and while it cannot; one linker an image."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmarch.cli.interrupts import interruptible
from mmarch.engine import link
from mmarch.engine.code import Code
from mmarch.errors import Interrupted

STUCK = """
import signal, threading
from mmarch.cli.interrupts import interruptible
with interruptible("sorting sand"):
    signal.signal(signal.SIGINT, lambda *_: None)  # as if the main thread were in C: nothing is raised
    print("ready", flush=True)
    threading.Event().wait()
"""


def test_code_that_does_not_come_back_is_ended() -> None:
    """What was stopped is said, and the process ends by SIGINT, so that a shell's loop ends, too."""
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as made:
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        made.send_signal(signal.SIGINT)
        _, said = made.communicate()
    assert (said, made.returncode) == ("mmarch: interrupted: sorting sand\n", -signal.SIGINT)


def test_an_interrupt_says_what_it_stopped() -> None:
    """Where Python can raise, it does, and later work is not watched any more."""
    with pytest.raises(Interrupted, match="interrupted: sorting sand"), interruptible("sorting sand"):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(60)
    assert signal.set_wakeup_fd(-1) == -1


READING = """
import signal, sys
from mmarch.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
sys.exit(main())
"""


def test_reading_a_trace_says_that_it_was_stopped() -> None:
    """A pipe takes more than it holds only while it is read."""
    with subprocess.Popen(
        [sys.executable, "-c", READING, "run", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as made:
        assert made.stdin is not None
        assert made.stderr is not None
        made.stdin.write(b"# tracer: nop\n" + b"#\n" * (1 << 20))
        made.stdin.flush()
        made.send_signal(signal.SIGINT)
        said = made.stderr.read()
        made.stdin.close()
    assert (said, made.returncode) == (b"mmarch: interrupted: reading -\n", -signal.SIGINT)


def test_images_are_evicted_by_last_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that was loaded stays, however old it is; those that were not used for longest go."""
    monkeypatch.setattr(link, "_KEPT", 3)
    paths = [tmp_path / f"{number}.o" for number in range(4)]
    for age, path in enumerate(reversed(paths[:3])):
        link._store(path, path.name.encode())
        os.utime(path, (1000 - age, 1000 - age))
    assert link._load(paths[0]) == b"0.o"
    link._store(paths[3], b"new")
    assert [path for path in paths if path.exists()] == [paths[0], paths[2], paths[3]]


def test_images_of_built_in_architectures_are_evicted_by_their_like_alone() -> None:
    """However often a plugin is linked anew, what comes with mmarch stays."""
    from arches.arm64 import pgtable
    from core_mm.syscalls import boot

    ours = Code((boot,), {"pte_young": pgtable.pte_young}, {})
    theirs = Code((boot,), {"pte_young": test_an_interrupt_says_what_it_stopped}, {})
    assert link._folder(ours) != link._folder(theirs)


def test_one_linker_an_image(tmp_path: Path) -> None:
    """Who comes second waits, is told so, and finds the lock free when its holder has gone."""
    path, inside, said = tmp_path / "images" / "x.o", threading.Event(), []
    most, now = [0], [0]

    def one(_: int) -> None:
        with link._alone(path, said.append):
            now[0] += 1
            most[0] = max(most[0], now[0])
            inside.wait(0.05)
            now[0] -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    assert most == [1]
    assert said
    assert set(said) == {"waiting for another linker of the same image …"}
