"""Steps that cannot say how far they are: their pace is kept, and their bars fill by it."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mmarch import waiting
from mmarch.cli import TRACEBACK, main
from mmarch.cli.bars import NEARLY, Bars
from mmarch.cli.output import Talk
from mmarch.environment import switched_on

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one."""
    monkeypatch.setenv("MMARCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def seen() -> Iterator[list[tuple[str, float]]]:
    """What is shown, with its estimate."""
    told: list[tuple[str, float]] = []

    @contextmanager
    def show(what: str, seconds: float) -> Iterator[None]:
        told.append((what, seconds))
        yield

    with waiting.shown_by(show):
        yield told


def test_the_pace_of_the_last_one_is_the_estimate(
    cache: Path, seen: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guess first; then 10 units that took 5 seconds say that 4 take 2; what fails says nothing."""
    clock = iter((100.0, 105.0, 200.0))
    monkeypatch.setattr(waiting.time, "monotonic", lambda: next(clock))
    with waiting.waiting("one", "test", 10, guess=0.25):
        pass
    with pytest.raises(ValueError, match="no"), waiting.waiting("two", "test", 4):
        raise ValueError("no")
    assert seen == [("one", 2.5), ("two", 2.0)]
    assert float((cache / "pace" / "test").read_text()) == 0.5


@pytest.mark.parametrize("kept", ["", "nonsense", "nan", "-1", "1e300"])
def test_a_damaged_pace_is_none(cache: Path, seen: list[tuple[str, float]], kept: str) -> None:
    """The guess stands."""
    (cache / "pace").mkdir(parents=True)
    (cache / "pace" / "test").write_text(kept)
    with waiting.waiting("one", "test", guess=3.0):
        pass
    assert seen == [("one", 3.0)]


def test_a_cache_that_cannot_be_written_is_no_error(
    monkeypatch: pytest.MonkeyPatch, seen: list[tuple[str, float]]
) -> None:
    """The next one has the guess again."""
    monkeypatch.setenv("MMARCH_CACHE_DIR", "/dev/null/nowhere")
    for what in ("one", "two"):
        with waiting.waiting(what, "test", guess=3.0):
            pass
    assert seen == [("one", 3.0), ("two", 3.0)]


def test_a_bar_fills_by_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it after half the time; nearly full, never full, after more; gone at the end."""
    now = [0.0]
    bars = Bars()
    monkeypatch.setattr(bars, "get_time", lambda: now[0])
    with bars.waiting("linking", 8.0):
        filled = []
        for now[0] in (0.0, 4.0, 20.0):
            list(bars.get_renderables())
            filled.append(bars.tasks[0].percentage)
        assert filled == [0.0, 50.0, 100 * NEARLY]
    assert bars.tasks == []


def test_without_a_terminal_a_line_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    """With the estimate, if there is one; -q says nothing."""
    for quiet in (False, True):
        with Talk(quiet).progress("run"):
            with waiting.waiting("linking 3 functions", "test", 3, guess=2.0):
                pass
            with waiting.waiting("waiting for another"):
                pass
    assert (
        capsys.readouterr().err == "mmarch: linking 3 functions, about 6 s …\nmmarch: waiting for another …\n"
    )


STEP = "from mmarch import waiting\nwith waiting.waiting('its step', 'test', 2, guess=1.5): pass"


def test_steps_of_other_processes_are_shown(seen: list[tuple[str, float]]) -> None:
    """As those of this one, with their estimates; none is left over."""
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    before = list(waiting._shows)
    with ours, theirs, waiting.hearing(ours):
        with ProcessPoolExecutor(1, spawn, waiting.tell, (theirs.send,)) as pool:
            pool.submit(exec, STEP).result()
        while not seen:
            time.sleep(0.01)
    assert seen == [("its step", 3.0)]
    assert waiting._shows == before


def test_a_switch_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set or not, and --traceback leaves nothing in the environment of who called."""
    monkeypatch.delenv(TRACEBACK, raising=False)
    assert main(["--traceback", "run", "no-such-workload"]) == 2
    assert TRACEBACK not in environ
    monkeypatch.setenv(TRACEBACK, "0")
    with switched_on(TRACEBACK):
        assert environ[TRACEBACK] == "1"
    with switched_on(TRACEBACK, wanted=False):
        assert environ[TRACEBACK] == "0"
    assert environ[TRACEBACK] == "0"
