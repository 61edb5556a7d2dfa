"""stdout is the answer, stderr is everything else; a file is written whole or not at all."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mmarch.cli.interrupts import interruptible
from mmarch.errors import Closed, InputError
from mmarch.suggest import did_you_mean
from mmarch.waiting import shown_by
from mmarch.writing import cannot_write, writing

if TYPE_CHECKING:
    from mmarch.runs.workloads import Source
    from mmarch.trace.assumed import Reading


BYTES = ("parquet", "perfetto", "history")  # formats that are no text


def answer(text: str | bytes, output: str = "") -> None:
    """Print `text`, or write it to the file `output`."""
    if isinstance(text, str):
        text = (text if text.endswith("\n") else text + "\n").encode()
    if output in ("", "-"):
        with telling("stdout"):
            _print(text)
        return
    with telling(output), writing(output) as file:
        file.write(text)


def _print(data: bytes) -> None:
    """To stdout, which tests replace by one without bytes."""
    stream = getattr(sys.stdout, "buffer", None)
    sys.stdout.flush()
    if stream is not None:
        stream.write(data)
    else:
        sys.stdout.write(data.decode())
    sys.stdout.flush()


def chosen_format(form: str, json: bool, output: str, known: Sequence[str], command: str) -> str:
    """What `--format` or `--json` say; InputError if the command lacks it, or for bytes on a terminal."""
    if json and form not in ("", "json"):
        raise InputError(f"--json and --format {form} exclude each other; drop one")
    form = "json" if json else form or "table"
    if form not in known:
        near = did_you_mean(form, known)
        raise InputError(f"--format {form}: {command} has no such format.{near} It has: {', '.join(known)}.")
    if form in BYTES and output in ("", "-") and sys.stdout.isatty():
        raise InputError(f"--format {form} writes bytes, and stdout is a terminal; add -o FILE")
    return form


@contextlib.contextmanager
def telling(output: str) -> Iterator[None]:
    """Closed if the reader has gone, InputError if there is no room."""
    try:
        yield
    except BrokenPipeError:
        raise Closed(output) from None
    except OSError as error:
        raise cannot_write(output, error) from error


_HOW: ContextVar[Mapping[str, Any]] = ContextVar("how to read a trace", default=MappingProxyType({}))


@contextlib.contextmanager
def reading_as(options: Mapping[str, Any]) -> Iterator[None]:
    """Read traces as the options of a command say, while it runs."""
    token = _HOW.set(options)
    try:
        yield
    finally:
        _HOW.reset(token)


def how_to_read() -> Reading:
    """As the options of this command say."""
    from mmarch.trace.assumed import Reading
    from mmarch.trace.maps import read_maps

    options = dict(_HOW.get())
    options.pop("set_", None)
    maps = options.pop("maps", None)
    return Reading(**options, maps=read_maps(maps) if maps else ())


def parameters() -> dict[str, str]:
    """As the --set options of this command say."""
    given = _HOW.get().get("set_")
    if not given:
        return {}
    from mmarch.scenario import parse_settings

    return parse_settings(given)


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
            with shown_by(self._told):
                yield lambda done, total: None
            return
        from mmarch.cli.bars import Bars

        with Bars() as bars, shown_by(bars.waiting):
            task = bars.add_task(what, total=None)  # moves to and fro until something is done
            yield lambda done, total: bars.update(task, completed=done, total=total)

    @contextlib.contextmanager
    def _told(self, what: str, seconds: float) -> Iterator[None]:
        """A line instead of a bar."""
        self.note(what + (f", about {max(1, round(seconds))} s …" if seconds else " …"))
        yield

    def reading(self, workload: str, scenario: str, backing: str) -> Source:
        """What a command works on, as `open_workload`."""
        from mmarch.runs.workloads import DEFAULT_TRACE, open_workload

        with self.progress(f"reading {workload or DEFAULT_TRACE}") as progress:
            return open_workload(workload, scenario, backing, progress, how_to_read(), parameters())
