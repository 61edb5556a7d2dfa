"""Published tables: what the twin counts of them, by closed forms, and what is wrong with a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mmarch
from mmarch import papers
from mmarch.cli import main
from mmarch.errors import InputError
from mmarch.papers import Reproduced, known

ROOT = Path(__file__).parents[3]
SERIES = str(ROOT / "examples/series/anon_unmap_batch/src/mmarch_anon_unmap_batch/__init__.py")
BLOCK = 16  # PTEs of a contiguous block of 4K pages


@pytest.fixture(scope="module", autouse=True)
def reproduced_once() -> Iterator[None]:
    """A letter's table, of which several tests look at a row or at what is printed."""
    kept: dict[tuple[str, ...], Reproduced] = {}
    made = papers.reproduce

    def reproduce(letter: papers.Letter, series: Any = (), *others: Any) -> Reproduced:
        key = (letter.model_dump_json(), *series)
        if key not in kept:
            kept[key] = made(letter, series, *others)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papers, "reproduce", reproduce)
        yield


def conversions(found: Reproduced, row: int = 0) -> tuple[int, int]:
    """Folds and unfolds before and after."""
    counted = found.rows[row]
    before, after = (side.get("fold", 0) + side.get("unfold", 0) for side in (counted.before, counted.after))
    return before, after


def test_mprotect_converts_each_block_four_times() -> None:
    """64 MiB are 1,024 blocks; each is unfolded and folded by either call, and not at all in batches."""
    found = mmarch.reproduce("mprotect-m3")
    assert conversions(found) == (4 * 1024, 0)
    assert found.rows[0].case.ratio == pytest.approx(2.2 / 7.9)


@pytest.mark.parametrize(
    ("paper", "row"),
    [("mprotect-m3", 1), ("mprotect-4k", 0), ("mprotect-4k", 1), ("contpte-v4", 2), ("contpte-v5", 4)],
)
def test_negative_predictions(paper: str, row: int) -> None:
    """Where no folio is large, or each block has to go first, not one count differs, whatever was measured."""
    counted = mmarch.reproduce(paper).rows[row]
    assert counted.before == counted.after and counted.before["pte_write"]


def test_mremap_unfolds_here_and_folds_there() -> None:
    """A megabyte is 16 blocks."""
    assert conversions(mmarch.reproduce("mremap-m3")) == (2 * 16, 0)


def test_a_fork_unfolds_every_block_once() -> None:
    """16 MiB are 256 blocks; each costs a TLBI for each of its pages on a CPU without ranges, else one."""
    altra, _, m2, *_ = mmarch.reproduce("contpte-v5").rows
    for counted, tlbis in ((altra, BLOCK), (m2, 1)):  # of a range, where the CPU has such
        assert (counted.before["unfold"], counted.after.get("unfold", 0)) == (256, 0)
        assert counted.before["tlbi"] - counted.after["tlbi"] == 256 * tlbis
    assert altra.case.ratio < m2.case.ratio  # and the more TLBIs, the more was lost


def test_the_sixth_version_repeats_the_figures_of_the_fifth() -> None:
    """So its letter says."""
    fifth, sixth = (mmarch.list_papers()[f"contpte-v{number}"].cases[:2] for number in (5, 6))
    assert fifth == sixth


def test_madv_free_split_every_folio() -> None:
    """Of 4,096 pages, each cleared, made a migration entry, mapped again, then cleared and set once more as old.

    The first clearing and the last are flushed page by page; without the split there is the last alone.
    """
    counted = mmarch.reproduce("madv-free").rows[1]
    pages = 4096
    assert (counted.before["pte_write"], counted.before["tlbi"]) == (5 * pages, 2 * pages)
    assert counted.before["folio_remove_rmap_ptes"] == pages
    assert (counted.after["pte_write"], counted.after["tlbi"]) == (2 * pages, pages)
    assert "folio_remove_rmap_ptes" not in counted.after


def test_a_series_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """What was published is shown, and what the counts need; with the series they are there."""
    assert main(["paper", "-q", "anon-unmap-m3"]) == 0
    assert "need series anon_unmap_batch" in " ".join(capsys.readouterr().out.split())
    found = mmarch.reproduce("anon-unmap-m3", with_=SERIES)
    assert conversions(found) == (256 * 16, 1)  # MiB by blocks of 64K; the last one is not of one folio


@pytest.mark.parametrize("name", known())
def test_every_letter_says_where_it_is_from(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Author, date, subject and machine are printed, in 80 columns."""
    letter = known()[name]
    assert main(["paper", "-q", name]) == 0
    out = capsys.readouterr().out
    text = " ".join(out.split())
    assert letter.author in text and letter.date in text and letter.subject in text and letter.machine in text
    assert max(map(len, out.splitlines())) <= 80
    assert all(case.name in text for case in letter.cases)


def test_a_key_that_is_mistyped_is_named(tmp_path: Path) -> None:
    """Not the one that is missing for it."""
    text = (Path(known()["mremap-m3"].folder) / "mremap-m3.toml").read_text()
    (tmp_path / "own.toml").write_text(text.replace("unit =", "unti ="))
    with pytest.raises(InputError, match=r"own\.toml: cases\.0\.unti: .* \(got 's'\)"):
        mmarch.reproduce(tmp_path / "own.toml")


def test_letters_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name."""
    assert main(["paper"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name} (" in out for name in mmarch.list_papers())


OWN = """
id = "own"
title = "t"
subject = "s"
author = "a"
date = "2026-01-01"
machine = "m"
scenario = "own.scn"

[[cases]]
name = "row"
unit = "ms"
before = 2
after = 1
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OWN.replace("ms", "min"), "cases.0.unit: Input should be"),
        (OWN.replace("own.scn", "../own.scn"), "give its name alone"),
        (OWN + 'steps = ["no"]', "has no step 'no'; it has: "),
        (OWN + 'configuration = { release = "9" }', "release"),
        (OWN + 'typo = "x"', "cases.0.typo"),
        ("id = ", "not TOML"),
    ],
)
def test_a_table_of_one_s_own(text: str, said: str, tmp_path: Path) -> None:
    """Beside its scenario; what is wrong with it is named."""
    (tmp_path / "own.scn").write_text("scenario own\nsetup: map A 16\nstep w: write A\nend\n")
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    assert mmarch.reproduce(path).rows[0].before["fault"] == 1
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        mmarch.reproduce(path)


def test_an_unknown_letter() -> None:
    """With what there is."""
    with pytest.raises(InputError, match=r"unknown paper 'mprotect-m4'.*mprotect-m3"):
        mmarch.reproduce("mprotect-m4")
