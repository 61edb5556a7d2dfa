"""Install a distribution from its folder and run things where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support import forks


@dataclass(frozen=True)
class Site:
    """A folder that distributions are installed into, put before everything else on the path."""

    target: Path

    def install(self, folder: Path) -> None:
        """pip install the distribution in `folder`, alone and with the build tools that are here."""
        self.run(
            "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
            "--disable-pip-version-check", "--target", str(self.target), str(folder),
        )  # fmt: skip

    def run(self, *arguments: str, cwd: Path | None = None, fails: bool = False) -> str:
        """Run python with these arguments; what it printed to stdout and stderr."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self._environment(),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        return self._told(done, fails)

    def mmarch(self, *arguments: str, fails: bool = False) -> str:
        """Run the command line."""
        return self._told(forks.run(*arguments, environment=self._environment()), fails)

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.target), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"}

    @staticmethod
    def _told(done: subprocess.CompletedProcess[str], fails: bool) -> str:
        text = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"{done.args} exited {done.returncode}:\n{text[-6000:]}"
        return text
