"""A store by any of its axes: in a terminal, as Markdown, and as data."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars
import pytest

from mmarch.cli import main
from mmarch.grid.table import read

Mmarch = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """n pages of order 0 written, and 4 of them zapped: n faults, and TLBIs by n."""
    folder = tmp_path_factory.mktemp("show")
    (folder / "zap.scn").write_text("scenario zap\nparam n = 4\nmap A n\nwrite A\ndontneed A 0 4\nend\n")
    (folder / "grid.toml").write_text(
        '[axes]\nworkload = "zap.scn"\nfolio-orders = "none"\nrelease = ["6.12", "7.3"]\nseed = [1, 2]\n'
        "[axes.set]\nn = [4, 8, 2]\n"
    )
    # two pages are fewer than are zapped: that point fails, on each release with each seed
    assert main(["sweep", str(folder / "grid.toml"), "-o", str(folder / "store"), "-q"]) == 1
    return folder / "store"


def lines(text: str) -> list[list[str]]:
    """Words of the lines that are not empty."""
    return [line.split() for line in text.splitlines() if line.strip()]


def test_rows_and_columns_are_any_axes(store: Path, mmarch: Mmarch) -> None:
    """A fault for each page that is written, whatever the release and seed; a dash where a point failed."""
    code, out, _ = mmarch("sweep", "show", store, "--rows", "n", "--columns", "release", "--count", "fault")
    assert code == 0
    table = lines(out)
    assert table[0][-1] == "faults" and "12 points" in out
    assert table[1:5] == [["n", "6.12", "7.3"], ["4", "4", "4"], ["8", "8", "8"], ["2", "–", "–"]]
    assert "4 points failed; --failed says why" in out


def test_points_of_a_cell_that_differ(store: Path, mmarch: Mmarch) -> None:
    """Their range, or what --aggregate says: 4 and 8 faults, with two seeds each."""
    expected = {"": "4–8", "mean": "6", "sum": "24", "min": "4", "max": "8"}
    for aggregate, cell in expected.items():
        words = ["--aggregate", aggregate] if aggregate else []
        _, out, _ = mmarch("sweep", "show", store, "--rows", "release", "--count", "fault", *words)
        assert ["6.12", cell] in lines(out), out
        assert "of points that differ in: n" in " ".join(out.split())


def test_by_itself_it_shows_what_varies(store: Path, mmarch: Mmarch) -> None:
    """Faults, PTE accesses, TLBIs and barriers by all axes with several values."""
    _, out, _ = mmarch("sweep", "show", store)
    assert lines(out)[1] == [
        "release", "n", "seed", "faults", "PTE", "reads", "PTE", "writes", "TLBIs", "DSBs"
    ]  # fmt: skip


def test_more_rows_than_a_person_reads(store: Path, mmarch: Mmarch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of them, unless the axes were asked for."""
    from mmarch.report import sweep as report

    monkeypatch.setattr(report, "SHOWN", 1)
    _, out, _ = mmarch("sweep", "show", store)
    assert lines(out)[2][:2] == ["6.12", "4–8"]
    assert "1 row more: --rows picks axes, --format csv has all of them" in out
    _, out, _ = mmarch("sweep", "show", store, "--rows", "n,seed", "--count", "fault")
    assert len([line for line in lines(out) if len(line) == 3 and line[0] in "248"]) == 6
    assert "more:" not in out


def test_of_one_call(store: Path, mmarch: Mmarch) -> None:
    """Faults take no TLBI, DONTNEED does; groups are summed."""
    code, out, _ = mmarch("sweep", "show", store, "--rows", "n", "--call", "fault", "--count", "tlbi,fault")
    assert code == 0 and ["4", "0", "4"] in lines(out)
    _, out, _ = mmarch(
        "sweep", "show", store, "--rows", "n", "--call", "madvise", "--count", "tlbi", "--json"
    )
    rows = json.loads(out)["rows"]
    whole = read(store).frame.filter(n="4", release="6.12", seed="1")["tlbi"].item()
    assert rows[0] == {"n": "4", "tlbi": whole}


