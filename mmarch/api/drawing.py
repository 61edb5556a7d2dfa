"""Runs drawn as one page of HTML."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from mmarch.api.choosing import (
    Choosing,
    Note,
    Parameters,
    Progress,
    Work,
    configured,
    open_workload,
    silent,
    unseen,
)
from mmarch.api.running import ablate, between, lettered, run, side_of
from mmarch.api.seeing import record_history
from mmarch.errors import InputError, concerning
from mmarch.runs.result import Answer, Result

KERNEL = "a kernel's entries are read only where a scenario dumps them, as mmarch measure prints them"

if TYPE_CHECKING:
    from mmarch.page import Run
    from mmarch.runs.workloads import Source


def make_page(
    works: Work | Answer | Sequence[Work | Answer] = "",
    configurations: Mapping[str, Choosing] | Sequence[Choosing] | None = None,
    *,
    hooks: bool = False,
    older: str = "",
    newer: str = "",
    costs: str = "",
    scenario: str = "",
    backing: str = "",
    parameters: Parameters | None = None,
    note: Note = silent,
    progress: Progress = unseen,
    **chosen: Unpack[Choosing],
) -> str:
    """One page of HTML that needs nothing else: what ran, its counts, and its page tables step by step.

    works           workloads to run, results, and files of results as `--json` writes them; or the store of one sweep
    configurations  for each workload, two to four side by side
    hooks           also what each hook buys on a workload
    older, newer    also what each feature buys between these releases, which stand side by side unless
                    `configurations` says otherwise
    costs           a cost profile: its estimates of times beside the counts
    """
    from mmarch import page

    several = isinstance(works, Sequence) and not isinstance(works, str)
    given: list[Any] = list(works) if several else [works]  # type: ignore[arg-type]
    if any(map(is_store, given)):
        return _store(given, bool(configurations or older or hooks))
    for which, release in (("older", older), ("newer", newer)):
        if release:
            with concerning(configuration=which):
                configured({**chosen, "release": release}, silent)
    if older and not configurations:
        configurations = {name: {"release": name} for name in (older, newer)}
    named = configurations if isinstance(configurations, Mapping) else lettered(configurations or [{}])
    made, sources = page.Page(costs=costs), []
    for work in given or [""]:
        if (answers := page.stored(work)) is None:
            sources.append(open_workload(work, scenario=scenario, backing=backing, parameters=parameters))
        for answer in answers or ():
            made.add(answer)
    made.check(more=len(sources) * len(named))
    _check_costs(costs, [{**chosen, **changes} for changes in named.values()])
    telling: dict[str, Any] = {"note": note, "progress": progress}
    for source in sources:
        names = named if configurations else {"": Choosing()}
        made.runs += _runs(source, names, telling, chosen)
        if hooks:
            made.bars.append(page.hooks(ablate(source, **telling, **chosen)))
        if older:
            made.bars.append(page.features(between(older, newer, source, **telling, **chosen)))
    return page.render(made)


def _check_costs(costs: str, configurations: Sequence[Choosing]) -> None:
    """InputError before the work."""
    from mmarch.api.architectures import show_costs

    for how in configurations if costs else ():
        if "kernel" in how:
            raise InputError("costs: a profile estimates times of the twin; a kernel's counts have no price")
        show_costs(costs, arch=how.get("arch", "arm64"))


def _measured(source: Source, how: Choosing, note: Note, name: str) -> Result:
    """The counts of a real kernel."""
    from mmarch.runs.kernel import KernelChoice, compare_on

    side = side_of(how, note, source, name)
    assert isinstance(side, KernelChoice)
    return compare_on(source, side)


def is_store(work: Any) -> bool:
    """Whether it names the folder of a sweep."""
    return isinstance(work, str | os.PathLike) and work != "" and Path(work).is_dir()


def _store(given: list[Any], more: bool) -> str:
    """The page of a sweep, which stands alone."""
    from mmarch.api.sweeping import read_sweep
    from mmarch.page.grid import render

    if len(given) > 1 or more:
        raise InputError(f"{given[0]}: the store of a sweep has a page of its own; report on it alone")
    return render(read_sweep(given[0]))


def _runs(
    source: Source, named: Mapping[str, Choosing], telling: dict[str, Any], chosen: Choosing
) -> Iterator[Run]:
    """Each configuration counted, with its history if the architecture links."""
    from mmarch.page import Run

    for name, changes in named.items():
        how: Choosing = {**chosen, **changes}
        if "kernel" in how:
            yield Run(name, _measured(source, how, telling["note"], name), why=KERNEL)
            continue
        with concerning(configuration=name):
            result = run(source, **telling, **how)
        try:
            yield Run(name, result, record_history(source, **telling, **how))
        except InputError as error:
            telling["note"](f"{name or source.name}: no history: {error}")
            yield Run(name, result, why=str(error))
