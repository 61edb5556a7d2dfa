"""stdout is the answer, stderr is everything else; a file is written whole or not at all."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mmarch.cli.interrupts import interruptible
from mmarch.errors import Closed
from mmarch.writing import cannot_write, writing

if TYPE_CHECKING:
    from mmarch.runs.workloads import Source


def answer(text: str, output: str = "") -> None:
    """Print `text`, or write it to the file `output`."""
    text = text if text.endswith("\n") else text + "\n"
    if output in ("", "-"):
        with telling("stdout"):
            sys.stdout.write(text)
            sys.stdout.flush()
        return
    with telling(output), writing(output) as file:
        file.write(text.encode())


@contextlib.contextmanager
def telling(output: str) -> Iterator[None]:
    """Closed if the reader has gone, InputError if there is no room."""
    try:
        yield
    except BrokenPipeError:
        raise Closed(output) from None
    except OSError as error:
        raise cannot_write(output, error) from error


class Talk:
    """Notes and progress on stderr; silent if `quiet`, a bar only on a terminal."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def note(self, text: str) -> None:
        """One line."""
        if not self.quiet:
            print(f"mmarch: {text}", file=sys.stderr)

    def problem(self, text: str) -> None:
        """One line, even if quiet."""
        print(f"mmarch: {text}", file=sys.stderr)

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A function that is told how many are done, of how many."""
        with interruptible(what), self._shown(what) as progress:
            yield progress

    @contextlib.contextmanager
    def _shown(self, what: str) -> Iterator[Callable[[int, int], None]]:
        if self.quiet or not sys.stderr.isatty():
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.progress import Progress, TimeElapsedColumn

        columns = (*Progress.get_default_columns(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None)  # moves to and fro until something is done
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def reading(self, workload: str, scenario: str, backing: str) -> Source:
        """What a command works on, as `open_workload`."""
        from mmarch.runs.workloads import DEFAULT_TRACE, open_workload

        with self.progress(f"reading {workload or DEFAULT_TRACE}") as progress:
            return open_workload(workload, scenario, backing, progress)
