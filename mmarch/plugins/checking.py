"""What pluggy accepts in silence and must not pass: MM002, MM004 to MM010."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from core_mm import hookspecs
from core_mm.decl import Scalars
from core_mm.descriptor import CAPABILITIES, ArchDescriptor
from mmarch.engine.hookimpls import IMPL_MARK, parameters, where
from mmarch.suggest import did_you_mean

SPEC_MARK = "mmarch_spec"
_OPTIONS = ("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast", "specname")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a plugin; `text` starts with where."""

    code: str
    text: str


def check(arch: ArchDescriptor, modules: Sequence[ModuleType]) -> list[Problem]:
    """Everything that is wrong with the architecture in `modules`, in the order of the source."""
    found = [problem for module in modules for problem in _check_module(arch, module)]
    return [*found, *_twice(modules), *_names(arch), *_missing(arch, modules), *_cpus(arch)]


def marked(value: object) -> bool:
    """Whether @hookimpl was applied to `value`, whatever it is."""
    try:
        return inspect.getattr_static(value, IMPL_MARK, None) is not None or hasattr(value, IMPL_MARK)
    except Exception:  # an object of theirs may raise anything
        return False


def _check_module(arch: ArchDescriptor, module: ModuleType) -> Iterator[Problem]:
    for name, value in list(vars(module).items()):
        if isinstance(value, ModuleType):
            continue
        if isinstance(value, FunctionType):
            yield from _check_function(arch, module, name, value)
        elif marked(value):
            yield Problem("MM007", _not_a_function(module, name, value))


def _check_function(
    arch: ArchDescriptor, module: ModuleType, name: str, function: FunctionType
) -> Iterator[Problem]:
    own = function.__module__ == module.__name__
    if not marked(function):
        if own and name in hookspecs.HOOKS:
            text = (
                f"{where(function)}: {name} is named like a hook but not marked; add @hookimpl or rename it"
            )
            yield Problem("MM006", text)
    elif own:
        yield from _check_hook(function)
    elif function.__module__ not in arch.modules and _of_package(arch, function.__module__):
        yield Problem(
            "MM002",
            f"{where(function)}: hook {name} is in module {function.__module__}, which the descriptor's "
            f"modules omit; add it to them",
        )


def _of_package(arch: ArchDescriptor, module: str) -> bool:
    packages = {name.rpartition(".")[0] or name for name in arch.modules}
    return any(module == package or module.startswith(package + ".") for package in packages)


def _not_a_function(module: ModuleType, name: str, value: object) -> str:
    inside = [getattr(value, name, None) for name in ("py_func", "__wrapped__", "func")]
    inner = next((item for item in inside if isinstance(item, FunctionType)), None)
    place = where(inner) if inner else str(module.__file__)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return (
        f"{place}: {name} is marked @hookimpl but is a {kind}, not a plain function; "
        f"mmarch links hooks itself: remove the decorator (such as @njit)"
    )


def _check_hook(function: FunctionType) -> Iterator[Problem]:
    place, name = where(function), function.__name__
    options: dict[str, Any] = getattr(function, IMPL_MARK)
    used = [option for option in _OPTIONS if options.get(option)]
    if name == "<lambda>" or inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        text = f"{place}: {name} is marked @hookimpl but is no plain function; write it with def"
        yield Problem("MM007", text)
    elif used:
        text = f"{place}: {name}: @hookimpl({used[0]}=…) is for observers; an architecture's hook is plain"
        yield Problem("MM007", text)
    elif name not in hookspecs.HOOKS:
        yield Problem("MM004", f"{place}: {name} is no hook.{did_you_mean(name, hookspecs.HOOKS)}")
    elif odd := _odd_parameters(function):
        yield Problem(
            "MM008",
            f"{place}: {name} has {odd}; core-mm passes every argument, and pluggy 1.6 and 1.7 disagree on "
            f"defaults: use plain positional parameters",
        )
    elif parameters(function) != (expected := parameters(getattr(hookspecs, name))):
        yield Problem(
            "MM005",
            f"{place}: {name} differs from its hookspec\n"
            f"    hook:   {name}({', '.join(expected)})\n"
            f"    plugin: {name}({', '.join(parameters(function))})",
        )


def _odd_parameters(function: FunctionType) -> str:
    code = function.__code__
    if function.__defaults__ or function.__kwdefaults__:
        return "default values"
    if code.co_kwonlyargcount:
        return "keyword-only parameters"
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        return "*args or **kwargs"
    return "positional-only parameters" if code.co_posonlyargcount else ""


def _hooks(modules: Sequence[ModuleType]) -> Iterator[FunctionType]:
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, FunctionType) and marked(value) and value.__module__ == module.__name__:
                yield value


def _twice(modules: Sequence[ModuleType]) -> Iterator[Problem]:
    seen: dict[str, FunctionType] = {}
    for function in _hooks(modules):
        first = seen.setdefault(function.__name__, function)
        if first is not function:
            text = f"{where(function)}: hook {function.__name__} is also at {where(first)}; keep one"
            yield Problem("MM009", text)


def _names(arch: ArchDescriptor) -> Iterator[Problem]:
    for name in arch.required:
        if name not in hookspecs.HOOKS:
            near = did_you_mean(name, hookspecs.HOOKS)
            yield Problem("MM004", f"the descriptor requires {name!r}, which is no hook.{near}")
    for name in sorted(arch.capabilities - CAPABILITIES.keys()):
        near = did_you_mean(name, CAPABILITIES)
        yield Problem("MM010", f"the descriptor claims an unknown capability {name!r}.{near}")


def _missing(arch: ArchDescriptor, modules: Sequence[ModuleType]) -> Iterator[Problem]:
    present = {function.__name__ for function in _hooks(modules)}
    for name, reason in arch.required.items():
        if name in hookspecs.HOOKS and name not in present:
            yield Problem("MM010", f"hook {name} is required ({reason}) but not implemented")
    for capability in sorted(arch.capabilities & CAPABILITIES.keys()):
        for name in CAPABILITIES[capability]:
            if name not in present and name not in arch.required:
                yield Problem(
                    "MM010",
                    f"capability {capability!r} needs hook {name}, which is not implemented "
                    f"(docs/reference/error-codes.md)",
                )


def _cpus(arch: ArchDescriptor) -> Iterator[Problem]:
    known = _scalar_names(arch)
    if known is None:
        text = f"cpu_scalars {arch.cpu_scalars!r} is no Scalars class in the plugin's modules"
        yield Problem("MM002", text)
        return
    for cpu, model in arch.cpus.items():
        for feature in sorted(set(model.features) - set(known)):
            text = f"cpu {cpu!r} sets {feature!r}, which {arch.cpu_scalars or 'cpu_scalars'} lacks."
            yield Problem("MM002", text + did_you_mean(feature, known))


def _scalar_names(arch: ArchDescriptor) -> tuple[str, ...] | None:
    """Names that CPU models may set; None if the class is not there."""
    if not arch.cpu_scalars:
        return ()
    for name in [name for name in sys.modules if _of_package(arch, name)]:
        value = getattr(sys.modules[name], arch.cpu_scalars, None)
        if isinstance(value, type) and issubclass(value, Scalars):
            return value.names
    return None
