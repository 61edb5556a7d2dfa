"""Workers of a Dask cluster: chunks of points through its scheduler, rows through the store's file system."""

from __future__ import annotations

import itertools
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mmarch.errors import InputError, MmarchError
from mmarch.grid.crew import SECONDS, Pace
from mmarch.grid.identity import PYTHON, Identity, differences, identity
from mmarch.grid.points import Point, setup_of
from mmarch.grid.work import Chunk, Done, work

TASKS = 400  # a second, half of what a scheduler and its client can do
AHEAD = 2  # chunks for each thread of the cluster
WAIT = 10  # seconds for the scheduler to answer, and for a worker to be there
DASK = "needs dask and distributed; install them with: pip install 'mmarch[dask]'"


@dataclass
class Cluster:
    """The workers behind the scheduler at `address`, which have to be what we are, for `samples` of all points."""

    address: str
    samples: Sequence[Point]

    def work(self, chunks: Iterator[Chunk], pace: Pace) -> Iterator[Done]:
        """As of a crew. A chunk whose worker is lost goes to another one, behind what the first had finished."""
        distributed = library()
        client = self._client(distributed)
        with client:
            first = next(chunks, None)
            if first is None:
                return
            self._check(client, first.folder)
            pace.chunk = max(SECONDS, sum(client.nthreads().values()) / TASKS)
            yield from self._through(client, distributed, itertools.chain([first], chunks))

    def _client(self, distributed: Any) -> Any:
        try:
            client = distributed.Client(self.address, timeout=WAIT, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(f"--scheduler {self.address}: cannot connect: {error}") from None
        try:
            client.wait_for_workers(1, timeout=WAIT)
        except TimeoutError:
            client.close()
            raise InputError(
                f"--scheduler {self.address}: it has no workers; start some with: dask worker {self.address}"
            ) from None
        return client

    def _check(self, client: Any, folder: str) -> None:
        """Refuse, by name, a worker that is another Python, mmarch or plugin, or does not see the store."""
        for name, function, asked in (
            (PYTHON, platform.python_version, ()),  # Python's own: another mmarch may not understand ours
            ("mmarch", version, ("mmarch",)),
        ):
            for address, theirs in self._answers(client, function, *asked):
                refuse_other(address, {name: theirs}, {name: function(*asked)})
        ours = _identity(self.samples)
        for address, theirs in self._answers(client, _identity, self.samples):
            refuse_other(address, theirs, ours)
        for address, sees in self._answers(client, os.path.isdir, folder):
            if not sees:
                raise InputError(
                    f"worker {address} does not see {folder}; STORE has to lie on a file system that all share"
                )

    def _answers(self, client: Any, function: Callable[..., Any], *asked: Any) -> Iterator[tuple[str, Any]]:
        """What it is on each worker; InputError for one on which it raises."""
        for address, found in sorted(client.run(function, *asked, on_error="return").items()):
            if isinstance(found, PackageNotFoundError):
                raise InputError(f"worker {address} has no mmarch; install the same on all machines")
            if isinstance(found, Exception):
                raise InputError(f"worker {address} cannot say what it is: {type(found).__name__}: {found}")
            yield address, found

    def _through(self, client: Any, distributed: Any, chunks: Iterator[Chunk]) -> Iterator[Done]:
        """So many chunks at once that no worker waits."""
        room = AHEAD * sum(client.nthreads().values())
        running = distributed.as_completed(loop=client.loop)
        under_way: dict[Any, Chunk] = {}

        def submit(chunk: Chunk) -> None:
            future = client.submit(_work, chunk, _identity(chunk.points), pure=False)
            under_way[future] = chunk
            running.add(future)

        try:
            for chunk in itertools.islice(chunks, room):
                submit(chunk)
            for future in running:
                del under_way[future]
                yield self._done(future)
                for chunk in itertools.islice(chunks, 1):
                    submit(chunk)
        finally:
            client.cancel(list(under_way), force=True)

    def _done(self, future: Any) -> Done:
        try:
            done: Done = future.result()
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"--scheduler {self.address}: the cluster gave up: {type(error).__name__}: {error}"
            ) from None
        return done


def library() -> Any:
    """`distributed`; InputError that says how to get it."""
    try:
        import distributed
    except ImportError:
        raise InputError(f"--scheduler {DASK}") from None
    return distributed


def refuse_other(address: str, theirs: Identity, ours: Identity) -> None:
    """InputError if a worker is not what we are."""
    if other := differences(theirs, ours):
        raise InputError(f"worker {address} differs: {other}; install the same on all machines")


def _identity(points: Iterable[Point]) -> Identity:
    """Of this process, for these points; without the plugins that it has not."""
    setups = []
    for choices in {(one.choices.arch, one.choices.with_): one.choices for one in points}.values():
        with suppress(MmarchError):
            setups.append(setup_of(choices))
    return identity(setups)


def _work(chunk: Chunk, ours: Identity) -> Done:
    """On a worker, which may have come later than the others."""
    from distributed import get_worker

    refuse_other(str(get_worker().address), _identity(chunk.points), ours)
    return work(chunk)
