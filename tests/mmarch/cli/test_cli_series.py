"""`series list | show | new | update`, and --with of an installed series and of a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core_mm import unmap
from mmarch.cli import main
from mmarch.plugins.series.digest import digest
from tests.support.plugins import Plugins

BY_PAGE = """
from core_mm.series import Series, replaces
series = Series(name="by_page", title="mm/rmap: unmap page by page", link="https://example.org/1", releases=("7.3",))

@replaces("core_mm.unmap.folio_unmap_pte_batch", digest="DIGEST")
def folio_unmap_pte_batch(folio: int, ptep: int, pte: int, address: int, end: int) -> int:
    return 1
"""
SCENARIO = "scenario free\nsetup: map A 256\nsetup: write A\nstep give_up: free A\nstep out: pageout A\n"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    """256 pages given up and paged out."""
    path = tmp_path / "free.scn"
    path.write_text(SCENARIO)
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A series with the digest of today."""
    path = tmp_path / "by_page.py"
    path.write_text(BY_PAGE.replace("DIGEST", digest(unmap.folio_unmap_pte_batch)))  # type: ignore[arg-type]
    return path


def install(plugins: Plugins, body: str = BY_PAGE) -> Path:
    """As a distribution."""
    target = "mmarch_by_page:series"
    now = digest(unmap.folio_unmap_pte_batch)  # type: ignore[arg-type]
    text = body.replace("DIGEST", now)
    return plugins.install(text, name="by_page", prelude=False, target=target, group="mmarch.series")


def test_compare_with_a_file_and_with_a_name(
    plugins: Plugins, file: Path, scenario: str, capsys: Capture
) -> None:
    """A series under its name does what the file does."""
    found = []
    for name in (str(file), "by_page"):
        if name == "by_page":
            install(plugins)
        assert (
            main(["compare", "-c", "release=7.3", "-c", f"release=7.3,with={name}", scenario, "--json"]) == 0
        )
        first, second = json.loads(capsys.readouterr().out)["results"]
        found.append(second["totals"])
        assert second["configuration"]["with"] == ["by_page"]
        assert first["series"] == {}
        assert second["totals"]["folio_remove_rmap_ptes"] == 256
        assert second["series"]["by_page"]["title"] == "mm/rmap: unmap page by page"
        assert second["series"]["by_page"]["origin"] == ("file" if "/" in name else "mmarch-by_page 1.2")
        assert len(second["series"]["by_page"]["digest"]) == 64
    assert found[0] == found[1]


def test_results_name_no_path(file: Path, scenario: str, capsys: Capture) -> None:
    """Of a series from a file."""
    assert main(["run", "--release", "7.3", "--with", str(file), scenario, "--json"]) == 0
    assert str(file) not in capsys.readouterr().out


def test_a_file_that_differs_from_what_is_installed(
    plugins: Plugins, file: Path, scenario: str, capsys: Capture
) -> None:
    """Results could not tell them apart."""
    install(plugins, BY_PAGE + "x = 1\n")
    assert main(["run", "--release", "7.3", "--with", str(file), scenario]) == 3
    error = capsys.readouterr().err
    assert "MM022" in error
    assert "mmarch-by_page 1.2" in error


def test_two_distributions_of_one_name(plugins: Plugins, scenario: str, capsys: Capture) -> None:
    """Both are named."""
    install(plugins)
    plugins.install(
        "series = None\n", name="by_page", module="other", distribution="other", prelude=False,
        target="other:series", group="mmarch.series",
    )  # fmt: skip
    assert main(["run", "--with", "by_page", scenario]) == 3
    error = capsys.readouterr().err
    assert "mmarch-by_page 1.2" in error
    assert "other 1.2" in error


def test_an_installed_series_that_bears_the_name_of_a_feature(
    plugins: Plugins, scenario: str, capsys: Capture
) -> None:
    """Even if it is the feature that is asked for."""
    plugins.install(
        "series = None\n", name="file_unmap_batch", prelude=False, target="mmarch_file_unmap_batch:series",
        group="mmarch.series",
    )  # fmt: skip
    assert main(["run", "--with", "file_unmap_batch", scenario]) == 3
    error = capsys.readouterr().err
    assert (
        "MM022: 'file_unmap_batch' is the feature (reclaim unmaps a large folio of a file in batches)"
        in error
    )


def test_sanitize_judges_it(file: Path, scenario: str, capsys: Capture) -> None:
    """A series that leaves a flush out is found."""
    wrong = '''
@replaces("core_mm.unmap.unhook_ptes")
def unhook_ptes(vma: int, address: int, ptep: int, nr: int) -> int:
    """Without a flush."""
    return clear_ptes(VMA.vm_mm[vma], address, ptep, nr, 0)
'''
    imports = "from core_mm.hookspecs import clear_ptes\nfrom core_mm.mm_types import VMA\n"
    assert main(["run", "--release", "7.3", "--with", str(file), "--sanitize", scenario]) == 0
    file.write_text(imports + file.read_text() + wrong)
    assert main(["run", "--release", "7.3", "--with", str(file), "--sanitize", scenario]) == 1
    assert "free" in capsys.readouterr().out


