"""Series under examples/: each is a distribution that proves itself, and says what planted faults in it look like."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.site import Site

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "examples" / "series").glob("*/pyproject.toml"))
NAMES = [folder.name for folder in FOLDERS]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """All of them, installed side by side."""
    made = Site(tmp_path_factory.mktemp("site"))
    for folder in FOLDERS:
        made.install(folder)
    return made


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_they_are_complete(folder: Path) -> None:
    """A README, tests, type information; mmarch is the one dependency, the name that of the folder."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert [re.split(r"[<>=]", need)[0] for need in project["dependencies"]] == ["mmarch"]
    assert list(project["entry-points"]["mmarch.series"]) == [folder.name]
    assert (folder / project["readme"]).exists()
    assert list(folder.glob("tests/test_*.py"))
    assert list(folder.glob("src/*/py.typed"))


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_they_import_core_mm_only(folder: Path) -> None:
    """Neither mmarch nor an architecture, and nothing private."""
    texts = "\n".join(path.read_text() for path in folder.glob("src/*/*.py"))
    modules = {name.split(".")[0] for name in re.findall(r"^(?:from|import) ([\w.]+)", texts, re.M)}
    assert modules <= {"core_mm", "__future__", next(folder.glob("src/*")).name}
    assert not re.search(r"from core_mm[\w.]* import .*\b_\w", texts)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("engine", ["interpreted", "linked"])
def test_they_run(site: Site, name: str, engine: str) -> None:
    """By name, in both engines, without a warning that what they replace has changed."""
    said = site.mmarch("run", "--release", "7.3", "--with", name, "--engine", engine, str(SCENARIO))
    assert f"with {name}" in " ".join(said.split())
    assert "changed" not in said
    assert "WARN" not in said


SCENARIO = ROOT / "examples" / "scenarios" / "madv_free.scn"


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_their_own_tests_pass(site: Site, folder: Path) -> None:
    """pytest in their folder, against what was installed."""
    said = site.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert re.search(r"^\d+ passed", said, re.M)
    assert "failed" not in said


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_they_keep_the_meaning(site: Site, name: str) -> None:
    """A quarter of the sample of `mmarch check generic --quick`, an architecture without blocks."""
    said = site.mmarch(
        "check", "generic", "--quick", "--programs", "100", "--with", name, "--only", "meaning", "--format", "lkml",
    )  # fmt: skip
    assert "leave the same behind" in " ".join(said.split())
