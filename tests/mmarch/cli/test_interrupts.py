"""Ctrl-C while Python can raise and while it cannot; one linker an image."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from mmarch import waiting
from mmarch.cli.interrupts import interruptible
from mmarch.engine import link
from mmarch.engine.code import Code
from mmarch.errors import Interrupted

STUCK = """
import signal, threading
from mmarch import waiting
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
    """Threads that want the same image come one after the other, and nobody is told to wait for them."""
    path, inside, said = tmp_path / "images" / "x.o", threading.Event(), []
    most, now = [0], [0]

    def one(_: int) -> None:
        with link._alone(path):
            now[0] += 1
            most[0] = max(most[0], now[0])
            inside.wait(0.05)
            now[0] -= 1

    with waiting.shown_by(lambda what, _: nullcontext(said.append(what))), ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    assert most == [1]
    assert said == []


HOLDER = """
import sys
from pathlib import Path
from mmarch.engine import link
with link._alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_that_links_is_waited_for(tmp_path: Path) -> None:
    """It is said, and the lock is free when its holder has gone, however it went."""
    path, said = tmp_path / "x.o", []
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        def told(what: str, seconds: float) -> nullcontext[None]:
            said.append((what, seconds))
            holder.kill()
            return nullcontext()

        with waiting.shown_by(told), link._alone(path):
            pass
    assert said == [("waiting for another linker", 0.0)]


def test_an_interrupt_says_which_step_it_stopped() -> None:
    """Beside what the command does, where Python can raise."""
    with (
        pytest.raises(Interrupted, match=r"interrupted: sorting sand, washing it$"),
        interruptible("sorting sand"),
        waiting.waiting("washing it"),
    ):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(60)
    assert waiting.now() == ""


def test_a_step_that_does_not_come_back_is_said() -> None:
    """Also where it cannot: a link is LLVM's, and nothing of Python's runs."""
    stuck = STUCK.replace(
        "\n    print",
        "\n    from mmarch.waiting import waiting\n    step = waiting('washing it')\n    step.__enter__()\n    print",
    )
    with subprocess.Popen(
        [sys.executable, "-c", stuck], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as made:
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        made.send_signal(signal.SIGINT)
        _, said = made.communicate()
    assert (said, made.returncode) == ("mmarch: interrupted: sorting sand, washing it\n", -signal.SIGINT)
