"""Series: a good one loads and changes what it says; one that is bad in each way is refused by code and line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from core_mm import unmap
from mmarch.errors import InputError, PluginError
from mmarch.plugins.series import load_series, trial
from mmarch.plugins.series.digest import digest
from mmarch.runs.configure import Choices, Setup, configure
from tests.support.plugins import line_of

HEAD = """
from core_mm.series import Events, Series, hookspec, implements, replaces
series = Series(name="toy", title="a toy")
"""
ORIGINAL = "core_mm.unmap.map_pte"
REPLACES = f"""
@replaces("{ORIGINAL}")
def map_pte(ptep: int) -> int:
    return 1
"""


Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file with a series; its path."""

    def written(body: str, name: str = "toy", head: str = HEAD) -> str:
        path = tmp_path / f"{name}.py"
        path.write_text(head.replace('"toy"', f'"{name}"') + dedent(body))
        return str(path)

    return written


def refused(code: str, path: str, *others: str, release: str = "7.3") -> str:
    """The message with which a run with these series is refused; its line of the first file if it has a mark."""
    with pytest.raises(PluginError) as caught:
        configure(Choices(release=release, with_=(path, *others)))
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    message = str(caught.value)
    assert path in message
    if "#AT" in Path(path).read_text():
        assert f"{path}:{line_of(Path(path), '#AT')}" in message
    return message


def chosen(*with_: str, without: tuple[str, ...] = ()) -> Setup:
    """Of 7.3 with these."""
    return configure(Choices(release="7.3", with_=with_, without=without))


def test_a_file_is_a_series(write: Write) -> None:
    """It stands among the features under its name, and says what runs instead of what."""
    setup = chosen(write(REPLACES), "fault_around_folio")
    assert setup.configuration.with_ == ("toy",)  # a feature that the release has is nothing new
    assert setup.known["toy"].summary == "a toy"
    assert "toy" in setup.features
    (one,) = setup.applied
    assert one.origin == "file"
    assert {old: new.__code__.co_filename for old, new in one.changes.replaced.items()} == {
        unmap.map_pte: one.place
    }


def test_core_mm_is_left_alone(write: Write) -> None:
    """Loading binds nothing: its module is the same, and another run has no series."""
    before = dict(vars(unmap))
    chosen(write(REPLACES))
    assert vars(unmap) == before
    assert chosen().series == ()


def test_a_changed_file_is_another_series(write: Write) -> None:
    """A notebook that edits the file and runs again gets what the file says now, and the old one stays itself."""
    first = load_series(write(REPLACES))
    second = load_series(write(REPLACES.replace("return 1", "return 0")))
    assert first.digest != second.digest
    results = [function(5) for one in (first, second) for function in one.changes.replaced.values()]
    assert results == [1, 0]
    assert [digest(f) for f in first.changes.replaced.values()] != [
        digest(f) for f in second.changes.replaced.values()
    ]


def test_a_setup_without_it_is_the_release(write: Write) -> None:
    """As a feature that is taken away."""
    setup = chosen(write(REPLACES))
    hint = chosen(without=("pte_batch_hint",))
    assert setup.withholding(("toy", "pte_batch_hint")).configuration == hint.configuration
    assert setup.having(setup.features - {"toy"}).configuration == chosen().configuration


# -- what is no series


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# nothing\n", "nothing in it is called 'series'"),
        ("map A 16\nwrite A\n", "not Python"),
        ("series = 5\n", "'series' is int 5, not a core_mm.series.Series"),
        ("series = 1\n" + "(" * 100_000, "not Python"),
    ],
)
def test_mm014_a_file_that_is_no_series(write: Write, text: str, says: str) -> None:
    """What it lacks is said, and a file without a descriptor is not executed."""
    assert says in refused("MM014", write(text, head=""))


def test_mm014_nothing_is_executed(write: Write, tmp_path: Path) -> None:
    """Of a script that was named by mistake."""
    refused("MM014", write(f"open({str(tmp_path / 'trace')!r}, 'w')\n", head=""))
    assert not (tmp_path / "trace").exists()


def test_mm014_no_file(tmp_path: Path) -> None:
    """A path that leads nowhere."""
    with pytest.raises(PluginError, match=r"MM014: .*none\.py: no series: cannot read: No such file"):
        configure(Choices(with_=(str(tmp_path / "none.py"),)))


