"""A worker process and how it is lost: it dies, hangs, or fills the memory."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY = 4 << 30  # bytes that a plugin may fill
GRACE = 10  # seconds that a worker has to notice by itself that a check hangs


class Lost(Exception):
    """A worker has to be killed; says why."""


def resident(pid: int) -> int:
    """Bytes of memory that a process occupies; 0 where that cannot be told."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Worker:
    """Runs jobs one after the other; a lost process is replaced when the next job comes."""

    arch: str
    generic: str
    _process: subprocess.Popen[str] | None = None

    def run(self, job: dict[str, Any], limit: int) -> dict[str, Any]:
        """The outcome of a job; "error" if the process is lost over it."""
        process = self._process or self._start()
        try:
            line = self._ask(process, {**job, "limit": limit}, limit + GRACE)
        except Lost as lost:
            self.stop()
            return {"status": "error", "message": str(lost)}
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            code = process.wait()
            self.stop()
            how = f"signal {-code}" if code < 0 else f"exit status {code}"
            return {"status": "error", "message": f"kills its process ({how})"}
        return answer

    def _start(self) -> subprocess.Popen[str]:
        """A fresh process that knows the architecture."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mmarch.check.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._write(self._process, {"arch": self.arch, "generic": self.generic})
        return self._process

    def _write(self, process: subprocess.Popen[str], message: dict[str, Any]) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # its silence says the same

    def _ask(self, process: subprocess.Popen[str], message: dict[str, Any], seconds: float) -> str:
        """The answer's line, "" if the process died."""
        self._write(process, message)
        assert process.stdout is not None
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not selector.select(0.5):
                if time.monotonic() > end:
                    raise Lost(f"hangs: no answer after {seconds} s, and no interruption")
                if resident(process.pid) > MEMORY:
                    raise Lost(f"fills more than {MEMORY >> 30} GiB of memory")
        return process.stdout.readline()

    def stop(self) -> None:
        """End the process, by force."""
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
