"""One self-contained HTML page of runs: their counts, and their history step by step."""

from mmarch.page.model import MOST_RUNS, Bars, Page, Run, features, hooks, stored
from mmarch.page.write import render

__all__ = ["MOST_RUNS", "Bars", "Page", "Run", "features", "hooks", "render", "stored"]
