"""Architectures by name, or as "module:object"."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint

from mmarch.errors import PluginError
from mmarch.plugins import GROUP, Found, LoadedArch, load, load_arch


def load_named(name: str) -> LoadedArch:
    """An installed architecture, or the ArchDescriptor at "module:object"; PluginError as for any plugin."""
    if ":" not in name:
        return load_arch(name)
    module, _, attribute = name.partition(":")
    try:
        value = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise PluginError("MM001", f"{name}: import failed: {type(error).__name__}: {error}") from error
    entry = EntryPoint(getattr(value, "name", attribute), name, GROUP)
    return load(Found(entry, module.partition(".")[0], "0"))
