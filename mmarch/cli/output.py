"""stdout is the answer, stderr is everything else; a file is written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from mmarch.errors import InputError


def answer(text: str, output: str = "") -> None:
    """Print `text`, or write it to the file `output`."""
    text = text if text.endswith("\n") else text + "\n"
    if output in ("", "-"):
        sys.stdout.write(text)
        return
    path = Path(output)
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
        os.chmod(file.name, 0o666 & ~_umask())
        os.replace(file.name, path)
    except OSError as error:
        raise InputError(f"--output {output}: cannot write: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_output(output: str) -> None:
    """InputError now if `answer` could not write to `output` later."""
    folder = Path(output).parent
    if output in ("", "-"):
        return
    if Path(output).is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"--output {output}: not a file in a folder that can be written to")


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
        if self.quiet or not sys.stderr.isatty():
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what)
            yield lambda done, total: bar.update(task, completed=done, total=total)
