"""What there is to see of architectures: which are installed, which implementation wins each hook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType

from core_mm.hookspecs import HOOKS
from mmarch.engine.hookimpls import short_where
from mmarch.errors import PluginError
from mmarch.plugins.finding import Found, find_archs
from mmarch.plugins.loading import LoadedArch, load


@dataclass(frozen=True)
class Listed:
    """One installed architecture; `status` is "ok", "duplicate", or the code of what is wrong with it."""

    found: Found
    status: str
    api: int | None = None
    hooks: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class Winner:
    """The implementation of a hook that runs; `linkable` is "yes" or "no: why", "" if it was not asked."""

    hook: str
    plugin: str
    where: str
    required: bool
    linkable: str = ""


def list_archs() -> list[Listed]:
    """Every installed architecture; a broken one is listed, never fatal."""
    return [item for name, offers in find_archs().items() for item in _listed(offers)]


def _listed(offers: list[Found]) -> list[Listed]:
    if len(offers) > 1:
        return [Listed(found, "MM009", problem="the name is offered more than once") for found in offers]
    try:
        loaded = load(offers[0])
    except PluginError as error:
        return [Listed(offers[0], error.code, problem=str(error))]
    return [Listed(offers[0], "ok", loaded.descriptor.api_version, len(loaded.hooks))]


def winners(arch: LoadedArch, generic: LoadedArch, linking: bool = False) -> list[Winner]:
    """For each hook which implementation runs; with `linking` also whether it links."""
    functions = {**generic.hooks, **arch.hooks}
    reasons = _reasons(arch, generic, functions) if linking else {}
    return [
        Winner(
            hook,
            arch.descriptor.name if hook in arch.hooks else generic.descriptor.name,
            short_where(functions[hook]),
            hook in arch.descriptor.required,
            (f"no: {reasons[hook]}" if hook in reasons else "yes") if linking else "",
        )
        for hook in HOOKS
        if hook in functions
    ]


def _reasons(arch: LoadedArch, generic: LoadedArch, functions: Mapping[str, FunctionType]) -> dict[str, str]:
    """Hook -> why it does not link; all are tried at once first, as they usually do."""
    from mmarch.engine.layout import Layout
    from mmarch.engine.lower import Options, lower
    from mmarch.engine.machine import declared_modules
    from mmarch.engine.program import NotLinkable, Program
    from mmarch.engine.returns import missing_return

    layout = Layout.of(declared_modules([generic.descriptor, arch.descriptor]), HOOKS)

    def why(roots: list[FunctionType]) -> str:
        try:
            for root in roots:
                if line := missing_return(root):
                    return f"{short_where(root)}: may end without a result (line {line})"
            lower(Program(roots, functions), layout, Options())
        except NotLinkable as error:
            return str(error)
        return ""

    if not why(list(functions.values())):
        return {}
    return {hook: reason for hook, function in functions.items() if (reason := why([function]))}
