"""What is to be recorded, what became of it, and the file that it goes to; the same for every means."""

from __future__ import annotations

import errno
import gzip
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mmarch.writing import cannot_write, writing

BY_CTRL_C = "by Ctrl-C, before the program"
BY_TIME = "after the time that was asked for, before the program"
PACKING = 6  # of gzip: 9 takes four times as long for a fifteenth less
Progress = Callable[[int, int], None]  # lines written, lines in all
Saving = Callable[[], AbstractContextManager[Progress]]


def unseen() -> AbstractContextManager[Progress]:
    """Saving that nobody watches."""
    return nullcontext(lambda done, total: None)


@dataclass(frozen=True)
class Wanted:
    """A command to run, or the process `pid` that runs already, and how to record it.

    seconds     to record at most; 0: to the end
    buffer_kib  KiB of buffer a CPU; 0 chooses
    huge_pages  False: none for the command, so that the first touch of every page is a fault
    arguments   whether the recording tells those of the program
    saving      is entered while the text is written; told how many lines are, of how many
    """

    output: Path
    command: tuple[str, ...] = ()
    pid: int = 0
    seconds: float = 0
    buffer_kib: int = 0
    huge_pages: bool = False
    arguments: bool = True
    saving: Saving = unseen


@dataclass(frozen=True)
class Recording:
    """What was recorded: lines, faults and tasks in it, and how the program ended, or that Ctrl-C ended it.

    `cut` says that a buffer was full before, so that the trace ends there; one of `buffer_kib` would have done.
    """

    path: Path
    lines: int
    faults: int
    tasks: int
    exit_status: int
    interrupted: bool = False
    cut: bool = False
    buffer_kib: int = 0


@contextmanager
def text_file(output: Path) -> Iterator[IO[str]]:
    """Text that appears at `output` at the end, and lies beside it until then; gzip if the name ends in .gz."""
    folder = Path(os.path.realpath(output)).parent
    with tempfile.TemporaryFile(dir=folder if os.access(folder, os.W_OK) else None) as raw, _room_for(output):
        with (
            gzip.GzipFile("", "wb", PACKING, raw, mtime=0)
            if output.name.endswith(".gz")
            else nullcontext(raw) as packed
        ):
            text = io.TextIOWrapper(packed)
            yield text
            text.flush()
            text.detach()
        raw.seek(0)
        with writing(output) as file:
            shutil.copyfileobj(raw, file)


@contextmanager
def _room_for(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise cannot_write(output, error) from error
