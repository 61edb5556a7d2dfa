"""The command line: one message for every error, a documented exit code, no traceback unless asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mmarch import __version__
from mmarch.errors import EXIT_INTERNAL, MmarchError

EXIT_INTERRUPTED = 130
TRACEBACK = "MMARCH_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["--version"], ["-V"]):
        print(f"mmarch {__version__}")
        return 0
    if "--traceback" in _ours(given):
        given.remove("--traceback")
        os.environ[TRACEBACK] = "1"
    try:
        return _run(given)
    except KeyboardInterrupt:
        print("mmarch: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MmarchError as error:
        _explain(error, str(error))
        return error.exit_code
    except Exception as error:  # the last resort: a defect of ours, told as one
        _explain(error, f"internal error: {type(error).__name__}: {error}\nPlease report it, with the command "
                        f"and what `mmarch --traceback …` prints.")  # fmt: skip
        return EXIT_INTERNAL


def _ours(arguments: list[str]) -> list[str]:
    """The arguments without those of a program to record."""
    ends = [arguments.index(word) for word in ("--", "record") if word in arguments]
    return arguments[: min(ends)] if ends else arguments


def _run(arguments: list[str]) -> int:
    os.environ.setdefault("TYPER_USE_RICH", "0")  # plain help comes up in half the time
    from mmarch.cli.app import app

    try:
        code = app(arguments, prog_name="mmarch")
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _explain(error: Exception, message: str) -> None:
    if os.environ.get(TRACEBACK):
        import traceback

        traceback.print_exception(error)
    print(f"mmarch: {message}", file=sys.stderr)
