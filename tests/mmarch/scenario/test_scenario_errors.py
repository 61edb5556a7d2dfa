"""Bad scenario files: one message with file, line and column."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmarch.errors import InputError
from mmarch.scenario import load, lower, parse


def error(text, page_size=4096):
    """The message for a bad file."""
    with pytest.raises(InputError) as caught:
        for scenario in parse(text, "f.scn").scenarios:
            lower(scenario, page_size, 0)
    return str(caught.value)


CASES = [
    ("wrte A 0 1", "f.scn:3:1: unknown operation 'wrte' (did you mean 'write'?)"),
    ("  wrte A 0 1", "f.scn:3:3: unknown operation"),
    ("write B 0 1", "f.scn:3:7: unknown region 'B'; known: A"),
    ("write A 0", "f.scn:3:10: the number of pages"),
    ("write A 0 1 2", "f.scn:3:13: '2' is too much here"),
    ("write A 0 x", "f.scn:3:11: unknown amount 'x'"),
    ("write A 0 1+", "f.scn:3:11: '1+': it ends too early"),
    ("write A 0 1/0", "f.scn:3:11: division by zero"),
    ("write A 4..2", "f.scn:3:9: an empty range of 'A'"),
    ("write A 510 3", "f.scn:3:9: pages up to 513 of region 'A', which has 512"),
    ("write A 0 3 KiB", "f.scn:3:11: 3 KiB is not a whole number of 4 KiB pages"),
    ("protect A 0 1 red", "f.scn:3:15: unknown protection 'red' (did you mean 'read'?)"),
    ("p A 0 1 9", "f.scn:3:9: protection is '9', not a number from 0 to 7"),
    ("madvise A cld", "f.scn:3:11: unknown advice 'cld' (did you mean 'cold'?)"),
    ("move A 0 8 to Q", "f.scn:3:15: unknown region 'Q'"),
    ("move A 0 8 to A 510", "f.scn:3:1: 8 pages do not fit into 'A' at its page 510"),
    ("child: write A", "f.scn:3:1: there is no child here; fork first"),
    ("K w A 0 1", "f.scn:3:1: there is no child here; fork first"),
    ("reap", "f.scn:3:1: there is no child to reap; fork first"),
    ("fork\nfork", "f.scn:4:1: the child of an earlier fork still runs; reap it first"),
    (
        "fork\nfork b\nfork b",
        "f.scn:5:6: the child of an earlier fork still runs; reap it first, or name this one",
    ),
    ("fork parent", "f.scn:3:6: 'parent' cannot name a child"),
    ("fork left\nlft: write A", "f.scn:4:1: there is no child 'lft' here (did you mean 'left'?)"),
    ("fork left\nas rigth", "f.scn:4:4: there is no child 'rigth' here; fork rigth first"),
    ("fork left\nreap", "f.scn:4:1: there is no child to reap; name the one to reap: left"),
    ("fork left\nreap lft", "f.scn:4:6: unknown child 'lft' (did you mean 'left'?); known: left"),
    ("fork left\ndump x: lef: A", "f.scn:4:9: there is no child 'lef' here (did you mean 'left'?)"),
    ("write: A", "f.scn:3:1: 'write' is an operation; no colon follows it"),
    ("list n 4K 1 1\nfor i in n\nfork\ndone", "f.scn:5:1: child 'child' runs already when the loop"),
    ("list n 4K 1 1\nfork\nfor i in n\nreap\ndone", "f.scn:6:1: child 'child' was reaped before this line"),
    ("map B 8 in Q", "f.scn:3:12: unknown region 'Q'; known: A, B"),
    ("map A in A", "f.scn:3:10: 'A' exists; a size makes a new region"),
    ("map B 8 in A 508", "f.scn:3:1: 8 pages do not fit into 'A' at its page 508; it has 512"),
    ("map B 8 in A 4\nmap C 8 in A 11", "f.scn:4:1: region 'B' has some of these pages of 'A'; drop it first"),
    ("map B 8 in A 4\nmap B 8", "f.scn:4:1: region 'B' is already on line 3"),
    ("map B 8 in A 4\ndrop A\nwrite B", "f.scn:5:1: region 'B' does not exist in this process"),
    ("map B 8 inn A", "f.scn:3:9: 'inn' is no option of map (did you mean 'in'?)"),
    ("map B 8\nmove A 0 8 to B dontunmp", "f.scn:4:17: unknown option of move 'dontunmp' (did you mean 'dontunmap'?)"),
    ("file F tmpfs\nfallocate F 0 4 punch", "f.scn:4:17: unknown mode 'punch' (did you mean 'punch_hole'?)"),
    ("file F tmpfs\nfallocate F 4", "f.scn:4:14: the number of pages is missing"),
    ("file F tmpfs\nfallocate F 0 4-4", "f.scn:4:1: fallocate from page 0, 0 pages"),
    ("fallocat F 0 4", "f.scn:3:1: unknown operation 'fallocat' (did you mean 'fallocate'?)"),
    ("map B 1 of F", "f.scn:3:12: unknown file 'F'"),
    ("map B 1 shred", "f.scn:3:9: 'shred' is no option of map"),
    ("map 9 1", "f.scn:3:5: '9' is not a region"),
    ("file F tpmfs", "f.scn:3:8: unknown kind of file 'tpmfs' (did you mean 'tmpfs'?)"),
    ("end\nwrite A", "f.scn:4:1: 'write' follows the end of scenario 't'"),
    ("orders 4", "f.scn:3:1: 'orders' belongs before the scenario's first operation"),
    ("done", "f.scn:3:1: 'done' without a 'for'"),
    ("list n 4K 1\nfor i in n\nwrite A 0 i", "f.scn:4:1: this 'for' has no 'done'"),
    ("step w_{j}: write A", "f.scn:3:1: label 'w_{j}' names a variable that no loop around it sets"),
    ("map B 65 GiB", "f.scn:3:1: a region of"),
    ("map B 99999999999999999", "f.scn:3:7: 99999999999999999 is too large"),
    ("map B 9999999*9999999*9999999", "f.scn:3:7: '9999999*9999999*9999999' is too large"),
]


@pytest.mark.parametrize(("line", "message"), CASES, ids=[case[0].replace("\n", "|") for case in CASES])
def test_errors_point_at_the_word(line, message):
    """Line and column are those of the offending word."""
    assert error(f"scenario t\nmap A 512\n{line}\n").startswith(message)


def test_operations_need_a_scenario():
    """A file starts with a scenario."""
    assert error("write A\n").startswith("f.scn:1:1: 'write' stands outside a scenario")
    assert error("# nothing\n").startswith("f.scn:1:1: no scenario here")


def test_scenarios_have_one_definition():
    """The same name at the same order is a mistake."""
    assert error("S a 0\nE\nS a 4\nE\nS a 0\n").startswith("f.scn:5:3: scenario 'a' is already on line 1")


def test_a_list_without_values_for_the_page_size():
    """The message comes when the scenario is run with those pages."""
    message = error("scenario t\nlist n 4K 1\nfor i in n\ndone", 16384)
    assert message.startswith("f.scn:3:1: list 'n' has no values for 16K")


def test_long_loops_end():
    """The number of operations is bounded."""
    values = " ".join(["1"] * 1000)
    text = f"scenario t\nlist n 4K {values}\nmap A 1\nfor i in n\nfor j in n\nwrite A\ndone\ndone\n"
    assert "more than 200000 operations" in error(text)


def test_files_that_are_not_scenarios(tmp_path):
    """Missing, binary and oversized files are refused with their name."""
    binary, large = tmp_path / "b", tmp_path / "l"
    binary.write_bytes(b"scenario t\nmap \xff\n")
    large.write_bytes(b"#" * (5 << 20))
    for path, text in (
        (binary, "b:2:5: not UTF-8"),
        (large, "larger than 4 MiB"),
        (tmp_path / "none", "cannot read"),
    ):
        with pytest.raises(InputError, match=text):
            load(path)


@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused(text):
    """No text raises anything but InputError."""
    try:
        for scenario in parse("scenario t\nmap A 8\n" + text).scenarios:
            lower(scenario, 4096, 0)
    except InputError as problem:
        assert str(problem).startswith("<scenario>:")


WORDS = [
    *(
        "map",
        "A",
        "B",
        "write",
        "0",
        "8",
        "block",
        "step x:",
        "dump y:",
        "child:",
        "fork",
        "reap",
        "move",
        "to",
    ),
    *(
        "for",
        "in",
        "0..4",
        "end",
        "as child",
        "shared",
        "file",
        "F",
        "tmpfs",
        "of",
        "fill",
        "by",
        "(",
        "*",
        "list",
    ),
    *("4K", "n", "done"),
]


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=6), max_size=12))
def test_any_words_parse_or_are_refused(lines):
    """Almost-right files are refused with a place, too."""
    text = "\n".join(" ".join(words) for words in lines)
    try:
        for scenario in parse("scenario t\nmap A 8\n" + text).scenarios:
            lower(scenario, 4096, 0)
    except InputError as problem:
        assert str(problem).startswith("<scenario>:")
