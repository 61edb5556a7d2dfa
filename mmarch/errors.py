"""The error tree; every error knows its exit code.

MmarchError
├── InputError      a workload, trace, scenario, result or option is wrong    exit 2
├── PluginError     an architecture or series is wrong (MM001..MM024)            exit 3
├── Interrupted     Ctrl-C; says what it stopped                             killed by SIGINT, 130 in a shell
├── Closed          nobody reads the answer any more                         killed by SIGPIPE, 141 in a shell
└── InternalError   we are wrong                                             exit 4
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

EXIT_OK, EXIT_FINDINGS, EXIT_USAGE, EXIT_PLUGIN, EXIT_INTERNAL = 0, 1, 2, 3, 4
EXIT_INTERRUPTED, EXIT_CLOSED = 130, 141  # 128 + SIGINT, 128 + SIGPIPE


class MmarchError(Exception):
    """Base of all errors a user may see; its text is one complete message."""

    exit_code = EXIT_INTERNAL


class InputError(MmarchError):
    """Bad input: names the file and the line or the option, shows the value, says the fix.

    parameter      whose value is wrong, by the name that functions have for it, if the text does not say so
    configuration  the one of several that it belongs to
    """

    exit_code = EXIT_USAGE
    parameter = configuration = ""


@contextmanager
def concerning(parameter: str = "", configuration: str = "") -> Iterator[None]:
    """An InputError that leaves the block has these, if it had none: what is nearer to the fault knows best."""
    try:
        yield
    except InputError as error:
        error.parameter = error.parameter or parameter
        error.configuration = error.configuration or configuration
        raise


class PluginError(MmarchError):
    """A plugin breaks the contract; `code` is the stable MMnnn code."""

    exit_code = EXIT_PLUGIN

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")

    @property
    def message(self) -> str:
        """Its text without the code."""
        return str(self).removeprefix(f"{self.code}: ")

    def on(self, what: str) -> PluginError:
        """The same, with what it happened on."""
        return type(self)(self.code, f"{what}: {self.message}")

    def __reduce__(self) -> tuple[type[PluginError], tuple[str, str]]:
        return type(self), (self.code, self.message)


class Interrupted(MmarchError):
    """The user stopped what the text says."""

    exit_code = EXIT_INTERRUPTED


class Closed(MmarchError):
    """The reader of a pipe has gone."""

    exit_code = EXIT_CLOSED


class InternalError(MmarchError):
    """A defect of mmarch itself."""
