"""Import a series where it can do no harm: in a process of its own that prints to nobody and is ended in time.

The child reports on a pipe of its own; what it prints goes to a file whose size is limited.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mmarch.errors import PluginError

SECONDS = 10
PRINTED = 1 << 16  # bytes that it may print before it is ended
MEMORY = 8 << 30  # bytes of address space
CHILD = """
import importlib.util, json, os, resource, sys, traceback
report, kind, name, path, printed, memory = int(sys.argv[1]), *sys.argv[2:5], *map(int, sys.argv[5:])
resource.setrlimit(resource.RLIMIT_FSIZE, (printed, printed))
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
sys.dont_write_bytecode = True
try:
    if kind == "file":
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        exec(compile(sys.stdin.read(), path, "exec"), vars(module))
    else:
        importlib.import_module(name)
    answer = {}
except BaseException as error:
    at = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    answer = {"error": f"{type(error).__name__}: {error}"[:500], "at": at[-1] if at else ""}
sys.stdout.flush()
os.write(report, json.dumps(answer).encode())
os._exit(0)
"""


def try_import(what: str, kind: str, name: str, path: str, text: str) -> None:
    """PluginError if the import raises (MM015), hangs (MM016) or prints (MM017); `what` is its subject."""
    code, message = _tried(kind, name, path, text, SECONDS)
    if code:
        raise PluginError(code, f"{what}: {message}")


@cache
def _tried(kind: str, name: str, path: str, text: str, seconds: float) -> tuple[str, str]:
    """Once for each text."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as printed, os.fdopen(reading, "rb") as report:
        limits = [str(PRINTED), str(MEMORY)]
        command = [sys.executable, "-W", "ignore", "-c", CHILD, str(writing), kind, name, path, *limits]
        hung = False
        try:
            ended = _run(command, text, printed.fileno(), writing, seconds)
        except subprocess.TimeoutExpired:
            ended, hung = 0, True
        finally:
            os.close(writing)
        answer = report.read(PRINTED)
        printed.seek(0)
        output = printed.read(PRINTED).decode(errors="replace")
    if hung:
        return "MM016", f"its import takes more than {seconds:g} s; a series only defines functions"
    return _judged(answer, output, ended, path)


def _run(command: Sequence[str], text: str, printed: int, writing: int, seconds: float) -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(
        command, input=text.encode(), stdout=printed, stderr=printed, timeout=seconds, env=environment,
        pass_fds=[writing], check=False, start_new_session=True,
    )  # fmt: skip
    return done.returncode


def _judged(answer: bytes, output: str, ended: int, path: str) -> tuple[str, str]:
    found = json.loads(answer) if answer else {"error": f"it ends the process ({_how(ended)})", "at": ""}
    if "error" in found:
        return "MM015", f"its import failed: {found['error']} ({found['at'] or path})"
    if output:
        first = output.strip().splitlines()[0][:60] if output.strip() else "blank lines"
        return "MM017", f"it prints while it is imported ({first!r}); a series only defines functions"
    return "", ""


def _how(ended: int) -> str:
    return f"exit status {ended}" if ended >= 0 else f"signal {-ended}"


def read_text(path: Path) -> str:
    """The text of a file with a series; MM014 if it cannot be one."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise PluginError("MM014", f"{path}: no series: cannot read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise PluginError("MM014", f"{path}: no series: larger than {LARGEST >> 10} KiB")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise PluginError("MM014", f"{path}: no series: not UTF-8 text") from None


LARGEST = 1 << 20
