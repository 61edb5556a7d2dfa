"""The history against machines that ran only so far, against counts of `run`, and against hand-made cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core_mm.mm_types import PG_ORDER_SHIFT
from mmarch.cli import main
from mmarch.engine.machine import Machine
from mmarch.errors import InputError
from mmarch.history import History, coverage, record
from mmarch.history.top import folded, hot
from mmarch.runs.assemble import Request, assemble
from mmarch.runs.configure import Choices, configure
from mmarch.runs.run import run
from mmarch.runs.workloads import open_workload

ROOT = Path(__file__).parents[3]
FORK = str(ROOT / "examples" / "scenarios" / "fork.scn")
OPERATIONS = (200, 700, 9000, 16400, 17000)


@pytest.fixture(scope="module")
def history() -> History:
    """Of the bundled trace."""
    setup = configure(Choices())
    return record(open_workload().workload(setup), setup)


@pytest.fixture(scope="module")
def fork() -> History:
    """Of the scenario of that name."""
    setup = configure(Choices(folio_orders="4"))
    source = open_workload(FORK)
    return record(source.workload(setup), setup, Request(madvise=True))


def machine_after(history: History, row: int) -> Machine:
    """One that ran the operations up to `row`, without a log."""
    made = assemble(history.setup, history.workload, Request("linked"), lambda _: None)
    made.call("run_operations", 0, row + 1)
    return made


@pytest.mark.parametrize("row", OPERATIONS)
def test_every_table_is_as_in_a_machine_that_stopped_there(history, row):
    """All entries, as stored by core-mm, by the architecture and by the table walker."""
    found = history._replay.entries(int(history.starts[row + 1]))
    expected = machine_after(history, row).memory.arrays["ptes"]
    assert found.any()
    assert np.array_equal(found, expected[: len(found)])
    assert not expected[len(found) : len(found) + (1 << 20)].any()


@pytest.mark.parametrize("row", OPERATIONS)
def test_tasks_and_mappings_are_as_in_a_machine_that_stopped_there(history, row):
    """Every task's address space, and every mapping in it with its flags and its file."""
    memory = machine_after(history, row).memory
    task_mm = memory.tables["TASK"]["mm"]
    assert history.tasks(row) == {task: int(mm) for task, mm in enumerate(task_mm[1:]) if mm}
    for task, mm in history.tasks(row).items():
        vma, expected = int(memory.tables["MM"]["mmap"][mm]), []
        while vma:
            fields = ("vm_start", "vm_end", "vm_flags", "vm_file")
            start, end, flags, file = (int(memory.tables["VMA"][name][vma]) for name in fields)
            expected.append((start, end, flags, file - 1))
            vma = int(memory.tables["VMA"]["vm_next"][vma])
        found = [(m.start, m.end, m.flags, m.file) for m in history.tables(row, task).mappings]
        assert found == expected


def test_folios_are_as_in_a_machine_that_stopped_there(history):
    """The order of the folio of every frame that is mapped."""
    row = 9000
    pages = machine_after(history, row).memory.tables["PAGE"]
    for task in history.tasks(row):
        tables = history.tables(row, task)
        frames = {tables.entries.frame(leaf.entry, 0) for leaf in tables if tables.entries.mapped(leaf.entry)}
        orders = {frame: int(pages["flags"][pages["head"][frame]]) >> PG_ORDER_SHIFT for frame in frames}
        assert {frame: int(tables.folios[0][frame]) for frame in frames} == orders


def test_key_frames_change_nothing(history, monkeypatch):
    """The same entries when there is a key frame every thousand changes."""
    from mmarch.history import replay

    plain = history._replay
    monkeypatch.setattr(replay, "FRAME", 1000)
    framed = replay.Replay(history.log, plain.ptrs, history.frames)
    for row in OPERATIONS:
        end = int(history.starts[row + 1])
        assert np.array_equal(framed.entries(end), plain.entries(end))
    assert len(framed._frames) > 50


@pytest.mark.parametrize("count", ["tlbi", "unfold", "fault"])
def test_stacks_add_up_to_the_counts_of_run(history, count):
    """Folded stacks lose nothing, and the hot spots neither."""
    result = run(history.workload, history.setup, Request("linked"))
    lines = list(folded(history, count))
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == result.total(count)
    column = ("tlbi", "unfold", "fault").index(count)
    for by in ("op", "hook", "cause", "mapping", "task"):
        assert sum(numbers[column] for _, numbers in hot(history, by)) == result.total(count)


def test_stacks_name_functions_from_the_call_inwards(history):
    """A block that a copy on write breaks: the fault, core-mm, the hook, contpte."""
    stacks = [line.rpartition(" ")[0].split(";") for line in folded(history, "unfold")]
    written = next(stack for stack in stacks if "do_wp_page" in stack)
    inner = [
        written.index(name)
        for name in ("do_page_fault", "do_wp_page", "ptep_get_and_clear", "contpte_try_unfold")
    ]
    assert written[0] == "fault"
    assert inner == sorted(inner)