def test_mm014_too_large(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is read without a limit."""
    monkeypatch.setattr(trial, "LARGEST", 4096)
    assert "larger than 4 KiB" in refused("MM014", write("#" * 5000))


def test_mm014_a_descriptor_of_another_api(write: Write) -> None:
    """Written for hooks that this mmarch does not have."""
    assert "api 99" in refused("MM014", write('series = Series(name="toy", title="a toy", api_version=99)\n'))


@pytest.mark.parametrize(
    "body",
    [
        "x = 1 / 0  #AT",
        "import no_such_module  #AT",
        'series = Series(name="Has Blanks", title="a toy")  #AT',
        "raise SystemExit(3)  #AT",
    ],
)
def test_mm015_raises(write: Write, body: str) -> None:
    """The error and the line in the file."""
    assert "its import failed" in refused("MM015", write(body))


def test_mm015_ends_the_process(write: Write) -> None:
    """Not ours."""
    assert "exit status 7" in refused("MM015", write("import os\nos._exit(7)"))


def test_mm016_hangs(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended after a time."""
    monkeypatch.setattr(trial, "SECONDS", 0.5)
    assert "more than 0.5 s" in refused("MM016", write("while True: pass"))


@pytest.mark.parametrize(
    "body", ["print('hello')", "import os\nos.write(2, b'hello')", "while True: print('hello')"]
)
def test_mm017_prints(
    write: Write, body: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Wherever to; nothing of it reaches our output, and it cannot fill the disk."""
    path = write(body)
    with pytest.raises(PluginError) as caught:
        configure(Choices(with_=(path,)))
    assert caught.value.code in ("MM017", "MM015")  # printing without end is an error at the limit
    assert capfd.readouterr() == ("", "")


# -- what it changes


def test_mm018_no_such_function(write: Write) -> None:
    """The nearest one is named."""
    path = write('@replaces("core_mm.unmap.map_ptes")  #AT\ndef map_ptes(ptep: int) -> int:\n    return 1\n')
    assert "Did you mean 'core_mm.unmap.map_pte'?" in refused("MM018", path)


def test_mm018_no_such_hook(write: Write) -> None:
    """The nearest one is named."""
    path = write('@implements("clear_pte", "arm64")  #AT\ndef f(ptep: int) -> int:\n    return 1\n')
    assert "Did you mean 'clear_ptes'?" in refused("MM018", path)


def test_mm018_a_hook_is_not_replaced(write: Write) -> None:
    """It is implemented, for an architecture."""
    path = write(
        '@replaces("core_mm.hookspecs.pte_none")  #AT\ndef pte_none(pte: int) -> int:\n    return 1\n'
    )
    assert '@implements("pte_none", "ARCH")' in refused("MM018", path)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def map_pte(pte: int) -> int:\n    return 1\n", "core_mm: map_pte(ptep)"),
        ("def map_pte(ptep: int, more: int) -> int:\n    return 1\n", "series:  map_pte(ptep, more)"),
        ("def map_pte(ptep: int) -> tuple[int, int]:\n    return 1, 2\n", "returns 2 values"),
        ("def map_pte(ptep: int) -> int:\n    if ptep:\n        return 1\n", "may end without a result"),
    ],
)
def test_mm019_another_signature(write: Write, body: str, says: str) -> None:
    """Both signatures are shown, or what is returned."""
    assert says in refused("MM019", write(f'@replaces("{ORIGINAL}")  #AT\n{body}'))


def test_mm019_of_an_implementation(write: Write) -> None:
    """The hook's parameters are its contract."""
    path = write('@implements("pte_none", "arm64")  #AT\ndef f(entry: int) -> int:\n    return 1\n')
    assert "pte_none(pte)" in refused("MM019", path)


def test_mm020_two_series_replace_one_function(write: Write) -> None:
    """Both series, and where."""
    first, second = write(REPLACES), write(REPLACES, name="other")
    message = refused("MM020", first, second)
    assert f"{second}:" in message
    assert ORIGINAL in message


def test_mm020_two_series_implement_one_hook(write: Write) -> None:
    """For the same architecture."""
    body = '@implements("pte_batch_hint", "arm64")\ndef f(ptep: int, pte: int) -> int:\n    return 1\n'
    assert "pte_batch_hint for arm64" in refused("MM020", write(body), write(body, name="other"))


def test_mm020_one_series_replaces_it_twice(write: Write) -> None:
    """Both lines."""
    again = REPLACES.replace('")', '")  #AT')
    path = write(f'@replaces("{ORIGINAL}")\ndef one(ptep: int) -> int:\n    return 1\n{again}')
    assert "is replaced here and at" in refused("MM020", path)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ('releases=("7.4",)', "release '7.4' is none of"),
        ('releases=("7.2",)', "applies to Linux 7.2, not to Linux 7.3"),
        ('requires=("file_unmap_batsh",)', "Did you mean 'file_unmap_batch'?"),
        ('requires=("tlb_reserve_space",)', "requires tlb_reserve_space, which Linux 7.3 lacks"),
        ('excludes=("file_unmap_batch",)', "excludes file_unmap_batch, which Linux 7.3 has"),
    ],
)
def test_mm021_does_not_fit(write: Write, fields: str, says: str) -> None:
    """A release that it is not for, a feature that there is not, or that is missing or in the way."""
    path = write(f'series = Series(name="toy", title="a toy", {fields})\n')
    with pytest.raises(PluginError) as caught:
        chosen(path)
    assert caught.value.code == "MM021"
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("file_unmap_batch", "a feature (reclaim unmaps"),
        ("clear_ptes", "a hook"),
        ("contpte_elide_bbml3", "a feature"),
    ],
)
def test_mm022_one_namespace(write: Write, name: str, other: str) -> None:
    """A series that bears the name of a feature or a hook; both are named."""
    message = refused("MM022", write("", name=name))
    assert f"{name!r} is {other}" in message


