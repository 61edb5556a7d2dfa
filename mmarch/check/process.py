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
from typing import IO, Any

from mmarch.waiting import heard

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


def death(process: subprocess.Popen[bytes], first: bytes) -> str:
    """How a process ended, and in which line, if Python could still say so."""
    assert process.stdout is not None
    words = first
    while len(words) < REPORT and (part := process.stdout.read(REPORT)):
        words += part
    text = words.decode(errors="replace")
    code = process.wait()
    how = f"exit status {code}" if code >= 0 else signal.Signals(-code).name
    place = FRAME.search(text)
    return f"{how} in {place[3]}, {place[1]}:{place[2]}" if place else how


@dataclass
class Worker:
    """Runs jobs one after the other; a lost process is replaced when the next job comes."""

    arch: str
    generic: str
    _process: subprocess.Popen[bytes] | None = None
    _ahead: bytes = b""  # of what was read

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
        self._ahead = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mmarch.check.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for us alone
            env=environment,
        )

    def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer; Lost if there is none."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):  # its silence says the same
            process.stdin.write(json.dumps(message).encode() + b"\n")
        end = time.monotonic() + seconds
        with heard() as hear:
            while True:
                try:
                    line = self._line(process.stdout, process.pid, end)
                    answer: dict[str, Any] = json.loads(line)
                except TimeoutError:
                    raise Lost(f"hangs: no answer after {seconds} s, and cannot be interrupted") from None
                except ValueError:
                    raise Lost(f"kills its process ({death(process, line + self._ahead)})") from None
                if "step" not in answer:
                    return answer
                hear(tuple(answer["step"]))

    def _line(self, stream: IO[bytes], pid: int, end: float) -> bytes:
        """The next one; what there is of it if the process ends."""
        while b"\n" not in self._ahead:
            self._wait(stream, pid, end)
            if not (part := stream.read(REPORT)):
                break
            self._ahead += part
        line, newline, self._ahead = self._ahead.partition(b"\n")
        return line + newline

    def _wait(self, stream: IO[bytes], pid: int, end: float) -> None:
        """Until there is something to read; TimeoutError if that is too late."""
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while not selector.select(0.5):
                if time.monotonic() > end:
                    raise TimeoutError
                if resident(pid) > MEMORY:
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
