"""A history as a file: it comes back whole, and damage is one message."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

import mmarch
from core_mm import vmstat
from mmarch.cli import main
from mmarch.errors import InputError
from mmarch.history import History, is_history, load, packed

ROOT = Path(__file__).parents[3]
FORK = str(ROOT / "examples" / "scenarios" / "fork.scn")


@pytest.fixture(scope="module")
def history() -> History:
    """A scenario with folded blocks, a fork, and copies."""
    return mmarch.record_history(FORK)


@pytest.fixture
def saved(history: History, tmp_path: Path) -> Path:
    """The same as a file."""
    path = tmp_path / "fork.history"
    mmarch.save_history(history, path)
    return path


def rewritten(path: Path, **members: bytes) -> Path:
    """The file with other bytes in some members, whose sums are right."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    assert set(members) <= set(parts)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in {**parts, **members}.items():
            file.writestr(name, data)
    return path


def test_what_is_saved_comes_back(history: History, saved: Path) -> None:
    """Events, tables, mappings, coverage of folios, calls by path; equal histories are equal files."""
    again = mmarch.load_history(saved)
    assert again.log.rows() == history.log.rows()
    assert again.operations == history.operations
    for at in range(history.operations):
        assert again.tasks(at) == history.tasks(at)
        for task in history.tasks(at):
            ours, theirs = history.tables(at, task), again.tables(at, task)
            assert list(ours) == list(theirs)
            assert ours.mappings == theirs.mappings
            assert all(map(np.array_equal, ours.folios, theirs.folios))
    for form in ("folded", "history"):
        assert mmarch.render(again, form) == mmarch.render(history, form)
    written = history.find("cow_one")
    first = next(iter(history.tables(written)))
    assert again.tables(written)[first.address] == first
    assert [again.find(step.label) for step in again.workload.steps] == [
        history.find(step.label) for step in history.workload.steps
    ]


def test_an_event_takes_at_most_32_bytes(tmp_path: Path) -> None:
    """Of a bundled trace, in memory and on disk with all that the file holds besides."""
    history = mmarch.record_history("redis-bgsave")
    assert sum(column.itemsize for column in history.log.columns().values()) <= 32
    mmarch.save_history(history, tmp_path / "redis.history")
    assert (tmp_path / "redis.history").stat().st_size <= 32 * len(history.log)


def test_every_face_reads_a_file(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Maps, hot spots, steps and stacks are those of the run."""
    for command in (
        ["map", "--at", "cow_one"],
        ["run", "--top", "3"],
        ["run", "--steps"],
        ["run", "--format", "folded"],
    ):
        printed = []
        for workload in (FORK, str(saved)):
            assert main([*command, "-q", workload]) == 0
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]


def test_run_writes_one(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--format history` makes the same file; a file has its configuration."""
    made = tmp_path / "made.history"
    assert main(["run", "-q", FORK, "--format", "history", "-o", str(made)]) == 0
    assert made.read_bytes() == saved.read_bytes()
    assert main(["map", "-q", str(saved), "--release", "7.3"]) == 2
    assert "--release: " in (said := capsys.readouterr().err) and "saved history" in said


@pytest.mark.parametrize(
    ("member", "data", "said"),
    [
        ("log.kind", b"", "column log.a has"),
        ("lines", b"123", "column ops has"),
        ("history.json", b"{", "history.json"),
        ("history.json", b'{"schema": "x"}', "Field required"),
        ("counted", bytes(72), "column counted has"),
    ],
)
def test_a_column_that_cannot_be(saved: Path, member: str, data: bytes, said: str) -> None:
    """One message that names the file."""
    with pytest.raises(InputError, match=f"fork.history: .*{said}"):
        load(rewritten(saved, **{member: data}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "mmarch.history/9"}, "mmarch.history/9, written by"),
        ({"events": ["x"]}, "whose events are others"),
        ({"frames": 1 << 39}, "frames"),
        ({"configuration": {"arch": "vax"}}, "configuration"),
    ],
)
def test_a_head_that_cannot_be(saved: Path, change: dict[str, object], said: str) -> None:
    """Another format, another mmarch, what is not installed."""
    with zipfile.ZipFile(saved) as file:
        head = json.loads(file.read("history.json"))
    for name, value in change.items():
        head[name] = {**head[name], **value} if isinstance(value, dict) else value
    with pytest.raises(InputError, match=said):
        load(rewritten(saved, **{"history.json": json.dumps(head).encode()}))


