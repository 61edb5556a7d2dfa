"""A store outlives its sweep: whatever ends it, no finished point runs again and no row appears twice."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars
import pytest

from mmarch.cli import main
from mmarch.errors import InputError
from mmarch.grid import segments, store
from mmarch.grid.crew import Pace, chunks
from mmarch.grid.journal import entries
from mmarch.grid.plan import Plan, plan
from mmarch.grid.run import Swept, sweep
from mmarch.grid.spec import read
from mmarch.grid.table import read as read_store
from mmarch.grid.work import Chunk, Done, work

Mmarch = Callable[..., tuple[int, str, str]]


class Here:
    """A crew of this process, which stops as if killed after so many chunks."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.most, self.counted = most, list[str]()

    def work(self, given: Iterator[Chunk], pace: Pace) -> Iterator[Done]:
        for chunk in itertools.islice(given, self.most):
            self.counted += [point.digest for point in chunk.points]
            yield work(chunk)
        if next(given, None):
            raise Killed


class Killed(BaseException):
    """SIGKILL: nothing in the program catches it."""


def planned(folder: Path) -> Plan:
    """The plan of the folder's SPEC."""
    return plan(read(folder / "grid.toml"))


def swept(folder: Path, crew: object = None, **how: bool) -> Swept:
    """Into the folder's store."""
    return sweep(planned(folder), folder / "store", crew or Here(), **how)  # type: ignore[arg-type]


def rows(folder: Path) -> polars.DataFrame:
    """All result rows, sorted by digest."""
    found = [polars.read_parquet(path) for path in sorted((folder / "store" / "rows").glob("*.parquet"))]
    return polars.concat(found).sort("digest")


def test_a_row_for_each_point(folder: Path) -> None:
    """On neoverse-n1, zapping n pages of no folio takes a TLBI each, n ≤ 4 of them; a fault for each written page."""
    swept(folder)
    found = read_store(folder / "store").frame
    assert found.select("cpu", "n").rows() == [
        (cpu, n) for cpu in ("neoverse-n1", "neoverse-n2") for n in ("1", "2", "4")
    ]
    assert found["operations"].to_list() == [3] * 6
    assert set(found["parameters"]) == {"n=1", "n=2", "n=4"}
    # four pages fit into one folio of 16, n pages to one end of it: each folio is as large as the mapping lets it be
    assert all(0 < faults <= 2 * int(n) for faults, n in found.select("fault", "n").rows())


def test_a_bundled_trace(folder: Path) -> None:
    """Counts what `run` counts of it."""
    from mmarch import api

    (folder / "grid.toml").write_text('[axes]\nworkload = "redis-bgsave"\n')
    assert swept(folder).failures == ()
    row = rows(folder).to_dicts()[0]
    alone = api.run("redis-bgsave")
    assert {name: row[name] for name in alone.totals} == alone.totals
    assert (row["operations"], row["workload"]) == (alone.workload.operations, "redis-bgsave")


