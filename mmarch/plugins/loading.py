"""Import one architecture and make sure that it is what it claims to be (MM001, MM002, MM003)."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from operator import is_
from pathlib import Path
from types import FunctionType, ModuleType

from pydantic import ValidationError

from core_mm.descriptor import ArchDescriptor
from core_mm.hookspecs import API_VERSION
from mmarch.engine.hookimpls import implementations
from mmarch.errors import PluginError
from mmarch.plugins.checking import check
from mmarch.plugins.finding import Found, find_arch
from mmarch.plugins.problem import Problem
from mmarch.verbose import say


@dataclass(frozen=True)
class LoadedArch:
    """An architecture that passed every check: its descriptor and its hooks."""

    found: Found
    descriptor: ArchDescriptor
    hooks: Mapping[str, FunctionType]


_sound: dict[int, tuple[ArchDescriptor, list[ModuleType]]] = {}  # each kept, so that no other gets its id


def load_arch(name: str) -> LoadedArch:
    """Find, import and check the architecture called `name`."""
    return load(find_arch(name))


def load(found: Found) -> LoadedArch:
    """Import and check what an entry point offers; PluginError names what is wrong with it."""
    value: object = _import(found, found.entry.module)
    for part in found.entry.attr.split(".") if found.entry.attr else ():
        value = getattr(value, part, None)
    descriptor = _descriptor(found, value)
    modules = [_import(found, name) for name in descriptor.modules]
    _check(found, descriptor, modules)
    say(f"read: {_subject(found)}, {len(modules)} modules of {found.entry.module}")
    return LoadedArch(found, descriptor, implementations(descriptor))


def _check(found: Found, descriptor: ArchDescriptor, modules: list[ModuleType]) -> None:
    """PluginError for what is wrong; of what was sound once, nothing is looked at again."""
    known = _sound.get(id(descriptor))
    if known and known[0] is descriptor and all(map(is_, known[1], modules)):
        return
    problems = check(descriptor, modules)
    if problems:
        raise _error(found, problems)
    _sound[id(descriptor)] = descriptor, modules


def _error(found: Found, problems: list[Problem]) -> PluginError:
    first, *others = problems
    more = "".join(f"\n{other.code}: {other.text}" for other in others)
    return PluginError(first.code, f"{_subject(found)}: {first.text}{more}")


def _subject(found: Found) -> str:
    return f"arch {found.name!r} ({found.distribution} {found.version})"


def _descriptor(found: Found, value: object) -> ArchDescriptor:
    point = f"entry point {found.name} = {found.entry.value}"
    if not isinstance(value, ArchDescriptor):
        shown = "nothing" if value is None else f"{type(value).__name__} {value!r:.60}"
        raise PluginError(
            "MM002", f"{_subject(found)}: {point} is {shown}; expected a core_mm.descriptor.ArchDescriptor"
        )
    if value.api_version != API_VERSION:
        remedy = "upgrade mmarch" if value.api_version > API_VERSION else f"upgrade {found.distribution}"
        both = f"was written for api {value.api_version}, this mmarch has api {API_VERSION}"
        raise PluginError("MM003", f"{_subject(found)} {both}; {remedy}")
    if value.name != found.name:
        text = f"{point} describes {value.name!r}; the names have to agree"
        raise PluginError("MM002", f"{_subject(found)}: {text}")
    return value


def _import(found: Found, name: str) -> ModuleType:
    """A module of the plugin; whatever its import raises is the plugin's fault."""
    try:
        return importlib.import_module(name)
    except ValidationError as error:
        text = f"{_invalid(error)} ({_last_frame(error, name)})"
        raise PluginError("MM002", f"{_subject(found)}: {text}") from error
    except (Exception, SystemExit) as error:
        cause = f"{type(error).__name__}: {error}"
        raise PluginError(
            "MM001",
            f"{_subject(found)}: entry point {found.name} = {found.entry.value}: "
            f"import of {name} failed: {cause} ({_last_frame(error, name)})",
        ) from error


def _invalid(error: ValidationError) -> str:
    """Every field that does not validate, on one line."""
    fields = [
        f"{'.'.join(map(str, item['loc'])) or 'as a whole'}: {item['msg']}"
        for item in error.errors(include_url=False)
    ]
    return f"invalid {error.title}: {'; '.join(fields)}"


def _last_frame(error: BaseException, module: str) -> str:
    """`file:line` of the deepest frame in the plugin's own package, else where its import was asked for."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    package = sys.modules.get(module.partition(".")[0])
    roots = [str(Path(path)) for path in getattr(package, "__path__", [])]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        stem = Path(frame.filename).stem
        if stem == module or any(frame.filename.startswith(root + "/") for root in roots):
            return f"{frame.filename}:{frame.lineno}"
    return "no frame in its own code"
