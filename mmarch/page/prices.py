"""Times on a page: estimates of a cost profile, in a column beside the counts that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmarch.plugins import load_arch
from mmarch.report.run import cost_note
from mmarch.runs.costs import load_costs
from mmarch.runs.result import Result


def prices(costs: str, results: Sequence[Result]) -> tuple[list[dict[str, Any]], list[str]]:
    """The column, if a profile was named, and what a reader has to know of it.

    InputError if an architecture has no such profile.
    """
    if not costs:
        return [], []
    priced = [load_costs(costs, load_arch(result.configuration.arch).descriptor) for result in results]
    figures = {event: figure.ns for one in priced for event, figure in one.figures.items()}
    texts = [
        part.text.strip()
        for result, one in zip(results, priced, strict=True)
        for part in cost_note(result, one)
    ]
    column = {"heading": "ms (estimated)", "events": list(figures), "groups": [], "prices": figures}
    return [column], list(dict.fromkeys(texts))
