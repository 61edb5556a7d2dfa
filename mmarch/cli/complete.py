"""What a shell is offered behind a word that is not complete."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mmarch.errors import MmarchError

if TYPE_CHECKING:
    from core_mm.descriptor import ArchDescriptor

BASH = "complete_bash"
REQUEST = "_MMARCH_COMPLETE"


def _begin(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def arch(incomplete: str) -> list[str]:
    """Names of installed architectures, from metadata alone."""
    from mmarch.plugins.finding import find_archs

    return _begin(find_archs(), incomplete)


def release(incomplete: str) -> list[str]:
    """Names of releases."""
    from core_mm.releases import RELEASES

    return _begin(RELEASES, incomplete)


def release_or_feature(context: typer.Context, incomplete: str) -> list[str]:
    """Releases, then features of core-mm and the chosen architecture."""
    from mmarch.plugins.features import table

    return release(incomplete) + _begin(table(_descriptor(context)), incomplete)


def kernel(incomplete: str) -> list[str]:
    """Kernels in the cache, then files."""
    from glob import escape, glob

    from mmarch.kernel.debian import downloaded

    files = sorted(glob(escape(incomplete) + "*")) if incomplete else []
    return _begin((package.name for package in downloaded()), incomplete) + files


def means(incomplete: str) -> list[str]:
    """How to record."""
    from mmarch.trace.means.choose import MEANS

    return _begin(MEANS, incomplete)


def form(incomplete: str) -> list[str]:
    """Forms of a report."""
    from mmarch.report.formats import FORMATS

    return _begin(FORMATS, incomplete)


def command(context: typer.Context, incomplete: str) -> list[str]:
    """Commands, or those of the group that was named."""
    found = context.find_root().command
    for word in context.params.get("words") or ():
        found = getattr(found, "commands", {}).get(word, found)
    return _begin(getattr(found, "commands", {}), incomplete)


def cpu(context: typer.Context, incomplete: str) -> list[str]:
    """CPU models of the chosen architecture, and features behind a +."""
    return _values(_descriptor(context), "cpu", incomplete)


def granule(context: typer.Context, incomplete: str) -> list[str]:
    """Page sizes of the chosen architecture."""
    return _values(_descriptor(context), "granule", incomplete)


def costs(context: typer.Context, incomplete: str) -> list[str]:
    """Cost profiles of the chosen architecture."""
    return _begin(_descriptor(context).cost_profiles, incomplete)


def papers(incomplete: str) -> list[str]:
    """Letters that come with mmarch."""
    from mmarch.papers import known

    return _begin(known(), incomplete)


def feature(context: typer.Context, incomplete: str) -> list[str]:
    """Series, features of core-mm and of the chosen architecture, then files with a series."""
    return _values(_descriptor(context), "with", incomplete) + _series_files(incomplete)


def series(incomplete: str) -> list[str]:
    """Those that are installed, then files."""
    from mmarch.plugins.series import find_series

    return _begin(find_series(), incomplete) + _series_files(incomplete)


def function(incomplete: str) -> list[str]:
    """Functions of core-mm, dotted."""
    from mmarch.plugins.series.checking import core_functions

    return _begin(core_functions(), incomplete)


def _series_files(incomplete: str) -> list[str]:
    from glob import escape, glob

    return sorted(glob(escape(incomplete) + "*.py")) if incomplete else []


def without(context: typer.Context, incomplete: str) -> list[str]:
    """Hooks and features."""
    return _values(_descriptor(context), "without", incomplete)


def check(incomplete: str) -> list[str]:
    """Tiers of the conformance suite, and checks."""
    from mmarch.check.registry import TIERS
    from mmarch.check.suite import checks

    return _begin((*TIERS, *(item.id for item in checks())), incomplete)


def workload(incomplete: str) -> list[str]:
    """Names of bundled traces, then files and folders."""
    from glob import escape, glob

    from mmarch.runs.workloads import bundled_traces

    return _begin(bundled_traces(), incomplete) + sorted(glob(escape(incomplete) + "*"))


def scenario(context: typer.Context, incomplete: str) -> list[str]:
    """Scenarios of the files that stand before it."""
    from mmarch.scenario.parse import load

    given = [context.params.get(name) or () for name in ("workload", "workloads", "scenarios")]
    words = [name for names in given for name in ([names] if isinstance(names, str) else names)]
    files = [Path(word) for word in (*words, *context.args)]  # args: parsing ended before a missing value
    try:
        found = [item.name for file in files if file.is_file() for item in load(file).scenarios]
    except MmarchError:
        return []
    return _begin(found, incomplete)


def configuration(context: typer.Context, incomplete: str) -> list[str]:
    """Keys of `-c`, and values of the key that is being written."""
    from mmarch.cli.configurations import KEYS

    before, comma, last = incomplete.rpartition(",")
    key, equals, value = last.partition("=")
    given = dict(item.split("=", 1) for item in before.split(",") if "=" in item)
    if equals:
        names = _values(_descriptor(context, given.get("arch", "")), key.replace("_", "-"), value)
        return [f"{before}{comma}{key}={name}" for name in names]
    return [f"{before}{comma}{name}=" for name in _begin(KEYS, key) if name not in given]


def _values(descriptor: ArchDescriptor, key: str, value: str) -> list[str]:
    """Of one key, also behind a + where it joins several."""
    from core_mm.hookspecs import HOOKS
    from core_mm.releases import RELEASES
    from mmarch.plugins.features import table
    from mmarch.plugins.series import find_series

    before, plus, last = value.rpartition("+")
    if key in ("with", "without"):
        names = [*(HOOKS if key == "without" else find_series()), *table(descriptor)]
    elif key == "cpu" and plus:
        names = [f"{no}{name}" for name in descriptor.cpu_features for no in ("", "no")]
    elif key in ("arch", "kernel"):
        return arch(value) if key == "arch" else kernel(value)
    else:
        of = {"release": RELEASES, "cpu": descriptor.cpus, "granule": descriptor.granules}
        return _begin(of.get(key, ()), value)
    return [f"{before}{plus}{name}" for name in _begin(names, last)]


def _descriptor(context: typer.Context, name: str = "") -> ArchDescriptor:
    from mmarch.plugins import load_arch

    return load_arch(name or context.params.get("arch") or "arm64").descriptor


@contextmanager
def mended() -> Iterator[None]:
    """For bash, which parts words at = and replaces what is behind the last one: join them, cut the answers."""
    asked = os.environ.get("COMP_WORDS", "").split()
    if os.environ.get(REQUEST) != BASH or not any("=" in word for word in asked):
        yield
        return
    at = int(os.environ.get("COMP_CWORD", "0"))
    words = list(_joined(asked[: at + 1]))
    if at >= len(asked) and not words[-1].endswith("="):
        words.append("")
    os.environ.update(COMP_WORDS=shlex.join(words), COMP_CWORD=str(len(words) - 1))
    cut = words[-1].rfind("=") + 1
    answers = io.StringIO()
    try:
        with redirect_stdout(answers):
            yield
    finally:
        print("\n".join(line[cut:] for line in answers.getvalue().splitlines()))


def _joined(words: list[str]) -> Iterator[str]:
    """`-c cpu = neo` as `-c`, `cpu=neo`."""
    word = ""
    for following in words:
        if word and following != "=" and not word.endswith("="):
            yield word
            word = ""
        word += following
    yield word
