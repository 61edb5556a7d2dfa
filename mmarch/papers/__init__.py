"""Published measurements, with what the twin counts of the same work, and prices of events fitted to them."""

from mmarch.papers.fit import Fit, Times, fit, load_times, shipped
from mmarch.papers.letter import Case, Letter, find, known
from mmarch.papers.reproduce import Counted, Reproduced, reproduce

__all__ = [
    "Case", "Counted", "Fit", "Letter", "Reproduced", "Times", "find", "fit", "known", "load_times", "reproduce",
    "shipped",
]  # fmt: skip
