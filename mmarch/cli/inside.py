"""`run --top`, `--steps`, `--format folded` and `perfetto`: what happened inside of a run, out of its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmarch.cli import options as o
from mmarch.cli.configured import OPTIONS
from mmarch.errors import InputError

if TYPE_CHECKING:
    from mmarch.history import History

FORMATS = ("folded", "perfetto", "history")


def saved(workload: str, chosen: dict[str, Any], scenario: str, backing: str) -> History | None:
    """The history that an argument names, which has its configuration; None for a workload."""
    from mmarch import api
    from mmarch.history import is_history

    if not is_history(workload):
        return None
    given = {"scenario": scenario, "backing": backing}
    given |= {item.name: chosen.get(item.name) or item.default for item in OPTIONS}
    defaults = {item.name: item.default for item in OPTIONS}
    if other := next((name for name, value in given.items() if value != defaults.get(name, "")), ""):
        option = other.strip("_").replace("_", "-")
        raise InputError(
            f"--{option}: {workload} is a saved history, which has its configuration; record another"
        )
    return api.load_history(workload)


def formats(top: int, steps: bool, judged: str, form: str) -> tuple[Sequence[str], str]:
    """What a run can be printed as, and what it is called; `judged`: the option that asks for a verdict."""
    from mmarch.report.formats import FORMATS as COUNTS

    if judged:
        if top or steps:
            raise InputError(f"{judged} judges instead of counting; leave --top and --steps out")
        return ("table", "json"), f"run {judged}"
    if top or steps:
        return ("table", "json"), "run --steps" if steps else "run --top"
    return (*COUNTS, *FORMATS), f"run --format {form}" if form in FORMATS else "run"


def show(history: History, top: int, by: o.By, count: o.Count, steps: bool, form: str) -> bytes | str:
    """The steps of a scenario, what is hottest, stacks, or tracks."""
    from mmarch.report import formats, seen
    from mmarch.report import steps as stepping
    from mmarch.report import top as hottest
    from mmarch.report.columns import title
    from mmarch.table import wrap

    if form in FORMATS:
        return formats.render(history, form, count=count)
    if steps and not history.workload.steps:
        raise InputError(f"--steps: {history.workload.name} has no steps; give a scenario file")
    if form == "json":
        return (seen.flushes(history) if steps else seen.hottest(history, top, by)).model_dump_json(indent=2)
    if not steps:
        return "\n".join(hottest.render(history, top, by))
    setup = history.setup
    head = [*wrap(title(setup.configuration, setup.page_shift)), *wrap(history.workload.name), ""]
    return "\n".join([*head, *stepping.render(history)])
