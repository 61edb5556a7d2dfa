"""How interpreted code reaches a hook, and whom to blame when a hook breaks its contract (MM011)."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import CodeType, FunctionType
from typing import Any

import pluggy

from core_mm.vmstat import EVENTS, HOOK_CALL
from mmarch.engine.hookimpls import IMPL_MARK, parameters, where
from mmarch.errors import MmarchError, PluginError

Hook = Callable[..., int]
LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1


def relay_hook(plugins: pluggy.PluginManager, name: str, number: int, mach: Any, counters: Any) -> Hook:
    """A function with the hook's own signature that counts the call and makes it, through pluggy, by keyword."""
    caller = getattr(plugins.hook, name)
    arguments = caller.spec.argnames
    source = (
        f"def {name}({', '.join(arguments)}):\n"
        f"    counters[mach.scope + {number * EVENTS + HOOK_CALL}] += 1\n"
        f"    outer = mach.hook\n"
        f"    if not outer: mach.hook = number\n"
        f"    result = caller({', '.join(f'{a}={a}' for a in arguments)})\n"
        f"    mach.hook = outer\n"
        f"    return result if result.__class__ is int else checked(result)\n"
    )

    def checked(result: object) -> int:
        asked = ", ".join(impl.plugin_name for impl in reversed(caller.get_hookimpls()))
        return check_result(name, asked or "nobody", result)

    space = {"caller": caller, "mach": mach, "counters": counters, "number": number, "checked": checked}
    return made(name, source, space)


def guard(name: str, plugin: str, original: FunctionType, bound: FunctionType) -> FunctionType:
    """`bound`, checked: pluggy would take None for "ask the next plugin" and hide the mistake."""
    arguments = ", ".join(parameters(bound))
    source = (
        f"def {name}({arguments}):\n"
        f"    result = bound({arguments})\n"
        f"    if result.__class__ is int and {LOWEST} <= result <= {HIGHEST}: return result\n"
        f"    if result.__class__ is bool: return 1 if result else 0\n"
        f"    return checked(result)\n"
    )

    def checked(result: object) -> int:
        return check_result(name, f"{plugin}, {where(original)}", result)

    function = made(name, source, {"bound": bound, "checked": checked})
    setattr(function, IMPL_MARK, getattr(bound, IMPL_MARK))
    return function


def check_result(name: str, who: str, result: object) -> int:
    """A 64-bit integer, or MM011 that names the hook and who answered."""
    if isinstance(result, int) and LOWEST <= result <= HIGHEST:
        return int(result)
    hint = "; a hook without a result returns 0" if result is None else ""
    raise PluginError("MM011", f"hook {name} returned {result!r:.60}, not a 64-bit integer ({who}){hint}")


def blame(error: Exception, hooks: Mapping[CodeType, str], packages: Sequence[str]) -> PluginError | None:
    """The error to show if `error` came out of a plugin's function: the innermost, deepest line of theirs.

    hooks     code of every implementation and replacement -> what it is and whose
    packages  top-level folders of plugins, whose lines are theirs
    """
    if isinstance(error, MmarchError):
        return None
    frames = list(traceback.walk_tb(error.__traceback__))
    inside = [index for index, (frame, _) in enumerate(frames) if frame.f_code in hooks]
    if not inside:
        return None
    code = frames[inside[-1]][0].f_code
    places = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in frames[inside[-1] :]
        if frame.f_code is code or frame.f_globals.get("__name__", "").startswith(tuple(packages))
    ]
    what = f"{type(error).__name__}: {error}"
    return PluginError("MM011", f"{hooks[code]} raised {what} ({places[-1]})")


def made(name: str, source: str, space: dict[str, Any]) -> FunctionType:
    """The function that `source` defines, with `space` as its globals."""
    exec(_compiled(source), space)  # the text is made of a hook's own parameter names
    made: FunctionType = space[name]
    return made


@cache
def _compiled(source: str) -> CodeType:
    """Once, for every machine after the first."""
    return compile(source, "<string>", "exec")
