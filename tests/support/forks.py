"""`python -m mmarch` without half a second of imports: each command is a fork of a process that has imported it.

The process waits for a line of JSON (words, folder, environment), runs `mmarch` with these in a fork of its own, and
answers with the exit code and what was printed. Nothing that a command does is there for the next one.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
LIMIT = 600  # seconds of processor: a command that hangs ends


def run(
    *words: str, cwd: Path | None = None, environment: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """A command of mmarch, its stdin empty, its output no terminal."""
    waiting = _waiting(os.getpid())
    assert waiting.stdin is not None and waiting.stdout is not None
    request = {"words": words, "cwd": str(cwd or Path.cwd()), "environment": dict(environment)}
    waiting.stdin.write(json.dumps(request) + "\n")
    waiting.stdin.flush()
    answer = json.loads(waiting.stdout.readline())
    return subprocess.CompletedProcess(["mmarch", *words], **answer)


@cache
def _waiting(_: int) -> subprocess.Popen[str]:
    """One for each process of tests; it ends with it, when its stdin is closed."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.forks"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
    )


def _forked(request: dict[str, Any]) -> dict[str, Any]:
    """What a command said and how it ended."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            _become(request, out, err)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode("utf-8"))
        return {"returncode": code, "stdout": said[0], "stderr": said[1]}


def _become(request: dict[str, Any], out: IO[bytes], err: IO[bytes]) -> None:
    """The command, to its end."""
    from mmarch.cli import main
    from mmarch.errors import EXIT_INTERNAL

    code = EXIT_INTERNAL
    try:
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:0] = [request["cwd"], *filter(None, before)]
        sys.argv = ["mmarch", *request["words"]]
        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _import_all() -> None:
    """What most commands want."""
    import mmarch.api.running
    import mmarch.cli.app
    import mmarch.cli.measure
    import mmarch.report.formats
    import mmarch.sanitize.run  # noqa: F401 they stay imported


def main() -> None:
    """Until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _import_all()
    for line in sys.stdin:
        answers.write(json.dumps(_forked(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
