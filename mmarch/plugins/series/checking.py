"""What a loaded series changes, and what is wrong with it: MM018 to MM020, MM022."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from functools import cache
from types import FunctionType, ModuleType

import core_mm
from core_mm import hookspecs
from core_mm.hookmark import hookimpl
from core_mm.series import IMPLEMENTS, REPLACES, Series
from mmarch.engine.changes import Changes
from mmarch.engine.hookimpls import parameters, where
from mmarch.engine.program import NotLinkable, Routine, is_hookspec
from mmarch.engine.returns import missing_return
from mmarch.plugins.problem import Problem
from mmarch.suggest import did_you_mean


def functions(modules: Sequence[ModuleType]) -> Iterator[FunctionType]:
    """Those that the modules themselves define."""
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                yield value


def targets(modules: Sequence[ModuleType]) -> Iterator[tuple[FunctionType, str, str]]:
    """Each replacement, the name of what it replaces, and the digest that it carries."""
    for function in functions(modules):
        if mark := getattr(function, REPLACES, None):
            yield function, *mark


def find_function(name: str) -> FunctionType | None:
    """The function of core-mm of that dotted name."""
    module, _, attribute = name.rpartition(".")
    value = vars(core_modules()[module]).get(attribute) if module in core_modules() else None
    return value if isinstance(value, FunctionType) and value.__module__ == module else None


@cache
def core_modules() -> dict[str, ModuleType]:
    """Core-mm by dotted names."""
    names = [info.name for info in pkgutil.walk_packages(core_mm.__path__, "core_mm.")]
    return {name: importlib.import_module(name) for name in names}


def core_functions() -> list[str]:
    """Dotted names of all functions of core-mm that are no hooks."""
    found = functions(list(core_modules().values()))
    return [f"{f.__module__}.{f.__name__}" for f in found if not is_hookspec(f)]


def changes(series: Series, modules: Sequence[ModuleType]) -> tuple[Changes, list[Problem]]:
    """What the functions in `modules` change, and every problem, in their order."""
    hooks = {f.__name__: f for f in functions(modules) if is_hookspec(f)}
    problems = [*_new_hooks(hooks)]
    replaced: dict[FunctionType, FunctionType] = {}
    for function, name, _ in targets(modules):
        original = find_function(name)
        problem = _replacement(function, name, original, replaced)
        problems += problem
        if original and not problem:
            replaced[original] = function
    implementations: dict[str, dict[str, FunctionType]] = {
        "generic": {n: _default(f) for n, f in hooks.items()}
    }
    for function in functions(modules):
        hook, named = getattr(function, IMPLEMENTS, ("", ()))
        if hook:
            problems += _implementation(function, hook, named, hooks)
            for arch in named:
                implementations.setdefault(arch, {})[hook] = function
    events = {series.events.__name__: series.events.names} if series.events else {}
    own = [*replaced.values(), *(f for of in implementations.values() for f in of.values())]
    found = Changes(tuple(modules), replaced, hooks, implementations, events, dict.fromkeys(own, series.name))
    return found, problems


def _default(spec: FunctionType) -> FunctionType:
    """The body of a new hook's declaration, as an implementation."""
    made = FunctionType(spec.__code__, spec.__globals__, spec.__name__, spec.__defaults__)
    made.__module__, made.__qualname__ = spec.__module__, spec.__qualname__
    return hookimpl(made)


def _replacement(
    function: FunctionType, name: str, original: FunctionType | None, others: dict[FunctionType, FunctionType]
) -> list[Problem]:
    place = f"{where(function)}: {function.__name__}"
    if original is None:
        near = did_you_mean(name, core_functions())
        return [Problem("MM018", f"{place} replaces {name!r}, which is no function of core-mm.{near}")]
    if is_hookspec(original):
        hook = original.__name__
        text = f'{place} replaces {name}, which is a hook; write @implements("{hook}", "ARCH") instead'
        return [Problem("MM018", text)]
    if original in others:
        both = f"{name} is replaced here and at {where(others[original])}; keep one"
        return [Problem("MM020", f"{place}: {both}")]
    return [*_signature(function, original, "replaces", name)]


def _signature(function: FunctionType, original: FunctionType, does: str, name: str) -> Iterator[Problem]:
    """Parameters by name and order, and how much is returned."""
    place = f"{where(function)}: {function.__name__}"
    if _shape(function) != _shape(original):
        yield Problem(
            "MM019",
            f"{place} {does} {name} with another signature\n"
            f"    core_mm: {original.__name__}({', '.join(_shape(original))})\n"
            f"    series:  {function.__name__}({', '.join(_shape(function))})",
        )
        return
    try:
        given, wanted = Routine(function).results, Routine(original).results
        line = 0 if is_hookspec(original) or missing_return(original) else missing_return(function)
    except NotLinkable as error:
        yield Problem("MM019", f"{place}: {error}")
        return
    if given != wanted and not is_hookspec(original):
        yield Problem("MM019", f"{place} returns {given} values; {name} returns {wanted}")
    elif line:
        yield Problem("MM019", f"{place} may end without a result (line {line}); {name} never does")


def _shape(function: FunctionType) -> tuple[str, ...]:
    """Parameters as they stand in a declaration, defaults with them."""
    return tuple(
        str(item.replace(annotation=inspect.Parameter.empty))
        for item in inspect.signature(function).parameters.values()
    )


def _new_hooks(hooks: dict[str, FunctionType]) -> Iterator[Problem]:
    for name, spec in hooks.items():
        if name in hookspecs.HOOKS:
            at = where(getattr(hookspecs, name))
            yield Problem(
                "MM022", f"{where(spec)}: new hook {name} bears the name of core-mm's at {at}; rename it"
            )
        elif not spec.__doc__:
            yield Problem(
                "MM018", f"{where(spec)}: new hook {name} has no docstring; it is the hook's contract"
            )
        elif line := missing_return(spec):
            text = f"{where(spec)}: new hook {name} may end without a result (line {line}); its body is the default"
            yield Problem("MM019", text)


def _implementation(
    function: FunctionType, hook: str, named: Sequence[str], new: dict[str, FunctionType]
) -> Iterator[Problem]:
    place = f"{where(function)}: {function.__name__}"
    known = {**{name: getattr(hookspecs, name) for name in hookspecs.HOOKS}, **new}
    if hook not in known:
        yield Problem("MM018", f"{place} implements {hook!r}, which is no hook.{did_you_mean(hook, known)}")
        return
    if not named:
        yield Problem(
            "MM018",
            f'{place} implements {hook} for nobody; name architectures: @implements("{hook}", "arm64")',
        )
    if parameters(function) != parameters(known[hook]) or function.__defaults__:
        yield from _signature(function, known[hook], "implements", hook)
    elif line := missing_return(function):
        yield Problem(
            "MM019", f"{place} may end without a result (line {line}); a hook without one returns 0"
        )
