"""Workers of this machine: a process a core, each of which may be killed without loss."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from mmarch.grid.crew import Pace
from mmarch.grid.journal import Journal, entries
from mmarch.grid.points import Point
from mmarch.grid.work import Chunk, Done, work
from mmarch.runs.parallel import cores
from mmarch.waiting import hearing, tell

_PR_SET_PDEATHSIG = 1  # prctl(2)
LAST = 5.0  # seconds that an idle worker has to end
TWICE = 2  # a point that a process died of so often is given up


@dataclass
class Worker:
    """A process, our end of its pipe, and what it works on."""

    process: SpawnProcess
    pipe: Any
    chunk: Chunk | None = None


@dataclass
class Local:
    """All cores, or `processes`."""

    processes: int = field(default_factory=cores)

    def __post_init__(self) -> None:
        self._deaths: Counter[str] = Counter()
        self._again: list[Chunk] = []
        self._spawn = get_context("spawn")

    def work(self, chunks: Iterator[Chunk], pace: Pace) -> Iterator[Done]:
        """As of a crew. A worker that dies is replaced, and its chunk goes on behind what it had finished."""
        ours, theirs = self._spawn.Pipe(duplex=False)
        workers: list[Worker] = []
        with ours, theirs, hearing(ours):
            try:
                while True:
                    self._employ(workers, chunks, theirs)
                    if not workers:
                        return
                    yield from self._wait(workers)
            finally:
                for worker in workers:
                    worker.process.kill()

    def _employ(self, workers: list[Worker], chunks: Iterator[Chunk], theirs: Any) -> None:
        """Whoever is idle gets a chunk, as long as there are some."""
        for worker in [one for one in workers if not one.chunk]:
            self._give(worker, workers, chunks)
        while len(workers) < self.processes and (chunk := self._next(chunks)):
            workers.append(self._start(theirs, chunk))

    def _give(self, worker: Worker, workers: list[Worker], chunks: Iterator[Chunk]) -> None:
        worker.chunk = self._next(chunks)
        if worker.chunk is None:
            workers.remove(worker)
            worker.pipe.close()  # at which it ends
            worker.process.join(LAST)
        else:
            _send(worker.pipe, worker.chunk)

    def _next(self, chunks: Iterator[Chunk]) -> Chunk | None:
        return self._again.pop() if self._again else next(chunks, None)

    def _start(self, theirs: Any, chunk: Chunk) -> Worker:
        pipe, far = self._spawn.Pipe()
        process = self._spawn.Process(target=_serve, args=(far, theirs, os.getpid()), daemon=True)
        before = signal.getsignal(signal.SIGINT)
        try:
            if _in_main_thread():
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for us, who end the workers
            process.start()
        finally:
            if _in_main_thread():
                signal.signal(signal.SIGINT, before)
        far.close()
        _send(pipe, chunk)
        return Worker(process, pipe, chunk)

    def _wait(self, workers: list[Worker]) -> Iterator[Done]:
        ready = connection.wait([worker.pipe for worker in workers])
        for worker in [one for one in workers if one.pipe in ready]:
            try:
                done: Done = worker.pipe.recv()
            except (EOFError, OSError):
                workers.remove(worker)
                self._died(worker)
                continue
            worker.chunk = None
            yield done

    def _died(self, worker: Worker) -> None:
        """What it had not finished runs again; a point that has killed several is failed."""
        worker.process.join()
        chunk = worker.chunk
        assert chunk
        folder = Path(chunk.folder)
        paths = sorted(folder.glob(f"{chunk.name}-*.jsonl"))
        known = {entry["digest"] for path in paths for entry in entries(path).found}
        rest = [point for point in chunk.points if point.digest not in known]
        if rest:
            self._deaths[rest[0].digest] += 1
            if self._deaths[rest[0].digest] >= TWICE:
                self._give_up(folder, chunk, rest[0], worker.process.exitcode or 0)
        self._again.append(chunk)

    def _give_up(self, folder: Path, chunk: Chunk, point: Point, code: int) -> None:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        log = {"host": "", "process": 0, "python": "", "engine": "", "started": "", "seconds": 0.0}
        error = f"its process ended {TWICE} times, by {how}; run it alone to see why"
        with Journal.begin(folder, chunk.name) as journal:
            journal.write({"digest": point.digest, "error": error, "log": log})


def _send(pipe: Any, chunk: Chunk) -> None:
    """To a worker; who has died meanwhile is noticed by who waits for its answer."""
    with suppress(OSError):
        pipe.send(chunk)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _serve(pipe: Any, told: Any, parent: int) -> None:
    """Chunk after chunk, until the pipe is closed; it ends with the process that began it, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    tell(told.send)
    try:
        while True:
            pipe.send(work(pipe.recv()))
    except (EOFError, BrokenPipeError):
        return
