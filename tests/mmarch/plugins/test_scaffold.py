"""`mmarch arch new`: what it writes installs, loads and passes its own tests."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from mmarch.errors import InputError
from mmarch.plugins.scaffold import new_arch
from tests.mmarch.conftest import Ran
from tests.support.site import Site

FILES = {
    ".github/workflows/ci.yml", ".gitignore", "README.md", "pyproject.toml",
    "src/mmarch_sparc64_sun4v/__init__.py", "src/mmarch_sparc64_sun4v/mmu.py",
    "src/mmarch_sparc64_sun4v/pte.py", "src/mmarch_sparc64_sun4v/py.typed",
    "src/mmarch_sparc64_sun4v/tlb.py", "tests/conftest.py", "tests/test_pte.py", "tests/test_tlb.py",
}  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A plugin called sparc64_sun4v."""
    return new_arch("sparc64_sun4v", tmp_path / "new")[0]


def test_the_files(made: Path) -> None:
    """Exactly these, each with the name filled in and nothing left to fill in."""
    written = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert written == FILES
    texts = {path: path.read_text(encoding="utf-8") for path in made.rglob("*") if path.is_file()}
    assert not [path for path, text in texts.items() if "$" in text.replace("${{ matrix", "")]
    project = tomllib.loads(texts[made / "pyproject.toml"])["project"]
    assert project["name"] == "mmarch-sparc64-sun4v"
    assert project["entry-points"] == {"mmarch.arch": {"sparc64_sun4v": "mmarch_sparc64_sun4v:arch"}}
    assert "mmarch check sparc64_sun4v" in texts[made / ".github/workflows/ci.yml"]
    assert [path.name for path in made.parent.iterdir()] == ["new"]


def test_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mmarch-NAME, where one is; the answer lists the files."""
    monkeypatch.chdir(tmp_path)
    folder, files = new_arch("toy")
    assert folder == Path("mmarch-toy")
    assert all((folder / path).is_file() for path in files)


@pytest.mark.parametrize(
    "name", ["", "Toy", "9p", "a-b", "a b", "../x", "x" * 41, "class", "a__b", "a_", "é", "toy\n"]
)
def test_names_that_will_not_do(tmp_path: Path, name: str) -> None:
    """They are refused with an example of one that will, and nothing is written."""
    with pytest.raises(InputError, match="sparc64"):
        new_arch(name, tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    """The architecture that has it is named."""
    with pytest.raises(InputError, match=r"'arm64' is installed already \(mmarch .*arches\.arm64"):
        new_arch("arm64", tmp_path / "new")


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    """A file, a folder with something in it, a dangling link: refused and left as they were."""
    target = tmp_path / "new"
    if kind == "file":
        target.write_text("mine")
    elif kind == "folder":
        target.mkdir()
        (target / "notes").write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="there already"):
        new_arch("toy", target)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    """As after `git init` of nothing: there is nothing to overwrite."""
    (tmp_path / "new").mkdir()
    assert (new_arch("toy", tmp_path / "new")[0] / "pyproject.toml").exists()


def test_an_empty_folder_keeps_its_mode(tmp_path: Path) -> None:
    """Behind a symbolic link, which stays."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir(mode=0o700)
    link.symlink_to(real)
    new_arch("sparc64", link)
    assert link.is_symlink()
    assert (real / "pyproject.toml").is_file()
    assert real.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names it; nothing is left behind."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        new_arch("toy", tmp_path / "file" / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
def test_it_installs_loads_and_tests_itself(made: Path, tmp_path: Path) -> None:
    """pip installs it, the loader accepts it, its tests and the first tiers of the suite pass."""
    site = Site(tmp_path / "site")
    site.install(made)
    assert "sparc64_sun4v" in site.mmarch("arch", "list")
    assert "mmarch_sparc64_sun4v/tlb.py" in site.mmarch("arch", "show", "sparc64_sun4v")
    assert "5 passed" in site.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=made)
    assert "NOT OK" not in site.mmarch(
        "check", "sparc64_sun4v", "--only", "load", "--only", "smoke", "--level", "all"
    )


def test_what_comes_next(mmarch: Callable[..., Ran], tmp_path: Path) -> None:
    """The files are the answer; the line after them is a command that works from where one is."""
    ran = mmarch("arch", "new", "toy", "-o", tmp_path / "a b")
    assert str(tmp_path / "a b" / "pyproject.toml") in ran.out.splitlines()
    assert ran.err == f"Next: cd '{tmp_path}/a b' && pip install -e '.[test]' && pytest && mmarch check toy\n"
