"""What pluggy accepts in silence and must not pass: MM002, MM004 to MM010, MM012, MM013."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from core_mm import hookspecs
from core_mm.cpufeature import CpuFeature
from core_mm.descriptor import CAPABILITIES, ArchDescriptor, Cpu
from mmarch import cpus
from mmarch.engine.hookimpls import IMPL_MARK, parameters, where
from mmarch.plugins.checking_features import check_features
from mmarch.plugins.problem import Problem, of_package
from mmarch.suggest import did_you_mean

SPEC_MARK = "mmarch_spec"
_OPTIONS = ("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast", "specname")


def check(arch: ArchDescriptor, modules: Sequence[ModuleType]) -> list[Problem]:
    """Everything that is wrong with the architecture in `modules`, in the order of the source."""
    found = [problem for module in modules for problem in _check_module(arch, module)]
    return [
        *found,
        *_twice(modules),
        *_names(arch),
        *_missing(arch, modules),
        *_cpus(arch),
        *check_features(arch),
    ]


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
    elif function.__module__ not in arch.modules and of_package(arch, function.__module__):
        yield Problem(
            "MM002",
            f"{where(function)}: hook {name} is in module {function.__module__}, which the descriptor's "
            f"modules omit; add it to them",
        )


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
    """What no spelling on a command line could name, and what models say that cannot be."""
    table = arch.cpu_features
    if arch.cpu_scalars and not any(
        vars(m).get(arch.cpu_scalars.__name__) is arch.cpu_scalars for m in _modules(arch)
    ):
        yield Problem(
            "MM002", f"cpu_scalars {arch.cpu_scalars.__name__!r} is in none of the plugin's modules"
        )
    for name in table.keys() ^ set(arch.cpu_scalars.names if arch.cpu_scalars else ()):
        yield Problem(
            "MM002", f"CPU feature {name!r} says nothing of itself; declare it with cpu_feature() and int"
        )
    for feature in table.values():
        yield from (
            Problem("MM002", f"CPU feature {feature.name!r} {wrong}") for wrong in _wrong(arch, feature)
        )
    for name, model in arch.cpus.items():
        yield from (Problem("MM002", f"cpu {name!r} {wrong}") for wrong in _wrong_model(table, name, model))


def _wrong(arch: ArchDescriptor, feature: CpuFeature) -> Iterator[str]:
    if feature.name.startswith("no"):
        yield "begins with 'no', which switches a feature off; name it for what there is"
    if feature.name in hookspecs.HOOKS:
        yield "bears the name of a hook; choose another"
    for needed in feature.requires:
        if needed not in arch.cpu_features:
            yield f"requires {needed!r}, which is no feature here.{did_you_mean(needed, arch.cpu_features)}"
    if feature.capability and feature.capability not in arch.capabilities:
        yield f"stands for capability {feature.capability!r}, which the descriptor does not claim"


def _wrong_model(table: Mapping[str, CpuFeature], name: str, model: Cpu) -> Iterator[str]:
    if not name or set(name) & set("+,= "):
        yield "has a name with one of '+,= '; these take a command line apart"
    for feature, value in sorted(model.features.items()):
        if feature not in table:
            yield f"sets {feature!r}, which cpu_scalars lacks.{did_you_mean(feature, table)}"
        elif not 0 <= value <= table[feature].most:
            yield f"sets {feature!r} to {value}; it is 0 to {table[feature].most}"
    yield from (f"cannot be: {problem}" for problem in cpus.contradictions(table, model.features))


def _modules(arch: ArchDescriptor) -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if of_package(arch, name)]
