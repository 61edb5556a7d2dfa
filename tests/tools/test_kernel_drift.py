"""tools/kernel_drift.py on kernels so small that one can see what must come out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.trees import NEW, OLD, TWIN, plant
from tools import kernel_drift
from tools.kernel_source import Tree, definitions, without_comments


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    """The root of a project that follows these kernels."""
    return plant(tmp_path / "twin", TWIN)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A kernel."""
    return plant(tmp_path / "old", OLD)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """What became of it."""
    return plant(tmp_path / "new", NEW)


def section(text: str, title: str) -> list[str]:
    """The rows of a paragraph, the wrapped ones as one; its number has to be theirs."""
    for block in text.split("\n\n"):
        lines = block.replace("\n    ", "  ").splitlines()
        heading = " ".join(line for line in lines if line[0] != " ")
        if heading.startswith(title):
            rows = [line.strip() for line in lines if line[0] == " "]
            assert heading.endswith(f": {len(rows) or 'none'}")
            return rows
    raise AssertionError(f"no {title} in\n{text}")


def test_two_kernels(twin: Path, old: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind of difference, worst first; nothing that we name is missing from both, so the code is 0."""
    assert kernel_drift.main([str(new), str(old)], twin) == 0
    out = capsys.readouterr().out
    assert out.startswith("7.3.2 has 3 hooks, core_mm/hookspecs.py 4\n")
    assert section(out, "hooks new since 6.12.1") == ["turn_ptes: two"]
    assert section(out, "renamed since") == ["drop_not_present_ptes -> drop_nonpresent_ptes: nobody"]
    assert section(out, "without a default since") == ["begin_late_mode: one"]
    assert section(out, "gone since") == ["nobody_wants: nobody"]
    assert section(out, "hooks of 7.3.2 that hookspecs.py has not, and who") == [
        "pte_twin: one",
        "turn_ptes: two",
    ]
    assert section(out, "hooks of 7.3.2 that hookspecs.py has not, and nobody") == []
    assert section(out, "hooks of hookspecs.py that are not in") == []
    assert section(out, "of 6 functions that we follow, gone") == [
        "mm/walk.c:left_behind  core_mm/walk.py:old"
    ]
    assert section(out, "of 6 functions that we follow, new") == ["mm/walk.c:brand_new  core_mm/walk.py:new"]
    # in either tree one of stroll's 3 statements (head and end are one each), one of walk's 4
    assert section(out, "of 6 functions that we follow, changed") == [
        "33% +1   -1   mm/walk.c:stroll  core_mm/walk.py",
        "25% +1   -1   mm/walk.c:walk  core_mm/walk.py",
    ]
    assert max(map(len, out.splitlines())) <= 80


def test_one_kernel(twin: Path, new: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without another to compare it with: what it has and has not; a function and a hook that are gone are named."""
    assert kernel_drift.main([str(new)], twin) == 1
    out = capsys.readouterr().out
    assert section(out, "hooks of hookspecs.py that are not in 7.3.2") == ["drop"]
    assert section(out, "functions and files that docstrings name and that are not in 7.3.2") == [
        "mm/walk.c:left_behind  core_mm/walk.py:old"
    ]
    assert "changed" not in out
    assert "since" not in out


def test_a_name_that_no_kernel_has(
    twin: Path, old: Path, new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A docstring that names a function or a file that is in neither tree is wrong, and the exit code says so."""
    plant(twin, {"core_mm/wrong.py": '"""As in mm/walk.c: walk_away, walk_off, and mm/none.c."""\n'})
    assert kernel_drift.main([str(new), str(old)], twin) == 1
    missing = section(capsys.readouterr().out, "functions and files that docstrings name")
    assert missing == [
        "mm/none.c  core_mm/wrong.py", "mm/walk.c:walk_away  core_mm/wrong.py",
        "mm/walk.c:walk_off  core_mm/wrong.py",
    ]  # fmt: skip


def test_no_kernel(twin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another directory is named, and what is looked for in it."""
    assert kernel_drift.main([str(tmp_path)], twin) == 2
    err = capsys.readouterr().err
    assert err == (
        f"kernel_drift: {tmp_path} has no include/linux/pgtable.h: give the top of an unpacked kernel tree\n"
    )


def test_the_command(old: Path, new: Path) -> None:
    """As it is called: on this project, from any directory. These kernels lack nearly all that we follow."""
    script = Path(kernel_drift.__file__)
    ran = subprocess.run(
        [sys.executable, str(script), str(new), str(old)], cwd=old, capture_output=True, text=True
    )
    assert ran.returncode == 1, ran.stderr
    assert "mm/rmap.c:try_to_unmap  core_mm/unmap.py" in ran.stdout.replace("\n   ", "")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("int f(int a)\n{\n\treturn a;\n}\n", ["f"]),
        ("static __always_inline int\nf(int (*g)(int))\n{\n}\n", ["f"]),
        ("__printf(1, 2) void f(const char *s)\n{\n}\n", ["f"]),
        ("void f(void) __must_hold(lock) {}\n", ["f"]),
        ("#define f(a) \\\n\tg(a)\n#define g h\n#define h h\n#define N 3\n", ["f", "g"]),
        ("extern int f(void);\n", ["f"]),
        ("static const struct ops o = {\n\t.f = g(1),\n};\nint f(void)\n{\n}\n", ["f"]),
        ("struct s {\n\tint (*f)(void);\n};\n", []),
        ("typedef int (*f)(void);\n", []),
        ('char *s = "/* int f(void) { */";\nint g(void) { return 0; }\n', ["g"]),
        ("int f(void)\n#ifdef A\n{\n}\n#endif\n", ["f"]),
    ],
)
def test_definitions(text: str, names: list[str]) -> None:
    """What kernel style lets one find without a compiler."""
    assert [name for _, name, _ in definitions(without_comments(text))] == names


def test_a_damaged_tree(tmp_path: Path) -> None:
    """Bytes that are no text, braces that never close, an end without a beginning: what there is, is read."""
    plant(tmp_path, {"include/linux/pgtable.h": "#endif\n#ifndef f\nint f(void)\n{\n"})
    (tmp_path / "Makefile").write_bytes(b"\xff\xfe VERSION\n")
    tree = Tree(tmp_path)
    assert tree.name == tmp_path.name
    assert list(tree.hooks) == ["f"]
