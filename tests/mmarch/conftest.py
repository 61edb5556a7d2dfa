"""Fixtures for tests of what a person touches."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from mmarch.cli import main
from tests.support.plugins import Plugins


class Ran(NamedTuple):
    """A command's exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, even where whoever started the tests had it ignored, as shells do in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    """A place to install plugins to."""
    folder = tmp_path / "site"
    folder.mkdir()
    made = Plugins(folder, monkeypatch)
    yield made
    made.forget()


@pytest.fixture
def mmarch(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run the command line in this process."""

    def run(*arguments: str | Path) -> Ran:
        words: Sequence[str] = [str(argument) for argument in arguments]
        code = main(words)
        return Ran(code, *capsys.readouterr())

    return run