def test_events_of_an_operation(fork):
    """One write to a folded block that a child shares: a fault, an unfold, a flush of the page."""
    row = fork.find("cow_one")
    events = list(fork.events(row, row + 1))
    kinds = [event.kind for event in events]
    assert {event.operation for event in events} == {row}
    assert kinds.count("fault") == 1
    assert kinds.count("convert") == 1
    page = fork.tables(row)[fork.workload.ops[row, 2]]
    assert page is not None and "CON" not in page.text and "RW" in page.text


def test_coverage_of_a_broken_block(fork):
    """After one copied page: 31 blocks as they were, 15 pages of the broken one, one small page."""
    kb = {key: size >> 10 for key, size in coverage(fork.tables(fork.find("cow_one"))).items()}
    whole = 31 * 64
    assert kb == {
        "anon-rss": 2048, "anon-thp-pte-aligned-64kB": whole, "anon-thp-pte-partial": 60,
        "anon-cont-pte-aligned-64kB": whole, "anon-cont-pte-folded-64kB": whole,
    }  # fmt: skip


def test_coverage_by_a_pmd_leaf():
    """Folios of PMD size: one leaf, which a block cannot improve on."""
    setup = configure(Choices(folio_orders="9"))
    found = record(open_workload(FORK).workload(setup), setup, Request(madvise=True))
    first = next(row for row, op in enumerate(found.workload.ops[:, 0]) if op == 7)
    kb = {key: size >> 10 for key, size in coverage(found.tables(first)).items()}
    assert kb == dict.fromkeys(
        ("anon-rss", "anon-thp-pmd-aligned-2048kB", "anon-cont-pmd-aligned-64kB"), 2048
    )


def test_a_full_log_is_said_and_ends_between_two_operations(history):
    """What was recorded is what the whole history has; the rest is refused by name."""
    notes: list[str] = []
    short = record(history.workload, history.setup, note=notes.append, cap=50_000)
    assert not short.complete
    assert 0 < short.operations < history.operations
    assert any("the log holds 50,000 events" in note for note in notes)
    last = short.operations - 1
    end = int(short.starts[last + 1])
    assert short.log.rows(0, end) == history.log.rows(0, end)
    with pytest.raises(InputError, match=f"valid: 0 to {last}"):
        short.tables(last + 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--at", "17725"], "no operation 17725; valid: 0 to 17724"),
        (["--at", "cow"], "no operation 'cow': a row from 0 to 17724"),
        (["--at", "10", "--task", "77"], "task 77 has no address space after operation 10"),
        (["--at", "10", "--range", "0x1-0x2"], "nothing is mapped there"),
        (["--range", "5"], "write two addresses"),
    ],
)
def test_map_outside_the_run(options, said, capsys):
    """Exit 2, and what is valid."""
    assert main(["map", "-q", *options]) == 2
    assert said in capsys.readouterr().err


def test_map_without_a_moment_shows_the_last_one(capsys):
    """Every task of a recording has ended at its end: the last operation before that, and it is said."""
    assert main(["map", "redis-bgsave"]) == 0
    printed = capsys.readouterr()
    assert "at the end task 0 has nothing mapped" in printed.err and "--at 17723" in printed.err
    assert main(["map", "-q", "--at", "17723", "redis-bgsave"]) == 0
    assert capsys.readouterr().out == printed.out
    assert main(["map", "-q", FORK]) == 0  # unmapped by its last step, while the task lives on
    assert "rw-p anon" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["redis-bgsave", "--at", "end"],
            "task 0 ended in operation 17724: the last one that shows it is --at 17723",
        ),
        (["redis-bgsave", "--task", "99"], "tasks of the run: 0, 1, 2, "),
        ([str(ROOT / "examples" / "scenarios" / "exit64M.scn")], "other tasks: --task 1, 2"),
    ],
)
def test_map_says_what_there_is(arguments, said, capsys):
    """Where the question has no answer."""
    assert main(["map", "-q", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_map_in_ptdump_s_manner(capsys):
    """Ranges, sizes, levels and the kernel's names, at most 80 columns."""
    assert main(["map", "-q", FORK, "--at", "cow_one"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    cont = [line for line in lines if " CON " in line]
    assert [line.split()[1:3] for line in cont] == [["64K", "PTE"], ["1920K", "PTE"]]
    assert all(" ro NX SHD AF NG CON " in line for line in cont)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "cause"], "give --top too"),
        (["--top", "3", "--format", "csv"], "run --top has no such format. It has: table, json."),
        (["--format", "folded", "--sanitize"], "run --sanitize has no such format. It has: table, json."),
    ],
)
def test_options_that_do_not_go_together(options, said, capsys):
    """Exit 2."""
    assert main(["run", "-q", *options]) == 2
    assert said in capsys.readouterr().err
