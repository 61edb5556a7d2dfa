"""Where an answer goes: files are replaced whole, everything else is written through, closed pipes end quietly."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mmarch.errors import InputError
from mmarch.writing import check, writing

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.is_char_device(), reason="this machine has no /dev/full")


def put(path: Path | str, text: str = "new\n") -> None:
    """Write `text` as every command does."""
    with writing(path) as file:
        file.write(text.encode())


def command(*arguments: str | Path, **how: object) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    words = [sys.executable, "-m", "mmarch", *map(str, arguments)]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True, **how)  # type: ignore[call-overload, no-any-return]


def test_a_file_keeps_its_mode_and_owner(tmp_path: Path) -> None:
    """What is replaced looks as before to others; a new file follows the umask."""
    path = tmp_path / "kept"
    path.write_text("old")
    path.chmod(0o640)
    owner = (1, 1) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(path, *owner)
    put(path)
    now = path.stat()
    assert (path.read_text(), stat.S_IMODE(now.st_mode), (now.st_uid, now.st_gid)) == ("new\n", 0o640, owner)
    before = os.umask(0o027)
    try:
        put(tmp_path / "fresh")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


def test_links_stay(tmp_path: Path) -> None:
    """The target of a symbolic link is written, also one that is not there yet; a second name stays one."""
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    link.symlink_to(target)
    for text in ("one\n", "two\n"):
        put(link, text)
        assert link.is_symlink()
        assert target.read_text() == text
    os.link(target, tmp_path / "second")
    put(target, "three\n")
    assert (tmp_path / "second").read_text() == "three\n"


def test_nothing_half_written(tmp_path: Path) -> None:
    """After an error the file is as before, and nothing lies beside it."""
    path = tmp_path / "kept"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), writing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("kept", "old")]


def test_a_fifo_gets_the_answer(tmp_path: Path) -> None:
    """It is written into, not replaced."""
    fifo, got = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_text()))
    reader.start()
    check(fifo)
    put(fifo)
    reader.join()
    assert got == ["new\n"]
    assert fifo.is_fifo()


@needs_full
def test_a_device_stays_one() -> None:
    """What the kernel says of it is the message."""
    with pytest.raises(InputError, match="cannot write /dev/full: No space left on device"):
        put(FULL)
    put("/dev/null")
    assert FULL.is_char_device()
    assert Path("/dev/null").is_char_device()


def test_dev_stdout_is_the_open_file(tmp_path: Path) -> None:
    """`-o /dev/stdout` goes on where the shell's redirection is."""
    path = tmp_path / "all"
    with path.open("w") as out:
        out.write("before\n")
        out.flush()
        made = command("costs", "list", "-o", "/dev/stdout", stdout=out)
        assert made.communicate() == (None, "")
        out.seek(0, os.SEEK_END)
        out.write("after\n")
    lines = path.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert len(lines) > 2


@pytest.mark.parametrize(
    "words", [["run"], ["compare"], ["ablate"], ["validate"], ["check", "arm64"], ["arch", "list"], ["costs", "list"],
              ["record"], ["measure", "--kernel", "no-such-kernel", "x.scn"]],
)  # fmt: skip
def test_every_command_looks_first(mmarch, tmp_path: Path, words: list[str]) -> None:
    """A place that cannot be written to is told before any work."""
    missing = tmp_path / "missing" / "x"
    ran = mmarch(*words, "-o", missing, *(["true"] if words == ["record"] else []))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"mmarch: cannot write {missing}: there is no directory {missing.parent}\n"
    assert mmarch(*words, "-o", tmp_path, *(["true"] if words == ["record"] else [])).code == 2


@needs_full
@pytest.mark.parametrize("words", [["costs", "list"], ["--help"], ["--version"], ["run", "--help"]])
def test_a_full_stdout(words: list[str]) -> None:
    """One message and the code of what cannot be written."""
    with FULL.open("w") as full:
        made = command(*words, stdout=full)
        assert made.communicate()[1] == "mmarch: cannot write stdout: No space left on device\n"
    assert made.returncode == 2


@pytest.mark.parametrize(
    "words", [["costs", "list"], ["--help"], ["--version"], ["costs", "list", "-o", "/dev/stdout"]]
)
def test_a_closed_pipe(words: list[str]) -> None:
    """It ends as other programs do, by SIGPIPE, quietly; a shell sees 141."""
    reader, writer = os.pipe()
    os.close(reader)
    made = command(*words, stdout=writer)
    os.close(writer)
    assert made.communicate()[1] == ""
    assert made.returncode == -signal.SIGPIPE