def test_a_series_that_is_a_path_is_not_executed(saved: Path, tmp_path: Path) -> None:
    """Reading a file runs nothing of anybody's."""
    (tmp_path / "evil.py").write_text("raise SystemExit('executed')")
    with zipfile.ZipFile(saved) as file:
        head = json.loads(file.read("history.json"))
    head["configuration"]["with"] = [str(tmp_path / "evil.py")]
    with pytest.raises(InputError, match="a series that is a path"):
        load(rewritten(saved, **{"history.json": json.dumps(head).encode()}))


@pytest.mark.parametrize(
    ("column", "kind", "value", "said"),
    [
        ("kind", vmstat.LOG_PTE, 99, "no known kind"),
        ("a", vmstat.LOG_OP, 7, "not in order"),
        ("b", vmstat.LOG_OP, 1 << 40, "not those of the workload"),
        ("a", vmstat.LOG_PTE, 1 << 50, "page table that was never made"),
        ("a", vmstat.LOG_TABLE, -1, "page table that was never made"),
        ("call", vmstat.LOG_PTE, -32768, "path of calls"),
    ],
)
def test_an_event_that_cannot_be(
    history: History, saved: Path, column: str, kind: int, value: int, said: str
) -> None:
    """Numbers that would lead out of a table."""
    changed = history.log.columns()[column].copy()
    changed[history.log.of_kind(kind)[0]] = value
    with pytest.raises(InputError, match=said):
        load(rewritten(saved, **{f"log.{column}": changed.tobytes()}))


def test_damage_anywhere_is_one_message(saved: Path, tmp_path: Path, history: History) -> None:
    """Any bytes changed, or an end cut off: refused, or what was written."""
    whole, rng = saved.read_bytes(), random.Random(11)
    damaged = tmp_path / "damaged.history"
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        else:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        damaged.write_bytes(data)
        try:
            found = load(damaged)
        except InputError as error:
            refused += 1
            assert str(error).startswith(f"{damaged}: ")
        else:
            assert found.log.rows() == history.log.rows()
    assert refused > 50


@pytest.mark.parametrize(
    ("column", "kind", "value"), [("b", vmstat.LOG_TASK, 999), ("b", vmstat.LOG_TABLE, 1)]
)
def test_an_address_space_without_tables(
    history: History, saved: Path, column: str, kind: int, value: int
) -> None:
    """One message."""
    changed = history.log.columns()[column].copy()
    changed[history.log.of_kind(kind)[0]] = value
    found = load(rewritten(saved, **{f"log.{column}": changed.tobytes()}))
    with pytest.raises(InputError, match="never got a page table"):
        found.tables(0)


def test_tables_that_point_in_circles(history: History, saved: Path) -> None:
    """A top-level table full of pointers to itself is walked once, not 512 to the fourth times."""
    slots, values = history.log.a.copy(), history.log.c.copy()
    top = int(slots[history.log.of_kind(vmstat.LOG_TABLE)[0]])
    pointer = int(values[history.log.of_kind(vmstat.LOG_PTE)[0]])
    assert history.entries.child(pointer) == top + 1
    writes = history.log.of_kind(vmstat.LOG_PTE)[:512]
    slots[writes], values[writes] = top * 512 + np.arange(512), pointer - 4096
    found = load(rewritten(saved, **{"log.a": slots.tobytes(), "log.c": values.tobytes()}))
    assert len(found.tables(found.find("cow_one"))) == 0


def test_numbers_that_no_run_has(history: History, saved: Path) -> None:
    """Any number of the log changed, with sums that are right: refused, or shown, never a crash."""
    rng, wrong = random.Random(12), 0
    columns = history.log.columns()
    for _ in range(120):
        name = rng.choice(list(columns))
        changed = columns[name].copy()
        info = np.iinfo(changed.dtype)
        changed[rng.randrange(len(changed))] = (
            rng.choice((0, 1, -1, rng.randrange(1 << 40), info.max, info.min)) & info.max
        )
        try:
            found = load(rewritten(saved, **{f"log.{name}": changed.tobytes()}))
            for at in range(found.operations):
                for task in found.tasks(at):
                    list(found.tables(at, task))
        except InputError:
            wrong += 1
    assert wrong


def test_what_is_no_history(tmp_path: Path) -> None:
    """Other files, other ZIPs, none at all."""
    other = tmp_path / "other.zip"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("readme", "")
    other.write_bytes(made.getvalue())
    assert not is_history(str(other)) and not is_history(FORK) and not is_history(str(tmp_path))
    for path, said in ((other, "no history"), (FORK, "damaged"), (tmp_path / "none", "No such file")):
        with pytest.raises(InputError, match=said):
            load(path)


def test_a_history_of_a_run_with_all_its_bytes(history: History) -> None:
    """Equal histories are equal files, whenever they are written."""
    assert packed(history) == packed(mmarch.record_history(FORK))
