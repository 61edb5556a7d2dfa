"""Write the beginnings of a plugin: a distribution that installs, loads and has its tests."""

from __future__ import annotations

import keyword
import os
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import mmarch
from mmarch.errors import InputError
from mmarch.plugins import find_archs
from mmarch.writing import cannot_write, new_folder

TEMPLATE = "data/arch_template"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def new_arch(name: str, output: Path | None = None) -> tuple[Path, list[Path]]:
    """Write a plugin for the architecture `name` to `output`, by default ``mmarch-NAME`` here.

    Returns the folder and the files in it, relative. InputError if the name will not do or the
    folder has something in it; then nothing is written.
    """
    check_name(name)
    words = {
        "name": name,
        "package": f"mmarch_{name}",
        "distribution": f"mmarch-{name.replace('_', '-')}",
        "version": ".".join(mmarch.__version__.split(".")[:2]),
    }
    folder = Path(words["distribution"]) if output is None else output
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder} is there already; choose another folder with --output, or remove it")
    files = _fill(resources.files("mmarch") / TEMPLATE, Path(), words)
    _write(folder, files)
    return folder, sorted(files)


def check_name(name: str) -> None:
    """InputError unless `name` can be an architecture's and part of a package's."""
    if not _NAME.fullmatch(name) or name.endswith("_") or "__" in name or keyword.iskeyword(name):
        raise InputError(
            f"{name!r} is no name for an architecture; begin with a lower-case letter and go on with up to 39 "
            "lower-case letters, digits and single underscores, such as sparc64"
        )
    if taken := find_archs().get(name):
        raise InputError(
            f"an architecture {name!r} is installed already ({taken[0].origin}); choose another name"
        )


def _fill(folder: Traversable, at: Path, words: dict[str, str]) -> dict[Path, str]:
    """Files of a template folder: ``dot-x`` is ``.x``, ``__package__`` the package, ``.txt`` is dropped."""
    files: dict[Path, str] = {}
    for item in folder.iterdir():
        name = item.name.replace("__package__", words["package"])
        name = "." + name.removeprefix("dot-") if name.startswith("dot-") else name
        if item.is_dir():
            files |= _fill(item, at / name, words)
        elif name.endswith(".txt"):
            text = item.read_text(encoding="utf-8")
            files[at / name.removesuffix(".txt")] = Template(text).substitute(words)
    return files


def _write(folder: Path, files: dict[Path, str]) -> None:
    """All files or none."""
    try:
        with new_folder(folder) as staging:
            for path, text in files.items():
                (staging / path).parent.mkdir(parents=True, exist_ok=True)
                (staging / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(folder, error) from error
