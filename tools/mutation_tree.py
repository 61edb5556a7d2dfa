"""A copy of this tree that takes one mutant at a time, and runs stages of tools/mutation_stage.py in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from tools.mutation_probe import write
from tools.mutators import Mutant

ROOT = Path(__file__).parents[1]
MUTATED = ("core_mm", "arches/arm64", "arches/generic")
NEEDED = (*MUTATED, "arches", "mmarch", "tools", "tests/measured", "examples", "pyproject.toml")
PROBING = 4 * 3600  # seconds of a stage on the sound tree
OPERATIONS = 20_000  # of the oracle, on each release
Of = TypeVar("Of")
Result = TypeVar("Result")


def digest(root: Path) -> str:
    """Of everything that takes part in a verdict."""
    total = hashlib.sha256()
    for place in NEEDED:
        for file in sorted(files_of(root / place)):
            total.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:16]


def files_of(place: Path) -> Iterable[Path]:
    """A file, or all below a folder but what Python makes."""
    if place.is_file():
        return [place]
    return (file for file in place.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


class Tree:
    """A copy of the source that takes one mutant at a time."""

    def __init__(
        self, root: Path, place: Path, operations: int = OPERATIONS, needed: Sequence[str] = NEEDED
    ) -> None:
        self.place, self.before, self.operations = place, "", operations
        for name in needed:
            for file in files_of(root / name):
                copy = place / file.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)

    def with_(self, mutant: Mutant) -> None:
        """Put it in."""
        file = self.place / mutant.path
        self.before = file.read_text(encoding="utf-8")
        file.write_text(mutant.applied(self.before), encoding="utf-8")

    def sound(self, mutant: Mutant) -> None:
        """Take it out; the source that the copy was made of may have changed since."""
        (self.place / mutant.path).write_text(self.before, encoding="utf-8")

    def stage(self, name: str, seed: int, limit: int, jobs: Sequence[str] = ()) -> tuple[int, str]:
        """Exit code, and the last line of what a stage printed; code 124 if it did not end."""
        code, told = self.told(["tools.mutation_stage", name, str(seed), *jobs], limit)
        return code, (told.strip().splitlines() or [f"exit {code}"])[-1]

    def told(self, arguments: Sequence[str], limit: int) -> tuple[int, str]:
        """Exit code and output of a module run in the tree."""
        command = [sys.executable, "-B", "-m", *arguments]
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.place),
            "MMARCH_CACHE_DIR": str(self.place / ".cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MUTATION_OPERATIONS": str(self.operations),
        }
        with subprocess.Popen(
            command, cwd=self.place, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        ) as process:  # fmt: skip
            try:
                told, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return 124, f"no end after {limit} s"
            finally:
                end(process.pid)
        return process.returncode, told

    def probed(
        self, name: str, seed: int, sample: Sequence[Mutant], pure: Mapping[str, list[str]], part: int, of: int
    ) -> list[str]:
        """Lines of tools/mutation_probe.py about a part of a stage, whose jobs all pass."""
        path = self.place / "mutants.json"
        write(path, sample, dict(pure))
        code, told = self.told(
            ["tools.mutation_probe", str(path), name, str(seed), str(part), str(of)], PROBING
        )
        lines = told.strip().splitlines()
        if code:
            sys.exit(f"the sound tree cannot be probed in stage {name}: {(lines or [f'exit {code}'])[-1]}")
        return lines


def end(group: int) -> None:
    """Workers that outlive their stage."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Trees:
    """Copies that are worked in at once."""

    def __init__(
        self, root: Path, place: Path, operations: int, workers: int, needed: Sequence[str] = NEEDED
    ) -> None:
        self.free = SimpleQueue[Tree]()
        self.workers = workers
        for number in range(workers):
            self.free.put(Tree(root, place / str(number), operations, needed))

    @contextmanager
    def one(self) -> Iterator[Tree]:
        """A copy that nobody else works in."""
        tree = self.free.get()
        try:
            yield tree
        finally:
            self.free.put(tree)

    def each(self, things: Iterable[Of], work: Callable[[Of], Result]) -> Iterator[Result]:
        """What work gives of each, as it is done; whatever it raises is raised."""
        pool = ThreadPoolExecutor(self.workers)
        try:
            for future in as_completed([pool.submit(work, thing) for thing in things]):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
