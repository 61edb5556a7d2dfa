"""The page of an access that faults, and the line that is to blame; told from the rows alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core_mm import uapi
from mmarch.runs.segfault import denied, explain
from mmarch.scenario import lower, parse
from mmarch.workload import Workload
from tests.mmarch.conftest import Ran

PAGE = 4096
# Each: the lines from line 2 on, the last of which faults; the page and region; the cause.
CASES = [
    (
        "map A 16\nmap B 16\nmove A 4 2 to B 8 dontunmap\nwrite A\nunmap A 5 1\nread A",
        "page 5 of A",
        "unmapped by line 6",
    ),
    (
        "reserve H 64\nmap A 16 in H 16\nmap B 8 in H 40\nwrite H 16 24",
        "page 32 of H",
        "reserved by line 2, not mapped",
    ),
    ("reserve H 64\nmap A 16 in H 16\nprotect H 16 2 read\nwrite A", "page 0 of A", "read-only since line 4"),
    ("reserve H 64\nmap A 16 in H 16\ndrop A\nread H 8..20", "page 8 of H", "reserved by line 2, not mapped"),
    ("map A 64\nmap B 16 in A 16\ndrop B\nread A", "page 16 of A", "unmapped by line 4"),
    ("map A 16\nunmap A 4 1\nwrite A", "write to page 4 of A by task 0", "unmapped by line 3"),
    ("map A 16\nunmap A 9 1\nprotect A 4 2 read\nwrite A", "page 4 of A", "read-only since line 4"),
    ("map A 16\nprotect A 4 2 read\nunmap A 4 1\nread A", "read of page 4 of A", "unmapped by line 4"),
    ("map A 16\nprotect A 4 2 none\nread A 2 14", "page 4 of A", "without access since line 3"),
    ("map A 16\nprotect A 0 9 none\nprotect A 0 8 rw\nread A", "page 8 of A", "without access since line 3"),
    ("map A 16\nexecute A 3 1", "execution of page 3 of A", "not executable since line 2"),
    ("map A 16 exec\nwrite A 3 1", "page 3 of A", "not writable since line 2"),
    ("reserve A 16\nread A", "page 0 of A", "reserved by line 2, not mapped"),
    ("map A 16\nmap B 16\nmove A 4 2 to B 8\nwrite A", "page 4 of A", "moved away by line 4"),
    (
        "map A 16\nmap B 16\nprotect A 5 1 read\nmove A 5 1 to B 9\nwrite B",
        "page 9 of B",
        "read-only since line 4",
    ),
    (
        "map A 16\nmap B 16\nmap C 16\nprotect A 1 1 read\nmove A 1 1 to B 1\nmove B 1 1 to C 9\nwrite C",
        "page 9 of C",
        "read-only since line 5",
    ),
    (
        "map A 16\nunmap A 4 1\nfork\nunmap A 2 1\nchild: write A",
        "page 4 of A by task 1",
        "unmapped by line 3",
    ),
    (
        "map A 16\nfork\nchild: unmap A 2 1\nunmap A 4 1\nwrite A",
        "page 4 of A by task 0",
        "unmapped by line 5",
    ),
    (
        "map A 16\nfork a\na: protect A 6 1 read\nas a\nfork b\nprotect A 1 1 none\nas b\nwrite A",
        "page 6 of A by task 2",
        "read-only since line 4",
    ),
]


def workload(body: str) -> Workload:
    """The operations of a scenario whose first line is line 1."""
    return lower(parse(f"scenario s\n{body}\n", "s").scenarios[0], PAGE, 0).workload


@pytest.mark.parametrize(("body", "page", "cause"), CASES, ids=[case[0].replace("\n", "|") for case in CASES])
@pytest.mark.parametrize("engine", ["interpreted", "linked"])
def test_page_and_cause(
    body: str, page: str, cause: str, engine: str, tmp_path: Path, mmarch: Callable[..., Ran]
) -> None:
    """The twin faults in that line, and the message says which page and why."""
    path = tmp_path / "s.scn"
    path.write_text(f"scenario s\n{body}\n")
    ran = mmarch("run", "--engine", engine, "--folio-orders", "none", path)
    assert (ran.code, ran.out) == (2, "")
    message = next(line for line in ran.err.splitlines() if "SIGSEGV" in line)
    assert message.startswith(f"mmarch: {path}:{body.count(chr(10)) + 2}: SIGSEGV: ")
    assert page in message and message.endswith(f": {cause}")


@pytest.mark.parametrize(
    "last", ["write A 0 4", "read A 5 11", "protect A 4 1 rw\nwrite A", "map A\nwrite A"]
)
def test_nothing_to_blame(last: str) -> None:
    """Pages around a hole, and pages that came back, are permitted."""
    hole = "protect A 4 1 none" if last.startswith("protect") else "unmap A 4 1"
    last = last.replace("map A\n", "file F tmpfs 16\nmap A of F shared\n")
    found = workload(f"map A 16\n{hole}\n{last}")
    assert denied(found, len(found.ops) - 1, PAGE) is None
    assert explain(found, len(found.ops) - 1, PAGE) == ""


def test_addresses_that_nothing_mapped() -> None:
    """Rows of any origin: two pages were mapped, the third was not."""
    rows = [
        (uapi.OP_SPAWN, 0),
        (uapi.OP_MMAP, 0, PAGE, 2 * PAGE, 3),
        (uapi.OP_TOUCH, 0, PAGE, 3, uapi.ACCESS_WRITE),
    ]
    ops = np.array([[*row, *(0,) * (8 - len(row))] for row in rows], dtype=np.int64)
    found = Workload("w", ops, np.arange(3, dtype=np.int32))
    assert denied(found, 2, PAGE) == (3 * PAGE, -1, -1)
    assert explain(found, 2, PAGE).endswith("a page outside all regions by task 0 at 0x3000: never mapped")


def test_a_kept_source_stays_mapped() -> None:
    """MREMAP_DONTUNMAP takes the pages, not the mapping: what refuses a write is what refused it before."""
    text = "map A 16\nprotect A 3 1 read\nmap B 16\nmove A to B\nwrite A"
    found, kept = workload(text), workload(text.replace("to B", "to B dontunmap"))
    assert explain(found, len(found.ops) - 1, PAGE).endswith("moved away by line 5")
    assert "page 3 of A" in explain(kept, len(kept.ops) - 1, PAGE)
