"""Load one series, from a file or from an entry point; whatever is wrong with it has a code."""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType

from core_mm import releases
from core_mm.feature import Feature
from core_mm.hookspecs import API_VERSION
from core_mm.series import Series
from mmarch.engine.changes import Changes
from mmarch.engine.hookimpls import where
from mmarch.engine.program import TEXT
from mmarch.errors import PluginError
from mmarch.plugins.finding import Found
from mmarch.plugins.problem import Problem
from mmarch.plugins.series.checking import changes, find_function, targets
from mmarch.plugins.series.digest import digest
from mmarch.plugins.series.digest import text as tree_text
from mmarch.plugins.series.finding import find_series, is_path
from mmarch.plugins.series.trial import read_text, try_import
from mmarch.suggest import unknown
from mmarch.verbose import say

DESCRIPTOR = "series"


@dataclass(frozen=True)
class Stale:
    """A replacement whose original is not what it was written for; `had` is "" if it says nothing of that."""

    name: str
    had: str
    now: str
    original: FunctionType
    replacement: FunctionType


@dataclass(frozen=True)
class LoadedSeries:
    """A series that passed every check.

    origin  "file", or the distribution with its version
    place   file with its descriptor
    digest  of its sources
    stale   replacements to look at again
    """

    descriptor: Series
    origin: str
    place: str
    digest: str
    changes: Changes
    stale: tuple[Stale, ...] = ()

    @property
    def name(self) -> str:
        """What results call it."""
        return self.descriptor.name

    def remarks(self) -> list[str]:
        """A warning for each replacement whose original has changed, with both as a diff."""
        return [text for stale in self.stale for text in _remark(self, stale)]

    @property
    def feature(self) -> Feature:
        """As a feature that no release has."""
        found = self.descriptor
        source = found.link or self.origin
        return Feature(found.name, found.title, "", source, requires=found.requires, excludes=found.excludes)


def load_series(name: str) -> LoadedSeries:
    """The series of that name, or in that file; PluginError says what is wrong with it."""
    return _load_file(Path(name)) if is_path(name) else _load_installed(name)


def _load_file(path: Path) -> LoadedSeries:
    source = read_text(path)
    _has_descriptor(path, source)
    what = hashlib.sha256(source.encode()).hexdigest()
    name = f"mmarch_series_{what[:16]}"
    if name not in sys.modules or vars(sys.modules[name]).get("__file__") != str(path):
        try_import(str(path), "file", name, str(path), source)
        sys.modules[name] = _module(name, path, source)
    return _checked(str(path), "file", str(path), [sys.modules[name]])


def _has_descriptor(path: Path, text: str) -> None:
    """MM014 for what cannot be a series, before anything of it is executed."""
    try:
        body = ast.parse(text, str(path)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise PluginError("MM014", f"{path}{line}: no series: not Python ({error.args[0]})") from None
    names = (target for node in body if isinstance(node, ast.Assign) for target in node.targets)
    if not any(isinstance(target, ast.Name) and target.id == DESCRIPTOR for target in names):
        raise PluginError(
            "MM014", f"{path}: no series: nothing in it is called {DESCRIPTOR!r}; see 'mmarch series new'"
        )


def _module(name: str, path: Path, text: str) -> ModuleType:
    """What the text defines; it was tried out before."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    vars(module)[TEXT] = text
    sys.modules[name] = module
    try:
        exec(compile(text, str(path), "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _load_installed(name: str) -> LoadedSeries:
    offers = find_series().get(name, [])
    if not offers:
        raise unknown("series", name, find_series(), "See 'mmarch series list'; a file's name ends in .py.")
    if len(offers) > 1:
        both = " and ".join(offer.origin for offer in offers)
        raise PluginError("MM022", f"series {name!r} is offered by {both}; uninstall one of them")
    found = offers[0]
    what = f"series {name!r} ({found.distribution} {found.version})"
    module = _import(what, found.entry.module)
    value = getattr(module, found.entry.attr or DESCRIPTOR, None)
    series = _descriptor(what, value)
    if series.name != name:
        text = f"entry point {name} = {found.entry.value} describes {series.name!r}; the names have to agree"
        raise PluginError("MM014", f"{what}: {text}")
    modules = [module, *(_import(what, other) for other in series.modules if other != module.__name__)]
    return _checked(what, _origin(found), str(module.__file__), modules, found.entry.attr)


def _origin(found: Found) -> str:
    return f"{found.distribution} {found.version}"


def _import(what: str, name: str) -> ModuleType:
    if name not in sys.modules:
        try_import(what, "module", name, "", "")
    return importlib.import_module(name)


def _descriptor(what: str, value: object) -> Series:
    if not isinstance(value, Series):
        shown = "nothing" if value is None else f"{type(value).__name__} {value!r:.60}"
        raise PluginError(
            "MM014", f"{what}: no series: {DESCRIPTOR!r} is {shown}, not a core_mm.series.Series"
        )
    if value.api_version != API_VERSION:
        text = f"was written for api {value.api_version} of the hooks, this mmarch has api {API_VERSION}"
        raise PluginError("MM014", f"{what}: {text}; upgrade the older one")
    return value


def _checked(
    what: str, origin: str, place: str, modules: Sequence[ModuleType], attribute: str = DESCRIPTOR
) -> LoadedSeries:
    series = _descriptor(what, getattr(modules[0], attribute or DESCRIPTOR, None))
    found, problems = changes(series, modules)
    problems = [*problems, *_releases(series)]
    if problems:
        raise _error(what, problems)
    say(f"read: series {series.name}, {place}")
    return LoadedSeries(series, origin, place, _digest(modules), found, tuple(_stale(modules)))


def _error(what: str, problems: Sequence[Problem]) -> PluginError:
    first, *others = problems
    more = "".join(f"\n{other.code}: {other.text}" for other in others)
    begin = "" if first.text.startswith(what) else f"{what}: "
    return PluginError(first.code, f"{begin}{first.text}{more}")


def _releases(series: Series) -> list[Problem]:
    return [
        Problem("MM021", f"release {name!r} is none of {', '.join(releases.RELEASES)}")
        for name in series.releases
        if name not in releases.RELEASES
    ]


def _digest(modules: Sequence[ModuleType]) -> str:
    texts = [vars(m).get(TEXT) or Path(str(m.__file__)).read_text(encoding="utf-8") for m in modules]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _stale(modules: Sequence[ModuleType]) -> list[Stale]:
    found = [
        Stale(name, had, digest(original), original, function)
        for function, name, had in targets(modules)
        if (original := find_function(name))
    ]
    return [one for one in found if one.had != one.now]


def _remark(series: LoadedSeries, stale: Stale) -> list[str]:
    renew = f"'mmarch series update {series.place if series.origin == 'file' else series.name}'"
    if not stale.had:
        text = f"the replacement of {stale.name} carries no digest of it, so that a change would go unnoticed"
        return [f"series {series.name}: {text}; {renew} adds it"]
    both = ((stale.original, stale.name), (stale.replacement, f"{series.name}, {where(stale.replacement)}"))
    (now, ours), (old, new) = ([tree_text(f).splitlines() for f, _ in both], [name for _, name in both])
    lines = difflib.unified_diff(now, ours, old, new, lineterm="", n=99)
    return [
        f"series {series.name}: {stale.name} has changed since its replacement was written (digest {stale.had}, "
        f"now {stale.now}); bring over what changed, then {renew}. It and the replacement:",
        *lines,
    ]
