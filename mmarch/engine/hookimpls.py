"""Hook implementations of an architecture: which functions they are, and where."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import FunctionType

from core_mm.descriptor import ArchDescriptor
from mmarch.engine.program import kept_text

IMPL_MARK = "mmarch_impl"


def implementations(arch: ArchDescriptor) -> dict[str, FunctionType]:
    """Hook name -> function, over the modules of an architecture."""
    found: dict[str, FunctionType] = {}
    for name in arch.modules:
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, FunctionType) and hasattr(value, IMPL_MARK) and value.__module__ == name:
                found[value.__name__] = value
    return found


def where(function: FunctionType) -> str:
    """`file:line` of a function's definition."""
    return f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"


def short_where(function: FunctionType) -> str:
    """`package/module.py:line`, the same on every machine; of a file that is no module, its name."""
    if kept_text(function.__module__) is not None:
        return f"{Path(function.__code__.co_filename).name}:{function.__code__.co_firstlineno}"
    tail = function.__module__.replace(".", "/")
    if function.__code__.co_filename.endswith("/__init__.py"):
        tail += "/__init__"
    return f"{tail}.py:{function.__code__.co_firstlineno}"


def parameters(function: FunctionType) -> tuple[str, ...]:
    """Names of its positional parameters."""
    code = function.__code__
    return code.co_varnames[: code.co_argcount]