def test_a_sweep_goes_on_where_it_was_stopped(folder: Path) -> None:
    """After any number of chunks; no digest is counted twice, and the rows are those of a sweep in one go."""
    swept(folder, rebuild=False)
    whole = rows(folder)
    for path in sorted((folder / "store").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    counted: list[str] = []
    while True:
        crew = Here(most=1)
        try:
            swept(folder, crew)
            break
        except Killed:
            pass
        finally:
            counted += crew.counted
    assert sorted(counted) == sorted(planned(folder).digests)
    assert rows(folder).equals(whole)
    assert swept(folder).ran == 0


@pytest.mark.parametrize("step", range(12))
def test_killed_while_it_writes_segments(folder: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """At each file that is renamed into place, before and after; what was counted is there once afterwards."""
    monkeypatch.setattr(store, "MOST", 2)
    monkeypatch.setattr(segments, "MOST", 2)
    replace, calls = os.replace, itertools.count()

    def killing(old: object, new: object) -> None:
        number = next(calls)
        if number == step // 2 and not step % 2:
            raise Killed
        replace(old, new)  # type: ignore[arg-type]
        if number == step // 2:
            raise Killed

    first, again = Here(), Here()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "replace", killing)
        swept(folder, first)
    swept(folder, again)
    assert not set(first.counted) & set(again.counted)
    assert rows(folder)["digest"].to_list() == sorted(planned(folder).digests)
    sizes = [polars.read_parquet(path).height for path in (folder / "store" / "rows").iterdir()]
    assert sum(sizes) == 6 and max(sizes) <= 2
    assert not list((folder / "store" / "journal").iterdir())


@pytest.mark.slow
def test_kill_9_in_a_loop(folder: Path) -> None:
    """A process and its workers, killed again and again, later each time."""
    spec = folder / "grid.toml"
    spec.write_text(spec.read_text().replace("[axes.set]", "seed = { last = 149 }\n[axes.set]"))
    finished: set[str] = set()
    journals = folder / "store" / "journal"
    for wanted in itertools.count(1):
        command = [sys.executable, "-m", "mmarch", "sweep", str(spec), "-o", str(folder / "store"), "-q"]
        process = subprocess.Popen(command, env={**os.environ, "MMARCH_JOBS": "2"}, stdout=subprocess.DEVNULL)
        while process.poll() is None and len(_in(journals) - finished) < 60 * wanted:
            time.sleep(0.02)
        workers = [] if process.poll() is not None else _workers(process.pid)
        process.kill()
        if process.wait() == 0:
            break
        while not all(map(_gone, workers)):  # they end with their parent, at once, and write nothing more
            time.sleep(0.02)
        fresh = [entry["digest"] for path in journals.glob("*.jsonl") for entry in entries(path).found]
        assert len(fresh) == len(set(fresh))
        assert not finished & set(fresh) or finished >= set(fresh)  # killed before the last ones were sealed
        finished |= set(fresh)
    assert wanted > 2
    found = rows(folder)["digest"].to_list()
    assert found == sorted(planned(folder).digests)
    log = polars.concat([polars.read_parquet(path) for path in (folder / "store" / "log").glob("*.parquet")])
    assert sorted(log["digest"].to_list()) == found


def _in(journals: Path) -> set[str]:
    return {entry["digest"] for path in journals.glob("*.jsonl") for entry in entries(path).found}


def _workers(parent: int) -> list[int]:
    """Processes that a sweep began to count points."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_ctrl_c_keeps_what_is_finished(folder: Path) -> None:
    """The process ends by SIGINT and says how to go on; then it does."""
    spec = folder / "grid.toml"
    spec.write_text(spec.read_text().replace("[axes.set]", "seed = { last = 999 }\n[axes.set]"))
    code = "import signal, sys\nfrom mmarch.cli import main\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command = [
        sys.executable,
        "-c",
        f"{code}sys.exit(main())",
        "sweep",
        str(spec),
        "-o",
        str(folder / "store"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while len(_in(folder / "store" / "journal")) < 5:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == -signal.SIGINT
    assert "interrupted: sweep" in said and "the same command goes on" in said
    kept = _in(folder / "store" / "journal")
    assert len(kept) >= 5
    grid = read_store(folder / "store")
    assert grid.missing == 6000 - len(kept)


def test_failed_points_say_why_and_run_again_on_request(folder: Path, mmarch: Mmarch) -> None:
    """Memory that is too small for n = 4096 pages; exit 1, and only --retry counts them again."""
    spec = folder / "grid.toml"
    spec.write_text(
        '[axes]\nworkload = "*.scn"\nmemory = "16M"\nfolio-orders = "none"\n[axes.set]\nn = [1, 4096]\n'
    )
    code, out, err = mmarch("sweep", spec, "-o", folder / "store", "-q")
    assert (code, "2 points, 2 counted now" in out) == (1, True)
    assert "1 point failed" in err and "out of simulated memory (16M)" in err and "--retry" in err
    code, out, _ = mmarch("sweep", spec, "-o", folder / "store", "-q")
    assert (code, "0 counted now, 2 before" in out) == (1, True)
    code, out, _ = mmarch("sweep", spec, "-o", folder / "store", "-q", "--retry")
    assert (code, "1 counted now, 1 before" in out) == (1, True)
    code, out, _ = mmarch("sweep", "show", folder / "store", "--failed")
    assert code == 0 and "n 4096" in out and "out of simulated memory" in out
    assert rows(folder).height == 1


def test_a_worker_that_dies_is_replaced(folder: Path) -> None:
    """Killed from outside: its points are counted by another one, each once."""
    spec = folder / "grid.toml"
    spec.write_text(spec.read_text().replace("[axes.set]", "seed = { last = 99 }\n[axes.set]"))
    command = [sys.executable, "-m", "mmarch", "sweep", str(spec), "-o", str(folder / "store"), "-q"]
    with subprocess.Popen(
        command, env={**os.environ, "MMARCH_JOBS": "1"}, stdout=subprocess.DEVNULL
    ) as process:
        while not _in(folder / "store" / "journal"):
            time.sleep(0.02)
        (worker,) = _workers(process.pid)
        os.kill(worker, signal.SIGKILL)
        assert process.wait() == 0
    assert rows(folder)["digest"].to_list() == sorted(planned(folder).digests)


def test_a_point_that_kills_its_process_is_failed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are counted."""
    from mmarch.grid.local import Local

    local = Local(1)
    chunk = next(chunks(planned(folder).distinct(), str(folder), Pace()))
    for _ in range(2):
        died = type("Worker", (), {"process": _Dead(), "chunk": chunk})
        local._died(died)  # type: ignore[arg-type]
    done = work(local._again[-1])
    assert (done.points, done.failed) == (1, 1)
    entry = entries(folder / done.journals[0]).found[0]
    assert entry["error"] == "its process ended 2 times, by signal 9; run it alone to see why"


def test_a_worker_that_died_idle_is_replaced(folder: Path) -> None:
    """What it is given when nobody knows yet is not lost, and does not end the sweep as a closed output would."""
    from multiprocessing import Pipe

    from mmarch.grid.local import Local, Worker

    chunk = next(chunks(planned(folder).distinct(), str(folder), Pace()))
    local, (ours, far) = Local(1), Pipe()
    far.close()
    workers = [Worker(_Dead(), ours)]  # type: ignore[arg-type]  # of a process its exit code is asked
    local._give(workers[0], workers, iter([chunk]))
    assert list(local._wait(workers)) == []
    assert (workers, local._again) == ([], [chunk])


class _Dead:
    exitcode = -9

    def join(self) -> None:
        pass


def test_a_damaged_segment_is_named_and_rebuilt(folder: Path, mmarch: Mmarch) -> None:
    """A changed byte, a missing file; --rebuild counts just its points again."""
    swept(folder)
    whole = rows(folder)
    for spoil in (
        lambda path: path.write_bytes(path.read_bytes()[:-9] + b"damaged.."),
        lambda path: path.unlink(),
    ):
        path = next((folder / "store" / "rows").glob("*.parquet"))
        spoil(path)
        for command in (
            ("sweep", folder / "grid.toml", "-o", folder / "store"),
            ("sweep", "show", folder / "store"),
        ):
            code, _, err = mmarch(*command)
            assert code == 2
            assert f"{path}: is " in err and "count its 6 points again with: mmarch sweep" in err
        code, out, _ = mmarch("sweep", folder / "grid.toml", "-o", folder / "store", "--rebuild")
        assert (code, "6 counted now" in out) == (0, True)
        assert rows(folder).equals(whole)


@pytest.mark.parametrize("spoil", ["{", "", None, "other"])
def test_a_damaged_manifest_is_named_and_rebuilt(folder: Path, mmarch: Mmarch, spoil: str | None) -> None:
    """Of the segments that are there; nothing is counted again."""
    swept(folder)
    whole = rows(folder)
    path = folder / "store" / "manifest.json"
    document = json.loads(path.read_text())
    if spoil is None:
        path.unlink()
    else:
        path.write_text(json.dumps(document | {"points": 5}) if spoil == "other" else spoil)
    code, _, err = mmarch("sweep", folder / "grid.toml", "-o", folder / "store")
    assert code == 2
    assert "manifest" in err and f"mmarch sweep SPEC.toml -o {folder / 'store'} --rebuild" in err
    code, out, _ = mmarch("sweep", folder / "grid.toml", "-o", folder / "store", "--rebuild")
    assert (code, "0 counted now, 6 before" in out) == (0, True)
    assert rows(folder).equals(whole)
    assert json.loads(path.read_text()) == document


def test_a_damaged_journal_costs_its_point(folder: Path) -> None:
    """A line that is not what was written is named, a torn one at the end is none."""
    with pytest.raises(Killed):
        swept(folder, Here(most=1))
    path = sorted((folder / "store" / "journal").glob("*.jsonl"))[0]
    line = path.read_bytes()
    path.write_bytes(line.replace(b"grown", b"grawn", 1) + line[:40])
    notes: list[str] = []
    sweep(planned(folder), folder / "store", Here(), note=notes.append)
    assert notes == [f"{path}:1: damaged; its point runs again"]
    assert rows(folder)["digest"].to_list() == sorted(planned(folder).digests)


def test_a_store_of_another_spec_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says what differs: the SPEC, a workload, or the code that counted."""
    swept(folder)
    spec, scenario = folder / "grid.toml", folder / "grown.scn"
    before = spec.read_text()
    spec.write_text(before.replace("last = 4", "last = 8"))
    assert main(["sweep", str(spec), "-o", str(folder / "store"), "--dry-run", "-q"]) == 2
    with pytest.raises(InputError, match=r"store of another sweep: .* \(line 7 is new: n = .*last = 8"):
        swept(folder)
    spec.write_text(before)
    text = scenario.read_text()
    scenario.write_text(text.replace("2*n", "3*n"))
    with pytest.raises(InputError, match=r"store of another sweep: other workloads: grown\.scn"):
        swept(folder)
    scenario.write_text(text)
    assert swept(folder).ran == 0
    spec.write_text(f"# a comment changes nothing\n{before}")
    assert swept(folder).ran == 0


def test_other_code_is_another_sweep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, since its counts may be others."""
    from mmarch.grid import identity, points

    swept(folder)
    points._fixed.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(identity, "_mmarch", lambda: "0123456789ab")
        with pytest.raises(InputError, match=r"it was counted by mmarch .*, here .*0123456789ab"):
            swept(folder)
    points._fixed.cache_clear()


def test_a_folder_of_something_else_is_left_alone(folder: Path, mmarch: Mmarch) -> None:
    """Also with --rebuild."""
    for options in ((), ("--rebuild",)):
        code, _, err = mmarch("sweep", folder / "grid.toml", "-o", folder, *options)
        assert (code, "neither empty nor a store of a sweep" in err) == (2, True)
    assert sorted(path.name for path in folder.iterdir()) == ["grid.toml", "grown.scn"]
    code, _, err = mmarch("sweep", "show", folder)
    assert (code, "no store of a sweep" in err) == (2, True)


def test_two_sweeps_do_not_write_to_one_store(folder: Path) -> None:
    """The second is told so."""
    made = planned(folder)
    with store.opened(folder / "store", made), pytest.raises(InputError, match="another sweep writes to it"):
        swept(folder)


def test_host_and_time_are_in_the_log_alone(folder: Path) -> None:
    """Rows have no column that depends on who counted them."""
    swept(folder)
    log = polars.read_parquet(next((folder / "store" / "log").glob("*.parquet")))
    assert set(log.columns) == {"digest", *segments.LOG}
    assert not set(rows(folder).columns) & set(segments.LOG)
    assert log["digest"].to_list() == rows(folder)["digest"].to_list()


def test_a_workload_that_changes_meanwhile_fails_its_points(folder: Path) -> None:
    """Rather than mixing two of them."""
    from mmarch.grid import works

    made = planned(folder)
    (folder / "grown.scn").write_text("scenario grown\nparam n = 4\nmap A n\n")
    works._document.cache_clear()
    works.source.cache_clear()
    found = sweep(made, folder / "store", Here())
    assert len(found.failures) == 6
    assert all("has changed since the sweep began" in text for _, text in found.failures)
