"""The page of an access that lies behind the end of its file, and the line that put the end there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mmarch.runs.sigbus import explain
from mmarch.scenario import lower, parse
from tests.mmarch.conftest import Ran

# Each: the lines from line 2 on, the last of which faults; the access; the end of the file.
CASES = [
    ("file F tmpfs 4\nmap A 16 of F shared\nread A", "read of page 4 of A by task 0", "end of F, at 16K"),
    ("file F tmpfs\nmap A 16 of F shared\nwrite A 3 1", "write to page 3 of A", "end of F, at 0"),
    (
        "file F ext4 16\nmap A 16 of F private\nread A\ntruncate F 5\nread A",
        "read of page 5 of A by task 0",
        "end of F, at 20K, by line 5",
    ),
    (
        "file F tmpfs\nfill F 2 by 1\nmap A 16 of F shared\nfallocate F 0 9\nfallocate F 9 4 keep_size\nread A",
        "page 9 of A",
        "end of F, at 36K, by line 5",
    ),
    (
        "file F tmpfs 8\nmap A 16 of F shared\nmap B 16\nmove A 6 4 to B 1\nread B",
        "page 3 of B",
        "end of F, at 32K",
    ),
    (
        "file F tmpfs 8\nmap A 16 of F shared\nfork\ntruncate F 2\nchild: read A 1 2",
        "page 2 of A by task 1",
        "end of F, at 8K, by line 5",
    ),
    (
        "reserve H 64\nfile F tmpfs 2\nmap A 4 in H\nmap B 4 in H 4 of F shared\nread H 0 8",
        "page 6 of H",
        "end of F, at 8K",
    ),
    (
        "file F tmpfs 8\nmap A 8 of F shared\nprotect A 2 2 read\ntruncate F 3\nread A",
        "page 3 of A",
        "end of F, at 12K, by line 5",
    ),
]


@pytest.mark.parametrize(("body", "access", "end"), CASES, ids=[case[0].replace("\n", "|") for case in CASES])
def test_page_and_cause(body: str, access: str, end: str, tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """The twin faults in that line, and the message says which page and where its file ends."""
    path = tmp_path / "s.scn"
    path.write_text(f"scenario s\n{body}\n")
    ran = mmarch("run", "--engine", "interpreted", "--folio-orders", "none", path)
    assert (ran.code, ran.out) == (2, "")
    message = next(line for line in ran.err.splitlines() if "SIG" in line)
    assert message.startswith(f"mmarch: {path}:{body.count(chr(10)) + 2}: SIGBUS: ")
    assert access in message and message.endswith(f"behind the {end}")


def test_a_history_says_the_same(tmp_path: Path, mmarch: Callable[..., Ran]) -> None:
    """`map` and what else looks at a run."""
    path = tmp_path / "s.scn"
    path.write_text(f"scenario s\n{CASES[0][0]}\n")
    assert mmarch("map", path).err.endswith(mmarch("run", "--engine", "interpreted", path).err)


@pytest.mark.parametrize("last", ["read A 0 4", "truncate F 16\nread A", "map B 16\nread B"])
def test_nothing_to_blame(last: str) -> None:
    """Pages before the end, and memory without a file."""
    scenario = parse(f"scenario s\nfile F tmpfs 4\nmap A 16 of F shared\n{last}\n", "s").scenarios[0]
    work = lower(scenario, 4096, 0).workload
    assert explain(work, len(work.ops) - 1, 4096) == ""