def test_data_has_every_point(store: Path, mmarch: Mmarch, tmp_path: Path) -> None:
    """csv, json and parquet: axes, digest, counts, error."""
    _, out, _ = mmarch("sweep", "show", store, "--format", "csv")
    csv = polars.read_csv(io.StringIO(out), infer_schema=False)
    assert mmarch("sweep", "show", store, "--format", "parquet", "-o", tmp_path / "x.parquet").code == 0
    parquet = polars.read_parquet(tmp_path / "x.parquet")
    assert parquet.equals(read(store).frame)
    assert csv.columns == parquet.columns and csv.height == 12
    _, out, _ = mmarch("sweep", "show", store, "--json")
    assert [row["fault"] for row in json.loads(out)["rows"]] == parquet["fault"].to_list()


def test_data_of_a_pivot_has_one_number_a_cell(store: Path, mmarch: Mmarch) -> None:
    """Or it is refused, with the axes that are missing."""
    words = ("sweep", "show", store, "--rows", "n", "--format", "csv")
    code, out, _ = mmarch(*words, "--columns", "release", "--count", "fault")
    assert (code, out) == (0, "n,6.12,7.3\n4,4,4\n8,8,8\n2,,\n")
    code, _, err = mmarch("sweep", "show", store, "--rows", "release", "--count", "fault", "--format", "csv")
    assert code == 2 and "points of a cell differ by n" in err and "--aggregate mean" in err


def test_markdown(store: Path, mmarch: Mmarch) -> None:
    """A table."""
    words = ("--rows", "n", "--columns", "release", "--count", "fault", "--format", "markdown")
    _, out, _ = mmarch("sweep", "show", store, *words)
    assert "| n | 6.12 | 7.3 |\n| :-- | --: | --: |\n| 4 | 4 | 4 |" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rows", "m"], "unknown axis 'm'"),
        (["--rows", "n", "--columns", "n", "--count", "fault"], "n is among --rows and --columns"),
        (["--count", "faults"], "unknown count 'faults'. Did you mean 'fault'?"),
        (["--columns", "n", "--count", "fault,tlbi"], "room for one count, not 2"),
        (["--call", "munmapp"], "unknown call 'munmapp'"),
        (["--aggregate", "median"], "--aggregate 'median': it has to be one of: min, max, mean, sum"),
        (["--format", "lkml"], "sweep show has no such format"),
    ],
)
def test_what_is_wrong(store: Path, mmarch: Mmarch, words: list[str], message: str) -> None:
    """Exit 2, what is wrong, and what there is."""
    code, out, err = mmarch("sweep", "show", store, *words)
    assert (code, out) == (2, "")
    assert message in err


def test_duckdb_reads_a_store(store: Path) -> None:
    """Rows by digest, with the axes of the SPEC beside them; calls are JSON."""
    query = (
        f"SELECT n, max(fault), max(CAST(calls->'$.fault.fault' AS INT)) FROM '{store}/rows/*.parquet' "
        f"JOIN '{store}/points.parquet' USING (digest) GROUP BY n ORDER BY n"
    )
    assert duckdb.sql(query).fetchall() == [("4", 4, 4), ("8", 8, 8)]


def test_a_sweep_that_is_not_done(store: Path, tmp_path: Path, mmarch: Mmarch) -> None:
    """What is only in journals is shown too, and how many points are not counted yet."""
    from mmarch.grid import store as stores
    from mmarch.grid.plan import plan
    from mmarch.grid.spec import read as read_spec
    from mmarch.grid.work import Chunk, work

    made = plan(read_spec(store.parent / "grid.toml"))
    with stores.opened(tmp_path / "store", made) as (began, _):
        _, out, err = mmarch("sweep", "show", tmp_path / "store")
        assert "12 points not counted yet" in out and not err
        work(Chunk("a", list(made.distinct())[:3], str(began.journals)))
        _, out, _ = mmarch("sweep", "show", tmp_path / "store", "--rows", "n", "--count", "fault")
    assert "9 points not counted yet" in out and ["4", "4"] in lines(out)
