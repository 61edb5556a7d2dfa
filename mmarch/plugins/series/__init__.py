"""Patch series as plugins: found by name or in a file, tried out in a process of their own, checked, loaded."""

from mmarch.plugins.series.choosing import Chosen, applicable, choose, fits
from mmarch.plugins.series.finding import GROUP, find_series, is_path
from mmarch.plugins.series.loading import LoadedSeries, load_series

__all__ = [
    "GROUP",
    "Chosen",
    "LoadedSeries",
    "applicable",
    "choose",
    "find_series",
    "fits",
    "is_path",
    "load_series",
]
