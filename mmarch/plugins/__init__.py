"""Architectures as plugins: found by metadata, loaded one at a time, checked before they run."""

from mmarch.plugins.finding import GROUP, Found, find_arch, find_archs
from mmarch.plugins.loading import LoadedArch, load, load_arch

__all__ = ["GROUP", "Found", "LoadedArch", "find_arch", "find_archs", "load", "load_arch"]