def test_mm022_two_files_of_one_name(write: Write, tmp_path: Path) -> None:
    """Results could not tell them apart."""
    (tmp_path / "second").mkdir()
    second = tmp_path / "second" / "toy.py"
    first = write("")
    second.write_text(Path(first).read_text() + "x = 1\n")
    assert str(second) in refused("MM022", first, str(second))


def test_mm022_a_hook_of_core_mm_declared_again(write: Write) -> None:
    """The place of the first is named."""
    path = write('@hookspec  #AT\ndef clear_ptes(mm: int) -> int:\n    """Another."""\n    return 0\n')
    assert "core_mm/hookspecs.py:" in refused("MM022", path)


def test_mm022_memory_that_core_mm_declares(write: Write) -> None:
    """The engines would take one for the other."""
    path = write("from core_mm.decl import Scalars\nclass mach(Scalars):\n    mine: int\n")
    assert "mach is declared by core-mm" in refused("MM022", path)


def test_mm022_two_series_declare_one_name(write: Write) -> None:
    """Neither would find its own."""
    body = "from core_mm.decl import Scalars\nclass mine(Scalars):\n    {}: int\n"
    message = refused("MM022", write(body.format("a")), write(body.format("b"), name="other"))
    assert "both declare mine" in message


def test_mm018_an_array_of_no_known_length(write: Write) -> None:
    """Lengths are the machine's to choose."""
    path = write('from core_mm.decl import Array\nmine = Array("mine", "elephants")\n')
    message = refused("MM018", path)
    assert "'elephants'" in message
    assert "frames" in message


def test_mm023_too_many_events(write: Write) -> None:
    """There are 128 columns, of which core-mm has 64 and arm64 the next."""
    names = "".join(f"    e{number}: int\n" for number in range(64))
    path = write(f'class e(Events):\n{names}\nseries = Series(name="toy", title="a toy", events=e)\n')
    with pytest.raises(PluginError, match=r"MM023: series toy declare 64 events; there is room for \d+"):
        chosen(path)


def test_a_misspelt_name_is_bad_input() -> None:
    """Neither feature nor series; the nearest is named."""
    with pytest.raises(InputError, match=r"unknown feature or series 'file_unmap_bach'\. Did you mean"):
        chosen("file_unmap_bach")


# -- digests


def test_a_digest_is_of_what_the_function_does(write: Write) -> None:
    """Not of its docstring, comments and layout."""
    bodies = [
        '@replaces("{0}")\ndef map_pte(ptep: int) -> int:\n    """It."""\n    return ptep + 1\n',
        '@replaces("{0}")\ndef map_pte(ptep: int) -> int:\n    # more\n    return (ptep  +\n    1)\n',
        '@replaces("{0}")\ndef map_pte(ptep: int) -> int:\n    return ptep + 2\n',
    ]
    digests = [
        digest(function)
        for body in bodies
        for function in load_series(write(body.format(ORIGINAL))).changes.replaced.values()
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_changed_original_is_told_with_both(write: Write) -> None:
    """The old digest, the new one, and a diff from the function to its replacement."""
    one = load_series(write(REPLACES.replace(f'"{ORIGINAL}"', f'"{ORIGINAL}", digest="000000000000"')))
    told = one.remarks()
    assert f"{ORIGINAL} has changed since its replacement was written (digest 000000000000, now " in told[0]
    assert (
        "-    return pte_present(ptep_get_lockless(ptep) if feature.map_pte_lockless else ptep_get(ptep))"
        in told
    )
    assert "+    return 1" in told


def test_a_digest_that_agrees_is_not_told(write: Write) -> None:
    """Nothing to look at."""
    now = digest(unmap.map_pte)  # type: ignore[arg-type]
    assert (
        load_series(write(REPLACES.replace(f'"{ORIGINAL}"', f'"{ORIGINAL}", digest="{now}"'))).remarks() == []
    )


def test_modules_of_series_do_not_collide(write: Write) -> None:
    """Each text has a module of its own."""
    before = set(sys.modules)
    load_series(write(REPLACES + "# one\n"))
    load_series(write(REPLACES + "# two\n"))
    assert len({name for name in set(sys.modules) - before if name.startswith("mmarch_series_")}) == 2
