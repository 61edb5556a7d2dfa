"""The page as HTML: markup, styles, scripts and data in one file that asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from mmarch import __version__
from mmarch.page.model import Bars, Page, Run
from mmarch.page.past import past
from mmarch.page.prices import prices
from mmarch.report.columns import BLOCKS, BORDER, FAULTS, TLBIS, Column, title, versions
from mmarch.report.compare import metrics
from mmarch.runs.result import Result

# One behind the other: what runs at once needs what is declared above it.
STYLES = ("colors", "layout", "tables", "charts", "map", "print")
SCRIPTS = (
    "dom", "numbers", "unpack", "data", "tables", "coverage", "summary", "totals", "calls", "bars", "timeline",
    "causes", "flame", "replay", "spaces", "theme", "paint", "legend", "strips", "map", "side", "steps", "main",
)  # fmt: skip


def render(page: Page) -> str:
    """The page; nothing in it can act but its own script, whatever names workloads have."""
    names = {run.result.workload.name: None for run in page.runs}
    return assembled("page.html", ", ".join(names), STYLES, script(), data(page))


def assembled(frame: str, title: str, styles: tuple[str, ...], program: str, document: dict[str, Any]) -> str:
    """A frame with all that belongs into it."""
    style = text_of("style", "css", styles)
    parts = {
        "title": html.escape(f"{title} – mmarch"),
        "policy": f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(program)}'; "
        "base-uri 'none'; form-action 'none'",
        "style": style,
        "data": _embedded(document),
        "script": program,
    }
    text = files("mmarch.page").joinpath(frame).read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], text)


def data(page: Page) -> dict[str, Any]:
    """All that the page shows, as the script reads it."""
    results = [run.result for run in page.runs]
    share = max(1, sum(run.history is not None for run in page.runs))
    times, notes = prices(page.costs, results)
    return {
        "version": __version__,
        "columns": [_column(column, results) for column in metrics(results)] + times,
        "border": [_column(column, results) for column in (FAULTS, *BORDER, *BLOCKS)] + times,
        "runs": [_run(name, run, share) for name, run in zip(page.names(), page.runs, strict=True)],
        "bars": [_bars(item, times) for item in page.bars],
        "costs": notes,
    }


def _run(name: str, run: Run, share: int) -> dict[str, Any]:
    result = run.result
    return {
        "name": name,
        "title": title(result.configuration, result.page_shift),
        "versions": versions(result),
        "result": result.model_dump(mode="json", exclude_none=True),
        "unseen": list(result.unseen),
        "why": run.why,
        "history": past(run.history, share) if run.history else None,
    }


def _bars(item: Bars, times: list[dict[str, Any]]) -> dict[str, Any]:
    columns = [TLBIS, FAULTS, Column("PTE accesses", ("pte_read", "pte_write")), *BORDER, *BLOCKS]
    return {
        "title": item.title,
        "columns": [_column(column, [item.total]) for column in dict.fromkeys(columns)] + times,
        "rows": [[name, dict(counts)] for name, counts in item.rows],
        "totals": dict(item.total.totals),
        "idle": list(item.idle),
    }


def _column(column: Column, results: Iterable[Result]) -> dict[str, Any]:
    """With the events that a group's name stands for."""
    events = {
        event: None
        for result in results
        for name in column.events
        for event in result.groups.get(name, (name,))
    }
    return {"heading": column.heading, "events": list(events), "groups": list(column.events)}


def _embedded(document: dict[str, Any]) -> str:
    """JSON that no HTML parser takes for markup."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def script() -> str:
    """All scripts, one behind the other."""
    return '"use strict";\n' + text_of("script", "js", SCRIPTS)


@cache
def text_of(folder: str, suffix: str, names: tuple[str, ...]) -> str:
    """Files of this package, one behind the other."""
    here = files("mmarch.page").joinpath(folder)
    return "\n".join(here.joinpath(f"{name}.{suffix}").read_text("utf-8") for name in names)


def _digest(text: str) -> str:
    """What a content security policy knows an element by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