def test_ablate_has_a_row_for_it(file: Path, scenario: str, capsys: Capture) -> None:
    """What it saves, as of a hook: here it costs."""
    args = ["ablate", "--release", "7.3", "--with", str(file), scenario, "--json", "--engine", "interpreted"]
    assert main(args) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = [row for row in found["withheld"] if row["name"] == "by_page"]
    assert row["extra"]["folio_remove_rmap_ptes"] == 16 - 256


def test_configurations_name_no_path(file: Path, tmp_path: Path, scenario: str, capsys: Capture) -> None:
    """Neither written nor read."""
    assert main(["config", "--release", "7.3", "--with", str(file)]) == 2
    assert "names series by name" in capsys.readouterr().err
    config = tmp_path / "c.toml"
    config.write_text(f'release = "7.3"\nwith = ["{file}"]\n')
    assert main(["run", "--config", str(config), scenario]) == 2
    assert f"c.toml:2: with has the path '{file}'" in capsys.readouterr().err


def test_an_installed_series_in_a_configuration(
    plugins: Plugins, tmp_path: Path, scenario: str, capsys: Capture
) -> None:
    """As any feature."""
    install(plugins)
    assert main(["config", "--release", "7.3", "--with", "by_page"]) == 0
    config = tmp_path / "c.toml"
    config.write_text(capsys.readouterr().out)
    assert main(["run", "--config", str(config), scenario, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["configuration"]["with"] == ["by_page"]


@pytest.mark.parametrize("path", ["./a,b.py", "./a+b.py", "dir,/a.py"])
def test_a_path_that_c_would_take_apart(path: str, scenario: str, capsys: Capture) -> None:
    """It is refused, and --config named."""
    assert main(["compare", "-c", "release=7.3", "-c", f"release=7.3,with={path}", scenario]) == 2
    error = capsys.readouterr().err
    assert path in error
    assert "--config" in error


def test_several_workloads_each_in_a_process(
    file: Path, scenario: str, tmp_path: Path, capsys: Capture
) -> None:
    """Each loads the file."""
    other = tmp_path / "other.scn"
    other.write_text(SCENARIO.replace("256", "64"))
    assert main(["run", "--release", "7.3", "--with", str(file), scenario, str(other), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [result["totals"]["folio_remove_rmap_ptes"] for result in found] == [256, 64]


def test_list(plugins: Plugins, capsys: Capture) -> None:
    """What is installed, broken ones too."""
    assert main(["series", "list"]) == 0
    assert "no series is installed" in capsys.readouterr().out
    install(plugins)
    plugins.install(
        "series = 5\n", name="broken", prelude=False, target="mmarch_broken:series", group="mmarch.series"
    )
    assert main(["series", "list", "--json"]) == 0
    found = {item["name"]: item for item in json.loads(capsys.readouterr().out)["series"]}
    assert {name: item["status"] for name, item in found.items()} == {"by_page": "ok", "broken": "MM014"}
    assert main(["series", "list"]) == 0
    assert "by_page: mm/rmap: unmap page by page" in capsys.readouterr().out


def test_show(file: Path, capsys: Capture) -> None:
    """What it says of itself, and each replaced function as a diff."""
    assert main(["series", "show", str(file)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("by_page: mm/rmap: unmap page by page\n")
    assert "releases: 7.3" in shown
    assert "-    nr, pte = folio_pte_batch_flags(folio, ptep, pte, limit, flags)" in shown
    assert "+    return 1" in shown or "     return 1" in shown


def test_new_writes_a_series_that_changes_nothing(tmp_path: Path, scenario: str, capsys: Capture) -> None:
    """It loads, its digests are today's, and a run with it counts what a run without counts."""
    path = tmp_path / "mine.py"
    names = ["--replace", "folio_unmap_pte_batch", "--replace", "core_mm.unmap.replace_anon_ptes"]
    assert main(["series", "new", "mine", *names, "--hook", "arch_mine", "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert main(["compare", "-c", "release=7.3", "-c", f"release=7.3,with={path}", scenario, "--json"]) == 0
    out, error = capsys.readouterr()
    first, second = json.loads(out)["results"]
    assert first["totals"] == second["totals"]
    assert "digest" not in error
    for command in (["ruff", "check", "--isolated", "--select", "E,F,I", "--line-length", "120"],):
        done = subprocess.run(
            [sys.executable, "-m", *command, str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mine", "--replace", "folio_unmap_pte_bach"], "Did you mean 'folio_unmap_pte_batch'?"),
        (["mine", "--replace", "clear_ptes"], "--replace clear_ptes: a hook"),
        (["Mine"], "no name for a series"),
        (["clear_ptes"], "is a hook already"),
        (["mine", "--hook", "set_ptes"], "is a hook already"),
        (["file_unmap_batch"], "is a feature already"),
    ],
)
def test_new_refuses(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Before it writes anything."""
    monkeypatch.chdir(tmp_path)
    assert main(["series", "new", *words]) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_new_overwrites_nothing(file: Path, capsys: Capture) -> None:
    """What is there stays."""
    before = file.read_text()
    assert main(["series", "new", "by_page", "-o", str(file)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert file.read_text() == before


def test_update_writes_the_digest_and_nothing_else(file: Path, scenario: str, capsys: Capture) -> None:
    """The warning goes with it."""
    good = file.read_text()
    now = digest(unmap.folio_unmap_pte_batch)  # type: ignore[arg-type]
    file.write_text(good.replace(now, "0" * 12))
    run = ["run", "--release", "7.3", "--with", str(file), scenario]
    assert main(run) == 0
    assert f"(digest 000000000000, now {now})" in " ".join(capsys.readouterr().err.split())
    assert main(["series", "update", str(file)]) == 0
    assert capsys.readouterr().out == f"core_mm.unmap.folio_unmap_pte_batch  000000000000 -> {now}\n"
    assert file.read_text() == good
    assert main(run) == 0
    assert "digest" not in capsys.readouterr().err
    assert main(["series", "update", str(file)]) == 0
    assert "every digest is of today's function" in capsys.readouterr().out


def test_update_adds_a_digest(file: Path, capsys: Capture) -> None:
    """Where there was none, whatever else the mark says."""
    good = file.read_text()
    now = digest(unmap.folio_unmap_pte_batch)  # type: ignore[arg-type]
    file.write_text(good.replace(f', digest="{now}"', ""))
    assert main(["series", "update", str(file)]) == 0
    assert "none -> " in capsys.readouterr().out
    assert file.read_text() == good


def test_mm011_a_replacement_that_raises(file: Path, scenario: str, capsys: Capture) -> None:
    """The function, the series and the line are named."""
    file.write_text(file.read_text().replace("    return 1\n", "    return 1 // (nr := 0)\n"))
    command = ["run", "--release", "7.3", "--with", str(file), scenario, "--engine", "interpreted"]
    assert main(command) == 3
    error = " ".join(capsys.readouterr().err.split())
    assert error.startswith("mmarch: MM011: folio_unmap_pte_batch of series by_page raised ZeroDivisionError")
    assert f"({file}:7)" in error


def test_explain_shows_its_functions(file: Path, scenario: str, capsys: Capture) -> None:
    """Where they are, as those of core-mm."""
    body = file.read_text().replace("    return 1\n", "    ptep_get(ptep)\n    return 1\n")
    file.write_text("from core_mm.hookspecs import ptep_get\n" + body)
    assert main(["explain", scenario, "--release", "7.3", "--with", str(file), "--op", "out"]) == 0
    (line, *_) = [line for line in capsys.readouterr().out.splitlines() if "folio_unmap_pte_batch()" in line]
    assert line.split()[-1] == "by_page.py:6"


def test_the_api_takes_paths_and_leaves_nothing(file: Path, scenario: str) -> None:
    """A run without it afterwards is a run without it before, in each engine."""
    import mmarch

    for engine in ("interpreted", "linked"):
        given = {"release": "7.3", "engine": engine}
        before = mmarch.run(scenario, **given)  # type: ignore[arg-type]
        with_ = mmarch.run(scenario, with_=[file], **given)  # type: ignore[arg-type]
        after = mmarch.run(scenario, **given)  # type: ignore[arg-type]
        assert before == after
        assert with_.total("folio_remove_rmap_ptes") == 256
        assert before.total("folio_remove_rmap_ptes") == 16


def test_check_runs_the_releases_that_it_is_for(file: Path, capsys: Capture) -> None:
    """Of the usual ones; the report names the series and its digest, and the command to see a result again the file."""
    words = ["check", "generic", "--with", str(file), "--only", "smoke", "--format", "json", "-q"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert {result["release"] for result in found["results"]} == {"7.3"}
    assert found["with"] == ["by_page"] if "with" in found else found["with_"] == ["by_page"]
    assert list(found["series"]) == ["by_page"]
    assert main([*words, "--release", "6.12"]) == 3
    assert "MM021" in capsys.readouterr().err


def test_validate_takes_it(file: Path, capsys: Capture) -> None:
    """What differs from a kernel without it is told; the report names the series."""
    measured = sorted((Path(__file__).parents[2] / "measured").glob("7.3.4-cloud.neoverse-n2*"))[0]
    assert main(["validate", "--with", str(file), "--measured", str(measured), "--json", "-q"]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert found["with"] == ["by_page"]
    assert list(found["series"]) == ["by_page"]
