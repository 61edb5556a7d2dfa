"""Third-party distributions under examples/: each is installed from its folder and proves itself there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.support.site import Site

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))


def arch_name(folder: Path) -> str:
    """The name of the one architecture that a distribution offers."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    (name,) = project["entry-points"]["mmarch.arch"]
    return str(name)


NAMES = [arch_name(folder) for folder in FOLDERS]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """All of them, installed side by side."""
    made = Site(tmp_path_factory.mktemp("site"))
    for folder in FOLDERS:
        made.install(folder)
    return made


def test_there_are_two() -> None:
    """RISC-V with Svnapot, and x86."""
    assert set(NAMES) == {"riscv_svnapot", "x86"}


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_they_are_complete(folder: Path) -> None:
    """A README, tests, type information; metadata that names mmarch as the one dependency."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert [re.split(r"[<>=]", need)[0] for need in project["dependencies"]] == ["mmarch"]
    assert (folder / project["readme"]).exists()
    assert list(folder.glob("tests/test_*.py"))
    assert list(folder.glob("src/*/py.typed"))


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_they_import_core_mm_only(folder: Path) -> None:
    """Like a built-in architecture: neither mmarch nor another architecture, and nothing private."""
    texts = "\n".join(path.read_text() for path in folder.glob("src/*/*.py"))
    modules = set(re.findall(r"^(?:from|import) ([\w.]+)", texts, re.M))
    package = next(folder.glob("src/*")).name
    foreign = {name for name in modules if name.split(".")[0] not in ("core_mm", package, "__future__")}
    assert foreign == set()
    assert not re.search(r"from core_mm[\w.]* import .*\b_\w", texts)


def test_mmarch_does_not_know_them() -> None:
    """No shipped file names one of them."""
    shipped = [path for package in ("mmarch", "core_mm", "arches") for path in (ROOT / package).rglob("*.py")]
    naming = re.compile("svnapot|mmarch_(riscv|x86)", re.IGNORECASE)
    assert [path for path in shipped if naming.search(path.read_text())] == []


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_their_own_tests_pass(site: Site, folder: Path) -> None:
    """pytest in their folder, against what was installed; their conformance is the next test's, at every level."""
    assert "parametrize_with_arch_checks" in (folder / "tests" / "test_conformance.py").read_text()
    said = site.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ignore=tests/test_conformance.py", cwd=folder
    )
    assert re.search(r"^\d+ passed", said, re.M)
    assert "failed" not in said


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_they_pass_the_conformance_suite(site: Site, name: str) -> None:
    """`mmarch check`, the quick form, of all levels; nothing is expected to fail."""
    said = site.mmarch("check", name, "--quick", "--level", "all")
    assert re.search(r"^ok: \d+ pass", said, re.M)
    assert "xfail" not in said


@pytest.mark.parametrize("name", NAMES)
def test_they_are_listed_and_shown(site: Site, name: str) -> None:
    """`mmarch arch list` finds them without a problem; every hook of theirs links."""
    listed = re.search(rf"^{name} +0\.1\.0 +1 +ok", site.mmarch("arch", "list"), re.M)
    assert listed
    shown = site.mmarch("arch", "show", name, "--hooks")
    assert "does not link" not in shown


@pytest.mark.parametrize(
    ("name", "writable", "block"),
    [("x86", r" USR RW .*NX A D", None), ("riscv_svnapot", r" D A \. U \. W R V", r"^\S+ +64K PTE N ")],
)
def test_page_tables_in_the_kernel_s_words(site: Site, name: str, writable: str, block: str | None) -> None:
    """One page was written after a fork: it alone is writable; what RISC-V has in blocks says so."""
    path = str(ROOT / "examples" / "scenarios" / "fork.scn")
    said = site.mmarch("map", "-q", "--arch", name, path, "--at", "cow_one")
    assert re.findall(rf"^\S+ +(\w+) PTE.*{writable}", said, re.M) == ["4K"]
    assert block is None or re.search(block, said, re.M)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("release", ["6.12", "7.3"])
def test_they_run_the_bundled_trace(site: Site, name: str, release: str) -> None:
    """Linked, on each release; something is flushed, nothing is warned of."""
    said = site.mmarch("run", "--arch", name, "--release", release, "--engine", "linked")
    total = re.search(r"^total .*?(\d[\d,]*) +[\d,]+$", said, re.M)
    assert total and int(total[1].replace(",", "")) > 0
    assert "WARN" not in said


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scenario", ["fork", "mremap", "pageout", "madv_free"])
def test_both_engines_agree(site: Site, name: str, scenario: str) -> None:
    """Interpreted through pluggy or linked: the same counts, per system call."""
    path = str(ROOT / "examples" / "scenarios" / f"{scenario}.scn")
    found = []
    for engine in ("interpreted", "linked"):
        said = site.mmarch("run", "--arch", name, path, "--engine", engine, "--json", "--quiet")
        document = json.loads(said)
        assert document["failures"] == []
        found.append({op: without_calls(group["events"]) for op, group in document["operations"].items()})
    assert found[0] == found[1]
    assert sum(events.get("pte_write", 0) for events in found[0].values()) > 0


def without_calls(events: dict[str, int]) -> dict[str, int]:
    """Only the interpreted engine counts calls of hooks."""
    return {event: n for event, n in events.items() if event != "hook_call"}


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scenario", ["sweep", "fork", "mremap", "pageout", "shmem"])
def test_no_flush_is_missing(site: Site, name: str, scenario: str) -> None:
    """The TLB oracle has nothing to say against them."""
    path = str(ROOT / "examples" / "scenarios" / f"{scenario}.scn")
    assert "0 violations" in site.mmarch("run", "--arch", name, path, "--sanitize")


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_flush_is_missing_in_the_trace(site: Site, name: str) -> None:
    """Nor of a real program."""
    assert "0 violations" in site.mmarch("run", "--arch", name, "--sanitize")
