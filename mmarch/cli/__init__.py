"""The command line: one message for every error, a documented exit code, no traceback unless asked."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

from mmarch import __version__
from mmarch.environment import switched_on
from mmarch.errors import (
    EXIT_CLOSED,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    Closed,
    InputError,
    Interrupted,
    MmarchError,
)
from mmarch.garbage import look_seldom
from mmarch.verbose import verbose
from mmarch.writing import cannot_write

TRACEBACK = "MMARCH_TRACEBACK"
_SIGNALS = {EXIT_INTERRUPTED: signal.SIGINT, EXIT_CLOSED: signal.SIGPIPE}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. As the process's own entry, a signal that ends it shows as one."""
    if arguments is None:
        look_seldom()
    code = _told(list(sys.argv[1:] if arguments is None else arguments))
    if arguments is None and code in _SIGNALS:
        from mmarch.cli.interrupts import die

        die(_SIGNALS[code])
    return code


def _told(given: list[str]) -> int:
    """The exit code, after one message for whatever went wrong."""
    traceback = _taken(given, "--traceback")
    loud = _taken(given, "-v", "--verbose")
    with switched_on(TRACEBACK, traceback), verbose(loud):
        try:
            return _run(given)
        except (KeyboardInterrupt, BrokenPipeError) as end:
            interrupted = isinstance(end, KeyboardInterrupt)
            return _explained(Interrupted("interrupted") if interrupted else Closed("stdout"))
        except MmarchError as error:
            return _explained(error)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                return _explained(cannot_write(error.filename or "stdout", error))
            # the last resort: a defect of ours, told as one
            text = f"internal error: {type(error).__name__}: {error}\nPlease report it, with the command and what "
            return _explained(error, text + "`mmarch --traceback …` prints.")


def _taken(given: list[str], *names: str) -> bool:
    """Whether an option of ours is there, which is good anywhere; it is taken out."""
    found = [word for word in _ours(given) if word in names]
    for word in found:
        given.remove(word)
    return bool(found)


def _explained(error: Exception, message: str = "") -> int:
    """The exit code that belongs to an error, once it is told; who reads no answer needs no explanation."""
    if isinstance(error, Closed):
        _forget_stdout()
        return EXIT_CLOSED
    if os.environ.get(TRACEBACK):
        import traceback

        traceback.print_exception(error)
    with suppress(OSError):
        print(f"mmarch: {message or error}", file=sys.stderr)
    if isinstance(error, InputError) and "cannot write" in str(error):
        _forget_stdout()
    return error.exit_code if isinstance(error, MmarchError) else EXIT_INTERNAL


def _forget_stdout() -> None:
    """What could not be written is not tried again as the interpreter ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ours(arguments: list[str]) -> list[str]:
    """The arguments without those of a program to record."""
    ends = [arguments.index(word) for word in ("--", "record") if word in arguments]
    return arguments[: min(ends)] if ends else arguments


def _run(arguments: list[str]) -> int:
    if arguments in (["--version"], ["-V"]):
        print(f"mmarch {__version__}")
        sys.stdout.flush()
        return 0
    os.environ.setdefault("TYPER_USE_RICH", "0")  # plain help comes up in half the time
    from mmarch.cli.complete import mended

    stdout = sys.stdout
    code: str | int | None
    try:
        with mended():
            code = _command()(arguments, prog_name="mmarch")
    except SystemExit as end:
        code = end.code
    if sys.stdout is not stdout:  # what click does about a closed pipe
        sys.stdout = stdout
        raise Closed("stdout")
    stdout.flush()
    if code == EXIT_INTERRUPTED:  # what typer makes of KeyboardInterrupt
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


@cache
def _command() -> Callable[..., int | None]:
    """All commands, worked out from their functions once in a process."""
    from typer.main import get_command

    from mmarch.cli.app import app

    return get_command(app)
