"""The head of a recording: what was recorded, on what machine, by what means."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmarch.trace.ftrace_text import FORMAT, FORMAT_KEY
from mmarch.trace.machines import page_size
from mmarch.trace.recording import Wanted

THP = Path("/sys/kernel/mm/transparent_hugepage")
LONGEST = 1000  # characters of arguments
_CHOSEN = re.compile(r"\[(\w+)\]")


def granted(whole: str, sizes: Iterable[tuple[int, str]]) -> str:
    """Huge pages of the system: the text of `enabled` for PMDs, and of each size in KiB that is not refused."""
    mthp = [
        f"{size}K {chosen}" for size, text in sorted(sizes) if (chosen := _chosen(text)) not in ("", "never")
    ]
    return f"{_chosen(whole) or 'none'}; mTHP {', '.join(mthp) or 'none'}"


def _chosen(text: str) -> str:
    match = _CHOSEN.search(text)
    return match[1] if match else ""


def huge_pages(folder: Path = THP) -> str:
    """What this system grants."""
    sizes = [
        (int(re.sub(r"\D", "", path.name)), _text(path / "enabled")) for path in folder.glob("hugepages-*kB")
    ]
    return granted(_text(folder / "enabled"), sizes)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _command(wanted: Wanted) -> Sequence[str]:
    if not wanted.pid:
        return wanted.command
    words = Path(f"/proc/{wanted.pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    return [word for word in words if word] or ["?"]


def a_line(text: str) -> str:
    """Nothing that ends a line, and not too much."""
    line = text.encode("unicode_escape").decode()
    return line if len(line) <= LONGEST else line[:LONGEST] + "..."


def told(command: Sequence[str], with_arguments: bool) -> dict[str, str]:
    """The program, and its arguments unless they are not to be told."""
    program, *arguments = command
    found = {"program": a_line(Path(program).name)}
    if with_arguments and arguments:
        found["arguments"] = a_line(shlex.join(arguments))
    return found


def facts(wanted: Wanted, means: str) -> dict[str, str]:
    """All that is known before it begins."""
    found = {FORMAT_KEY: FORMAT, **told(_command(wanted), wanted.arguments)}
    if wanted.pid:
        found["begun"] = "while it ran; files mapped since are told apart by descriptor and offset"
    off = not (wanted.pid or wanted.huge_pages)
    return found | {
        "recorded by": means,
        "kernel": platform.release(),
        "arch": platform.machine(),
        "page size": f"{page_size()} bytes",
        "CPUs": str(os.cpu_count()),
        "huge pages": "off for the program (PR_SET_THP_DISABLE)" if off else "as the system has them",
        "huge pages of the system": huge_pages(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def head(found: dict[str, str]) -> str:
    """As comments."""
    return "".join(f"# {key}: {value}\n" for key, value in found.items())
