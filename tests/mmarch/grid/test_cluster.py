"""A sweep on a real Dask scheduler with two worker processes, on loopback."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars
import pytest

import mmarch as mmarch_package
from mmarch.errors import InputError
from mmarch.grid import cluster
from mmarch.grid.cluster import Cluster
from mmarch.grid.plan import Plan, plan
from mmarch.grid.run import sweep
from mmarch.grid.spec import read
from tests.support.plugins import Plugins

DASK = [sys.executable, "-m", "dask"]


@dataclass
class Running:
    """A scheduler and its workers."""

    address: str
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def employ(self, environment: dict[str, str] | None = None) -> None:
        """One more worker, of one thread."""
        command = [*DASK, "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        self.workers.append(
            subprocess.Popen(
                [*command, "--local-directory", str(self.folder)], env={**os.environ, **(environment or {})},
                stderr=subprocess.DEVNULL, cwd=self.folder,
            )
        )  # fmt: skip

    def dismiss(self) -> None:
        """The last one, which the scheduler then knows."""
        from distributed import Client

        worker = self.workers.pop()
        worker.terminate()
        worker.wait()
        with Client(self.address, set_as_default=False) as client:
            while client.nthreads():
                time.sleep(0.02)

    def ready(self) -> None:
        """All of them are known to the scheduler."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(len(self.workers), timeout=60)


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A scheduler without workers."""
    folder = tmp_path_factory.mktemp("dask")
    command = [*DASK, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder) as scheduler:
        assert scheduler.stderr
        found = None
        while not found:
            found = re.search(r"Scheduler at: *(tcp://\S+)", scheduler.stderr.readline())
        threading.Thread(target=scheduler.stderr.read, daemon=True).start()
        made = Running(found[1], folder)
        try:
            yield made
        finally:
            for process in (*made.workers, scheduler):
                process.kill()
                process.wait()


def planned(folder: Path, seeds: int = 1) -> Plan:
    """The folder's grid, so many times over."""
    spec = folder / "grid.toml"
    spec.write_text(spec.read_text().replace("[axes.set]", f"seed = {{ last = {seeds - 1} }}\n[axes.set]"))
    return plan(read(spec))


def table(store: Path, kind: str) -> polars.DataFrame:
    """All segments of a kind, sorted by digest."""
    return polars.concat([polars.read_parquet(p) for p in (store / kind).glob("*.parquet")]).sort("digest")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_one_of_two_workers_is_killed(
    folder: Path, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle: the sweep completes, both had a part, and the rows are those of this machine alone.

    The SPEC is named as from its folder, where the workers are not.
    """
    monkeypatch.chdir(folder)
    made = planned(Path(), 60)
    running.employ()
    running.employ()
    running.ready()
    done: list[int] = []

    def progress(now: int, total: int) -> None:
        done.append(now)
        if len(done) == 6:
            running.workers[0].send_signal(signal.SIGKILL)

    found = sweep(made, folder / "far", Cluster(running.address, made.samples), progress=progress)
    assert (found.ran, found.failures) == (360, ())
    assert running.workers[0].wait() == -signal.SIGKILL
    sweep(made, folder / "near")
    assert table(folder / "far", "rows").equals(table(folder / "near", "rows"))
    log = table(folder / "far", "log")
    assert log["digest"].to_list() == sorted(made.digests)
    assert log["process"].n_unique() == 2
    assert not list((folder / "far" / "journal").iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_workers_that_are_something_else_are_refused_by_name(
    folder: Path, running: Running, plugins: Plugins, tmp_path: Path
) -> None:
    """Without the plugin, with another version of it, with another mmarch, with another Python."""
    module = plugins.install("arch = descriptor()\n")
    spec = folder / "grid.toml"
    spec.write_text(spec.read_text().split("[axes.set]")[0].replace("cpu = ", 'arch = ["generic", "toy"] #'))
    made = plan(read(spec))

    def refused(said: str, **environment: str) -> None:
        running.employ(environment)
        running.ready()
        with pytest.raises(InputError, match=rf"worker tcp://\S+ differs: {said}; install the same"):
            sweep(made, folder / "store", Cluster(running.address, made.samples))
        running.dismiss()

    refused(r"plugin toy none, here mmarch-toy 1\.2 \(\w+\)")
    newer = tmp_path / "newer"
    shutil.copytree(module.parent, newer)
    metadata = newer / "mmarch_toy-1.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.2", "1.3"))
    refused(r"plugin toy mmarch-toy 1\.3 .*, here mmarch-toy 1\.2 .*", PYTHONPATH=str(newer))
    copy = tmp_path / "older" / "mmarch"
    shutil.copytree(Path(mmarch_package.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    source = (copy / "__init__.py").read_text()
    (copy / "__init__.py").write_text(source.replace('__version__ = "', '__version__ = "0.0.'))
    refused(r"mmarch 0\.0\.\S+ .*", PYTHONPATH=os.pathsep.join([str(copy.parent), str(plugins.folder)]))
    lie = tmp_path / "lie"
    lie.mkdir()
    (lie / "sitecustomize.py").write_text("import platform\nplatform.python_version = lambda: '3.99.0'\n")
    refused(r"Python 3\.99\.0, here 3\.\S+", PYTHONPATH=str(lie))
    assert not list((folder / "store" / "rows").glob("*"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_scheduler_without_workers(folder: Path, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says how to start one."""
    monkeypatch.setattr(cluster, "WAIT", 1)
    made = planned(folder)
    with pytest.raises(InputError, match=r"it has no workers; start some with: dask worker tcp://"):
        sweep(made, folder / "store", Cluster(running.address, made.samples))


def test_a_scheduler_that_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names the address."""
    monkeypatch.setattr(cluster, "WAIT", 0.5)
    made = planned(folder)
    with pytest.raises(InputError, match=r"--scheduler tcp://127\.0\.0\.1:1: cannot connect"):
        sweep(made, folder / "store", Cluster("tcp://127.0.0.1:1", made.samples))


def test_without_dask(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mmarch: Callable[..., tuple[int, str, str]]
) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, err = mmarch("sweep", folder / "grid.toml", "-o", folder / "store", "--scheduler", "tcp://x:1")
    assert code == 2 and "pip install 'mmarch[dask]'" in err
