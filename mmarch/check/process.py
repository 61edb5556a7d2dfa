"""A worker process and how it is lost: it dies, hangs, or fills the memory."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPORT = 1 << 16  # characters of the interpreter's last words
MEMORY = 4 << 30  # bytes that a plugin may fill
GRACE = 10  # seconds that a worker has to notice by itself that a check hangs
LOADING = 60  # seconds for the imports of an architecture
FRAME = re.compile(r'File "(.+)", line (\d+) in (\w+)')


class Lost(Exception):
    """A worker has to be killed; says why."""


class Refused(Lost):
    """The architecture does not load; says why."""


def resident(pid: int) -> int:
    """Bytes of memory that a process occupies; 0 where that cannot be told."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def death(process: subprocess.Popen[str], first: str) -> str:
    """How a process ended, and in which line, if Python could still say so."""
    assert process.stdout is not None
    text = first + process.stdout.read(REPORT)
    code = process.wait()
    how = f"exit status {code}" if code >= 0 else signal.Signals(-code).name
    place = FRAME.search(text)
    return f"{how} in {place[3]}, {place[1]}:{place[2]}" if place else how


@dataclass
class Worker:
    """Runs jobs one after the other; a lost process is replaced when the next job comes."""

    arch: str
    generic: str
    _process: subprocess.Popen[str] | None = None

    def run(self, job: dict[str, Any], limit: int) -> dict[str, Any]:
        """The outcome of a job; "error" if the process is lost over it."""
        try:
            self.load()
            return self._ask({**job, "limit": limit}, limit + GRACE)
        except Lost as lost:
            self.stop()
            return {"status": "error", "message": str(lost)}

    def load(self) -> None:
        """Start a process that has imported the architecture; Lost if that does not come to an end."""
        if self._process is None:
            self._start()
            answer = self._ask({"arch": self.arch, "generic": self.generic}, LOADING)
            if not answer["loaded"]:
                raise Refused(answer["message"])

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mmarch.check.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us alone
            env=environment,
        )

    def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer; Lost if there is none."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):  # its silence says the same
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        self._wait(process, seconds)
        line = process.stdout.readline()
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise Lost(f"kills its process ({death(process, line)})") from None
        return answer

    def _wait(self, process: subprocess.Popen[str], seconds: float) -> None:
        """Until there is something to read."""
        end = time.monotonic() + seconds
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not selector.select(0.5):
                if time.monotonic() > end:
                    raise Lost(f"hangs: no answer after {seconds} s, and cannot be interrupted")
                if resident(process.pid) > MEMORY:
                    raise Lost(f"fills more than {MEMORY >> 30} GiB of memory")

    def kill(self) -> None:
        """End the process; who waits for its answer gets none."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """End the process, by force, while nobody waits for it."""
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass
            self._process.wait()
            self._process = None
